// Counts the memory that encoders and decoders take from the heap once they have settled.
//
//     allocations MODEL.bsqm gray|420|422|444 8|10 PRESET LOOKAHEAD BITRATE THREADS
//
// The same group of pictures is coded again and again. Sizes then repeat too, so that whatever is
// kept from frame to frame has found its size after a few groups. Prints what the encoder and
// the decoder allocate in the last group but one (the last one's lookahead ends), and a checksum
// of all packets.
#include <bsq/bsq.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

namespace {

std::atomic<int64_t> taken = 0;

void* take(size_t size, size_t alignment) {
  taken.fetch_add(1, std::memory_order_relaxed);
  void* memory = alignment == 0 ? std::malloc(size)
                                : std::aligned_alloc(
                                      alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Everything in the library takes its memory here: these replace the standard library's.
void* operator new(size_t size) { return take(std::max<size_t>(size, 1), 0); }
void* operator new(size_t size, std::align_val_t alignment) {
  return take(std::max<size_t>(size, 1), static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

constexpr int kWidth = 320;
constexpr int kHeight = 180;
constexpr int kGroup = 9;  // with B frames of three levels, where there is a lookahead
constexpr int kGroups = 6;

[[noreturn]] void fail(const std::string& what, const char* why) {
  std::fprintf(stderr, "allocations: %s: %s\n", what.c_str(), why);
  std::exit(1);
}

void require(bsq_status status, const char* what, const char* why) {
  if (status != BSQ_OK) fail(what, why);
}

struct Settings {
  int chroma = BSQ_CHROMA_420;
  int bit_depth = 8;
  int preset = BSQ_PRESET_MEDIUM;
  int lookahead = 0;
  double bitrate = 0;
  int threads = 1;
};

bsq_model* load(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  char error[256] = "";
  bsq_model* model = nullptr;
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  require(bsq_model_load(data, bytes.size(), &model, error, sizeof error), path, error);
  return model;
}

bsq_encoder* open_encoder(const Settings& settings, const bsq_model* model) {
  bsq_encoder_config config;
  bsq_encoder_config_init(&config);
  config.sequence.width = kWidth;
  config.sequence.height = kHeight;
  config.sequence.chroma = settings.chroma;
  config.sequence.bit_depth = settings.bit_depth;
  config.sequence.time_base = {1, 25};
  config.sequence.frame_rate = {25, 1};
  config.gop = kGroup;
  config.scene_cut = 0;
  config.preset = settings.preset;
  config.lookahead = settings.lookahead;
  config.bitrate = settings.bitrate;
  config.threads = settings.threads;
  char error[256] = "";
  bsq_encoder* encoder = nullptr;
  require(bsq_encoder_open(&config, model, &encoder, error, sizeof error), "encoder", error);
  return encoder;
}

bsq_decoder* open_decoder(const Settings& settings, const bsq_model* model) {
  bsq_decoder_config config;
  bsq_decoder_config_init(&config);
  config.threads = settings.threads;
  config.strict = 1;
  char error[256] = "";
  bsq_decoder* decoder = nullptr;
  require(bsq_decoder_open(&config, &model, 1, &decoder, error, sizeof error), "decoder", error);
  return decoder;
}

// A texture that drifts behind a square that stands still, and a little noise.
class Source {
 public:
  explicit Source(const Settings& settings) : settings_(settings) {
    const int planes = settings.chroma == BSQ_CHROMA_GRAY ? 1 : 3;
    for (int p = 0; p < planes; ++p) {
      const bool full = p == 0 || settings.chroma == BSQ_CHROMA_444;
      const bool tall = full || settings.chroma == BSQ_CHROMA_422;
      planes_.push_back({full ? kWidth : kWidth / 2, tall ? kHeight : kHeight / 2, {}});
      planes_.back().samples.resize(
          static_cast<size_t>(planes_.back().width * planes_.back().height * bytes()));
    }
  }

  // The frame number `index`, which lasts until the next call.
  bsq_frame frame(int index) {
    bsq_frame frame{};
    frame.width = kWidth;
    frame.height = kHeight;
    frame.chroma = settings_.chroma;
    frame.bit_depth = settings_.bit_depth;
    frame.pts = index;
    for (size_t p = 0; p < planes_.size(); ++p) {
      fill(planes_[p], static_cast<int>(p), index % kGroup);
      frame.planes[p] = planes_[p].samples.data();
      frame.strides[p] = planes_[p].width * bytes();
    }
    return frame;
  }

 private:
  struct Plane {
    int width;
    int height;
    std::vector<uint8_t> samples;
  };

  int bytes() const { return settings_.bit_depth > 8 ? 2 : 1; }

  void fill(Plane& plane, int number, int time) const {
    uint32_t noise = 1U + static_cast<uint32_t>(time);
    uint8_t* to = plane.samples.data();
    for (int y = 0; y < plane.height; ++y) {
      for (int x = 0; x < plane.width; ++x, to += bytes()) {
        noise = noise * 1664525U + 1013904223U;
        const bool square = x > 40 && x < 80 && y > 40 && y < 80;
        const int u = square ? x : x + 3 * time;
        const int v = square ? y : y + time;
        const int value =
            60 + (u * u / 37 + u * v / 29 + 40 * number) % 120 + static_cast<int>(noise >> 30);
        const auto sample = static_cast<uint16_t>(value << (settings_.bit_depth - 8));
        if (bytes() == 1) {
          *to = static_cast<uint8_t>(sample);
        } else {
          std::memcpy(to, &sample, sizeof sample);
        }
      }
    }
  }

  const Settings settings_;
  std::vector<Plane> planes_;
};

// Both handles, and what they have taken from the heap, by frame.
class Run {
 public:
  Run(const Settings& settings, const bsq_model* model)
      : source_(settings),
        encoder_(open_encoder(settings, model)),
        decoder_(open_decoder(settings, model)) {}
  ~Run() {
    bsq_encoder_close(encoder_);
    bsq_decoder_close(decoder_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void all() {
    for (int i = 0; i < kGroup * kGroups; ++i) {
      const bsq_frame frame = source_.frame(i);
      const bsq_status status =
          counted(encoding_, [&] { return bsq_encoder_send(encoder_, &frame); });
      require(status, "encoder", bsq_encoder_error(encoder_));
      drain();
    }
    require(bsq_encoder_flush(encoder_), "encoder", bsq_encoder_error(encoder_));
    drain();
    if (packets_ != kGroup * kGroups) fail("encoder", "gave not one packet for a frame");
  }

  void print() const {
    std::printf("encoder %lld decoder %lld packets %08x\n", static_cast<long long>(encoded_),
                static_cast<long long>(decoded_), static_cast<unsigned>(checksum_));
  }

 private:
  template <class Call>
  static bsq_status counted(int64_t& sum, const Call& call) {
    const int64_t before = taken;
    const bsq_status status = call();
    sum += taken - before;
    return status;
  }

  void drain() {
    bsq_packet packet;
    while (counted(encoding_, [&] { return bsq_encoder_receive(encoder_, &packet); }) == BSQ_OK) {
      const bool settled = packets_ / kGroup == kGroups - 2;
      for (size_t i = 0; i < packet.size; ++i) checksum_ = (checksum_ ^ packet.data[i]) * 16777619U;
      const int64_t decoding = decode(packet);
      if (settled) {
        encoded_ += encoding_;
        decoded_ += decoding;
      }
      encoding_ = 0;
      ++packets_;
    }
  }

  int64_t decode(const bsq_packet& packet) {
    int64_t sum = 0;
    bsq_frame frame;
    bsq_status status = counted(sum, [&] { return bsq_decoder_send(decoder_, &packet); });
    require(status, "decoder", bsq_decoder_error(decoder_));
    status = counted(sum, [&] { return bsq_decoder_receive(decoder_, &frame); });
    require(status, "decoder", bsq_decoder_error(decoder_));
    return sum;
  }

  Source source_;
  bsq_encoder* encoder_;
  bsq_decoder* decoder_;
  int packets_ = 0;
  int64_t encoding_ = 0;  // since the last packet
  int64_t encoded_ = 0;   // of the group looked at
  int64_t decoded_ = 0;
  uint32_t checksum_ = 2166136261U;
};

int chroma_of(const std::string& name) {
  const std::vector<std::string> names{"gray", "420", "422", "444"};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) fail(name, "is no chroma format");
  return static_cast<int>(found - names.begin());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fputs("usage: allocations MODEL CHROMA 8|10 PRESET LOOKAHEAD BITRATE THREADS\n", stderr);
    return 2;
  }
  const Settings settings{chroma_of(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]),
                          std::atoi(argv[5]), std::atof(argv[6]), std::atoi(argv[7])};
  bsq_model* model = load(argv[1]);
  {
    Run run(settings, model);
    run.all();
    run.print();
  }
  bsq_model_free(model);
  return 0;
}
