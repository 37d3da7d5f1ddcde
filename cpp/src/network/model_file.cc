// The model file as it lies on disk: docs/bitstream.md section 6. Nothing in it is trusted.
#include "network/model_file.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/sha256.h"
#include "base/status.h"
#include "base/tokens.h"
#include "network/json_text.h"
#include "network/tensor_specs.h"

namespace bsq {
namespace {

constexpr size_t kDigestSize = 32;
constexpr int kVersion = 1;
constexpr uint32_t kMaxTensors = 4096;
constexpr uint64_t kOffsetMultiple = 64;
constexpr int kMaxWidth = 512;
constexpr int kMaxHidden = 1024;
constexpr int kMaxBlocks = 16;
constexpr int64_t kSumLimit = int64_t{1} << 31;

// An entry of the tensor table.
struct Entry {
  std::string name;
  TensorType type = TensorType::kS8;
  std::vector<int> shape;
  uint64_t offset = 0;
  uint64_t size = 0;  // bytes
};

[[noreturn]] void fail(const std::string& place, const std::string& message) {
  throw Error(BSQ_ERROR_MODEL, "model file, " + place + ": " + message);
}

std::string describe(TensorType type, const std::vector<int>& shape) {
  std::string text = type == TensorType::kS8 ? "s8 [" : "s32 [";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

// ---- structure ----

void check_magic_and_version(ByteReader& reader) {
  if (reader.remaining() < 4 || std::memcmp(reader.span(4).data(), "BSQM", 4) != 0) {
    fail("byte 0", "not a model file: it does not begin with BSQM");
  }
  const int version = reader.u16();
  const int numerics = reader.u16();
  if (version != kVersion || numerics != kNumericsVersion) {
    throw Error(BSQ_ERROR_UNSUPPORTED, "model file, byte 4: version " + std::to_string(version) +
                                           " with numerics " + std::to_string(numerics) +
                                           "; this library knows version " +
                                           std::to_string(kVersion) + " with numerics " +
                                           std::to_string(kNumericsVersion) + ": update it");
  }
}

std::array<uint8_t, 16> check_digest(std::span<const uint8_t> bytes) {
  if (bytes.size() < kDigestSize) {
    fail("byte " + std::to_string(bytes.size()), "the data ends early");
  }
  const size_t body = bytes.size() - kDigestSize;
  const Sha256Digest digest = sha256(bytes.first(body));
  if (!std::equal(digest.begin(), digest.end(), bytes.begin() + static_cast<ptrdiff_t>(body))) {
    fail("byte " + std::to_string(body),
         "the SHA-256 does not match the data: the file is damaged or cut short, fetch it again");
  }
  std::array<uint8_t, 16> id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

NetworkSize parse_size(ByteReader& reader) {
  const ByteReader start = reader;
  const NetworkSize size{reader.u16(), reader.u16(), reader.u16()};
  const auto valid = [](int value, int limit) {
    return value >= 8 && value <= limit && value % 8 == 0;
  };
  if (!valid(size.width, kMaxWidth) || !valid(size.hidden, kMaxHidden) ||
      size.blocks > kMaxBlocks) {
    start.fail("a network of width " + std::to_string(size.width) + ", hidden width " +
               std::to_string(size.hidden) + " and " + std::to_string(size.blocks) +
               " blocks; widths are multiples of 8 of at most 512 and 1024, blocks at most 16");
  }
  return size;
}

NetworkSizes parse_sizes(ByteReader& reader) {
  NetworkSizes sizes;
  sizes.encoder = parse_size(reader);
  sizes.decoder = parse_size(reader);
  sizes.prior = parse_size(reader);
  return sizes;
}

ModelConfig parse_config(ByteReader& reader) {
  const ByteReader start = reader;
  const int bits = reader.u16();
  ModelConfig config;
  config.stages = reader.u16();
  config.predicted = parse_sizes(reader);
  config.keyframes = parse_sizes(reader);
  const int reserved = reader.u16();
  const bool stages_fit = config.stages >= 1 && config.stages <= kMaxStages;
  if (bits != kStageBits || !stages_fit || reserved != 0) {
    start.fail("a model of " + std::to_string(config.stages) + " stages of " +
               std::to_string(bits) + " bits, with " + std::to_string(reserved) +
               " in the reserved field; known are 1 to 8 stages of 32 bits, with 0");
  }
  return config;
}

std::string parse_name(ByteReader& reader) {
  const ByteReader start = reader;
  const std::span<const uint8_t> raw = reader.span(reader.u8());
  const bool printable =
      std::all_of(raw.begin(), raw.end(), [](uint8_t c) { return c > 0x20 && c < 0x7F; });
  if (raw.empty() || !printable) start.fail("the name of a tensor is empty or not printable ASCII");
  return {raw.begin(), raw.end()};
}

// `limit`: bytes of the file before the digest.
Entry parse_entry(ByteReader& reader, uint64_t limit) {
  const ByteReader start = reader;
  Entry entry;
  entry.name = parse_name(reader);
  const int type = reader.u8();
  const int dimensions = reader.u8();
  const std::string subject = "tensor " + entry.name;
  if ((type != 1 && type != 3) || dimensions < 1 || dimensions > 3) {
    start.fail(subject + " has type " + std::to_string(type) + " and " +
               std::to_string(dimensions) + " dimensions");
  }
  entry.type = static_cast<TensorType>(type);
  entry.size = entry.type == TensorType::kS8 ? 1 : 4;
  for (int i = 0; i < dimensions; ++i) {
    const uint32_t length = reader.u32();
    // No product below can overflow: both factors are at most the file's size.
    if (length == 0 || length > limit / entry.size) {
      start.fail(subject + " is empty or larger than the file");
    }
    entry.size *= length;
    if (length > 0x7FFFFFFF) start.fail(subject + " is larger than any layer");
    entry.shape.push_back(static_cast<int>(length));
  }
  entry.offset = reader.u64();
  if (entry.offset % kOffsetMultiple != 0 || entry.offset > limit ||
      entry.size > limit - entry.offset) {
    start.fail(subject + " at byte " + std::to_string(entry.offset) + " with " +
               std::to_string(entry.size) + " bytes is not at a multiple of 64 or leaves the file");
  }
  return entry;
}

// Tensors must not overlap each other or the table, and gaps must be zero.
void check_gaps(std::span<const uint8_t> body, size_t table_end, std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  entries.push_back({"(end)", TensorType::kS8, {}, body.size(), 0});
  uint64_t position = table_end;
  for (const Entry& entry : entries) {
    if (entry.offset < position) {
      fail("byte " + std::to_string(entry.offset),
           "tensor " + entry.name + " overlaps what is before it");
    }
    const auto gap =
        body.subspan(static_cast<size_t>(position), static_cast<size_t>(entry.offset - position));
    if (std::any_of(gap.begin(), gap.end(), [](uint8_t c) { return c != 0; })) {
      fail("byte " + std::to_string(position),
           "the gap before tensor " + entry.name + " is not zero");
    }
    position = entry.offset + entry.size;
  }
}

Tensor read_tensor(std::span<const uint8_t> body, const Entry& entry) {
  Tensor tensor;
  tensor.shape = entry.shape;
  tensor.offset = entry.offset;
  const auto raw = body.subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size));
  if (entry.type == TensorType::kS8) {
    tensor.s8.resize(raw.size());
    std::memcpy(tensor.s8.data(), raw.data(), raw.size());
    return tensor;
  }
  tensor.s32.reserve(raw.size() / 4);
  for (size_t i = 0; i < raw.size(); i += 4) {
    const uint32_t value = raw[i] | (uint32_t{raw[i + 1]} << 8) | (uint32_t{raw[i + 2]} << 16) |
                           (uint32_t{raw[i + 3]} << 24);
    tensor.s32.push_back(std::bit_cast<int32_t>(value));
  }
  return tensor;
}

void parse_tensors(ByteReader& reader, std::span<const uint8_t> body, ModelFile& file) {
  const uint32_t count = reader.u32();
  if (count > kMaxTensors) {
    reader.fail(std::to_string(count) + " tensors, more than the limit of " +
                std::to_string(kMaxTensors));
  }
  std::vector<Entry> entries;
  entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i) entries.push_back(parse_entry(reader, body.size()));
  check_gaps(body, reader.offset(), entries);
  for (const Entry& entry : entries) {
    if (!file.tensors.emplace(entry.name, read_tensor(body, entry)).second) {
      fail("byte " + std::to_string(entry.offset), "tensor " + entry.name + " appears twice");
    }
  }
}

// ---- content ----

std::string place(const std::string& name, const Tensor& tensor) {
  return "byte " + std::to_string(tensor.offset) + ", tensor " + name;
}

template <class T>
void check_range(const TensorSpec& spec, const Tensor& tensor, const std::vector<T>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low < spec.low || *high > spec.high) {
    fail(place(spec.name, tensor),
         "it holds " + std::to_string(*low) + " .. " + std::to_string(*high) + ", outside of " +
             std::to_string(spec.low) + " .. " + std::to_string(spec.high));
  }
}

