// Decisions on samples that are coded themselves.
#include "codec/encoder/mode/sample_decision.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "base/quant_step.h"
#include "codec/encoder/mode/distortion.h"
#include "codec/encoder/mode/quantization.h"
#include "codec/encoder/mode/token_samples.h"
#include "entropy/bit_cost.h"

namespace bsq {
namespace {

// What the networks need for a token whose squared error is E squared steps: about
// kNetworkBits * log2(1 + E)^2 bits, and it keeps kNetworkError of them.
constexpr double kNetworkBits = 2.4;
constexpr double kNetworkError = 8.0;
// Of the samples, as a share of that of tokens: exact ones are found again, by frames that refer to
// them and by the model.
constexpr double kSampleLambda = 0.1;
// A tile has sample-coded tokens where they save so many bits.
constexpr double kLeastSaving = 32;
// So few tokens that are left of those that a token of the base frame predicts cost less with the
// others than that one does.
constexpr size_t kLeastBased = 3;

// log2 of a number of at least 1, linear between powers of two.
double log2_of(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  return exponent - 2 + 2 * mantissa;
}

double step_at(const SampleInput& input, int x, int y, bool chroma) {
  const int q = chroma ? input.steps.chroma_at(y, x) : input.steps.at(y, x);
  return step_q8(q) / kStepOne * (1 << (input.source.bit_depth - 8));
}

double squared_steps(const SampleInput& input, int x, int y, const TokenError& error) {
  const double luma = step_at(input, x, y, false);
  const double chroma = step_at(input, x, y, true);
  return static_cast<double>(error.luma) / (luma * luma) +
         static_cast<double>(error.chroma) / (chroma * chroma);
}

// The mean of the samples of each plane.
TokenSamples means(const TokenSamples& samples) {
  TokenSamples flat;
  for (const auto& [begin, end] : {std::pair{0, 64}, {64, 80}, {80, 96}}) {
    int sum = 0;
    for (int i = begin; i < end; ++i) sum += samples[static_cast<size_t>(i)];
    const auto mean = static_cast<uint16_t>((sum + (end - begin) / 2) / (end - begin));
    std::fill(flat.begin() + begin, flat.begin() + end, mean);
  }
  return flat;
}

// The value of lowest RD cost among the guesses and the sample itself. `lambda`: squared sample
// values for a bit.
uint16_t cheapest(SampleModel& model, const SampleGuess& guess, uint16_t sample, double lambda,
                  int bit_depth) {
  if (guess.values[0] == sample) return sample;
  double bits = 0;
  double best = std::numeric_limits<double>::max();
  uint16_t value = sample;
  bool guessed = false;
  const auto take = [&](uint16_t other, double rate) {
    const double error = other - sample;
    const double cost = error * error + lambda * rate;
    if (cost >= best) return;
    best = cost;
    value = other;
  };
  for (size_t i = 0; i < guess.count; ++i) {
    const uint32_t p = model.candidate(guess, i).probability();
    take(guess.values[i], bits + bit_cost(true, p));
    guessed = guessed || guess.values[i] == sample;
    bits += bit_cost(false, p);
  }
  if (guessed) return value;
  uint32_t node = 1;
  for (int level = 0; level < bit_depth; ++level) {
    const bool bit = (sample >> (bit_depth - 1 - level) & 1) != 0;
    bits += bit_cost(bit, model.literal(guess, node, static_cast<size_t>(level)).probability());
    node = 2 * node + (bit ? 1 : 0);
  }
  take(sample, bits);
  return value;
}

// Codes the samples of the marked tokens of a tile with those of lowest RD cost.
void code_samples(const SampleInput& input, const Geometry& geometry, const TokenRect& rect,
                  const std::vector<uint8_t>& marks, SampleModel& model, SampleRecorder& recorder,
                  Frame& frame) {
  SampleCoder coder(recorder, model, geometry, rect, input.prediction != nullptr, marks, frame);
  size_t token = std::numeric_limits<size_t>::max();
  double lambda = 0;
  coder.code([&](const SampleGuess& guess, int plane, int x, int y) {
    const int side = plane == 0 ? kTokenSize : kTokenSize / 2;
    const size_t at = geometry.token_index(x / side, y / side);
    if (at != token || x % side == 0) {
      token = at;
      recorder.at(at);
      const double step = step_at(input, x / side, y / side, plane > 0);
      lambda = input.lambda * kSampleLambda * step * step;
    }
    return cheapest(model, guess, input.source.planes[plane].view().row(y)[x], lambda,
                    frame.bit_depth);
  });
}

// fn(x, y) for the tokens of a rectangle.
template <class Fn>
void for_tokens(const TokenRect& rect, const Fn& fn) {
  for (int y = rect.y; y < rect.y + rect.height; ++y) {
    for (int x = rect.x; x < rect.x + rect.width; ++x) fn(x, y);
  }
}

// What a tile begins with; too large for the stack.
const SampleModel& fresh_model() {
  static const auto model = std::make_unique<const SampleModel>();
  return *model;
}

}  // namespace

SampleDecision::SampleDecision(const Geometry& geometry)
    : geometry_(geometry), errors_(geometry.tokens()) {}

// In squared steps: without bits, or as the networks would code the token.
double SampleDecision::cost_otherwise(const SampleInput& input, int x, int y) const {
  const TokenSamples samples = token_samples(input.source, y, x);
  const TokenSamples predicted =
      input.prediction != nullptr ? token_samples(*input.prediction, y, x) : means(samples);
  const double error = squared_steps(input, x, y, squared_error(samples, predicted));
  const double size = log2_of(1 + error);
  return std::min(error,
                  std::min(error, kNetworkError) + input.lambda * kNetworkBits * size * size);
}

bool SampleDecision::measure(const SampleInput& input) {
  std::atomic<bool> any = false;
  input.pool.parallel_rows(static_cast<size_t>(geometry_.tokens_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    bool found = false;
    for (int x = 0; x < geometry_.tokens_x; ++x) {
      const size_t at = geometry_.token_index(x, y);
      errors_[at] = drawn_.kind(at) == Kind::kOther ? 0 : cost_otherwise(input, x, y);
      found = found || errors_[at] > input.lambda;
    }
    if (found) any = true;
  });
  if (any) {
    trial_ = input.prediction != nullptr ? *input.prediction : input.source;
    while (tiles_.size() < geometry_.tiles.size()) {
      tiles_.push_back(std::make_unique<TileWork>(geometry_.tokens()));
    }
  }
  return any;
}

// What it saves in squared steps to code the token by its samples.
double SampleDecision::gain(const SampleInput& input, const Frame& coded, int x, int y,
                            uint64_t rate) const {
  const TokenError error =
      squared_error(token_samples(input.source, y, x), token_samples(coded, y, x));
  return errors_[geometry_.token_index(x, y)] - squared_steps(input, x, y, error) -
         input.lambda * bits_of(rate);
}

// Marks the plain tokens next to marked ones, and those next to them.
void SampleDecision::spread(const SymbolTile& tile, std::vector<uint8_t>& marks) const {
  const TokenRect& rect = tile.rect;
  std::vector<TokenPosition> open;
  for_tokens(rect, [&](int x, int y) {
    if (marks[geometry_.token_index(x, y)] == 0) return;
    open.push_back({static_cast<int16_t>(y), static_cast<int16_t>(x)});
  });
  const auto visit = [&](int x, int y) {
    if (x < rect.x || x >= rect.x + rect.width || y < rect.y || y >= rect.y + rect.height) return;
    const size_t at = geometry_.token_index(x, y);
    if (marks[at] != 0 || drawn_.kind(at) != Kind::kPlain) return;
    marks[at] = 1;
    open.push_back({static_cast<int16_t>(y), static_cast<int16_t>(x)});
  };
  while (!open.empty()) {
    const TokenPosition at = open.back();
    open.pop_back();
    visit(at.x - 1, at.y);
    visit(at.x + 1, at.y);
    visit(at.x, at.y - 1);
    visit(at.x, at.y + 1);
  }
}

void SampleDecision::choose(const SampleInput& input, const SymbolTile& tile, size_t index,
                            std::vector<uint8_t>& marks) {
  const bool keyframe = input.prediction == nullptr;
  const auto may_have = [&](size_t at) {
    const Kind kind = drawn_.kind(at);
    return kind == Kind::kDrawn || (kind == Kind::kPlain && !keyframe);
  };
  for_tokens(tile.rect, [&](int x, int y) {
    const size_t at = geometry_.token_index(x, y);
    marks[at] = may_have(at) && errors_[at] > input.lambda ? 1 : 0;
  });
  if (keyframe) spread(tile, marks);
  TileWork& work = *tiles_[index];
  std::fill(work.token_rates.begin(), work.token_rates.end(), uint64_t{0});
  const auto& model = tile.contexts.samples.model;
  work.model = model == nullptr ? fresh_model() : *model;
  code_samples(input, geometry_, tile.rect, marks, work.model, work.recorder, trial_);
  work.recorder.clear();
  double saved = 0;
  for_tokens(tile.rect, [&](int x, int y) {
    const size_t at = geometry_.token_index(x, y);
    if (marks[at] == 0) return;
    const double gained = gain(input, trial_, x, y, work.token_rates[at]);
    marks[at] = gained > 0 && may_have(at) ? 1 : 0;
    if (marks[at] != 0) saved += gained;
  });
  if (saved < input.lambda * kLeastSaving) {
    for_tokens(tile.rect, [&](int x, int y) { marks[geometry_.token_index(x, y)] = 0; });
  } else if (keyframe) {
    spread(tile, marks);
    complete(tile, marks);
  }
}

// Marks the tokens that the base frame would be coded for, where they are few.
void SampleDecision::complete(const SymbolTile& tile, std::vector<uint8_t>& marks) const {
  const TokenRect& all = tile.rect;
  for (int y = 0; y < all.height; y += kTokenSize) {
    for (int x = 0; x < all.width; x += kTokenSize) {
      const TokenRect rect{all.y + y, all.x + x, std::min(kTokenSize, all.height - y),
                           std::min(kTokenSize, all.width - x)};
      std::vector<size_t> left;
      for_tokens(rect, [&](int i, int j) {
        const size_t at = geometry_.token_index(i, j);
        if (marks[at] == 0) left.push_back(at);
      });
      if (left.size() > kLeastBased) continue;
      for (const size_t at : left) marks[at] = 1;
    }
  }
}

void SampleDecision::code(const SampleInput& input, const std::vector<uint8_t>& marks,
                          SymbolTile& tile, size_t index, Frame& frame) {
  TileWork& work = *tiles_[index];
  work.recorder.clear();
  code_samples(input, geometry_, tile.rect, marks, tile.contexts.samples.own_model(), work.recorder,
               frame);
}

}  // namespace bsq