void check_tensor(const TensorSpec& spec, const ModelFile& file) {
  const Tensor* tensor = file.find(spec.name);
  if (tensor == nullptr) {
    if (spec.optional) return;
    throw Error(BSQ_ERROR_MODEL, "model file: tensor " + spec.name + " is missing");
  }
  const TensorType type = tensor->s8.empty() ? TensorType::kS32 : TensorType::kS8;
  if (type != spec.type || tensor->shape != spec.shape) {
    fail(place(spec.name, *tensor), "it is " + describe(type, tensor->shape) + ", expected " +
                                        describe(spec.type, spec.shape));
  }
  if (type == TensorType::kS8) {
    check_range(spec, *tensor, tensor->s8);
  } else {
    check_range(spec, *tensor, tensor->s32);
  }
}

// The limit on what a sum of the layer can reach: numerics.md section 6.
void check_sums(const TensorSpec& spec, const ModelFile& file) {
  const Tensor& weights = *file.find(spec.name);
  const std::string layer = spec.name.substr(0, spec.name.size() - 2);
  const Tensor* bias = file.find(layer + ".b");
  const auto inputs = static_cast<size_t>(spec.shape[static_cast<size_t>(spec.inputs_axis)]);
  const size_t outputs = weights.s8.size() / inputs;
  const bool inputs_first = spec.inputs_axis == 0;
  for (size_t n = 0; n < outputs; ++n) {
    int64_t sum = 0;
    for (size_t k = 0; k < inputs; ++k) {
      sum += std::abs(weights.s8[inputs_first ? k * outputs + n : n * inputs + k]);
    }
    int64_t bound = sum * spec.input_limit;
    if (bias != nullptr) bound += std::abs(int64_t{bias->s32[n]});
    if (bound >= kSumLimit) {
      fail(place(spec.name, weights), "the sum of output " + std::to_string(n) + " can reach " +
                                          std::to_string(bound) + ", which 32 bits do not hold");
    }
  }
}

void check_content(const ModelFile& file) {
  const std::vector<TensorSpec> specs = tensor_specs(file.config);
  for (const auto& [name, tensor] : file.tensors) {
    const bool known =
        std::any_of(specs.begin(), specs.end(),
                    [&name = name](const TensorSpec& spec) { return spec.name == name; });
    if (!known) fail(place(name, tensor), "no network of this model has such a tensor");
  }
  for (const TensorSpec& spec : specs) check_tensor(spec, file);
  for (const TensorSpec& spec : specs) {
    if (spec.input_limit != 0) check_sums(spec, file);
  }
}

}  // namespace

const Tensor* ModelFile::find(const std::string& tensor) const {
  const auto found = tensors.find(tensor);
  return found != tensors.end() ? &found->second : nullptr;
}

ModelFile parse_model_file(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes, "model file", 0, BSQ_ERROR_MODEL);
  check_magic_and_version(reader);
  ModelFile file;
  file.id = check_digest(bytes);
  const auto body = bytes.first(bytes.size() - kDigestSize);
  const size_t start = reader.offset();
  if (start > body.size()) fail("byte " + std::to_string(start), "the data ends early");
  reader = ByteReader(body.subspan(start), "model file", start, BSQ_ERROR_MODEL);
  file.config = parse_config(reader);
  const uint32_t text_size = reader.u32();
  const size_t text_start = reader.offset();
  const auto text = reader.span(text_size);
  file.text.assign(text.begin(), text.end());
  file.name = json_name(file.text, text_start);
  parse_tensors(reader, body, file);
  check_content(file);
  return file;
}

}  // namespace bsq
