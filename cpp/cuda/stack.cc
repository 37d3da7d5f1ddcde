// Residual networks on the active tokens of a picture, as launches over all of them.
#include "cuda/stack.h"

#include <algorithm>

namespace bsq::cuda {
namespace {

// Rows that linear layers may read: whole tiles.
size_t row_count(const Geometry& geometry) {
  constexpr size_t kTile = LinearKernel::kTile;
  return (geometry.tokens() + kTile - 1) / kTile * kTile;
}

size_t elements(const Geometry& geometry, int pitch) {
  return row_count(geometry) * static_cast<size_t>(pitch);
}

int widest(const Weights& weights) {
  return padded(std::max(weights.config().decoder.width, weights.config().prior.width));
}

int widest_hidden(const Weights& weights) {
  return padded(std::max(weights.config().decoder.hidden, weights.config().prior.hidden));
}

}  // namespace

NetworkRunner::NetworkRunner(Device& device, const Weights& weights, const Geometry& geometry)
    : device_(device),
      weights_(weights),
      tokens_x_(geometry.tokens_x),
      tokens_y_(geometry.tokens_y),
      vectors_(device, elements(geometry, padded(weights.layout().width()))),
      side_(device, elements(geometry, 2 * padded(kSideVector))),
      stream_(device, elements(geometry, widest(weights))),
      narrow_(device, elements(geometry, widest(weights))),
      convolved_(device, elements(geometry, widest(weights))),
      hidden_(device, elements(geometry, widest_hidden(weights))),
      output_(device, elements(geometry, output_pitch())) {}

int NetworkRunner::vector_pitch() const { return padded(weights_.layout().width()); }
int NetworkRunner::side_pitch() const { return padded(kSideVector); }

const int8_t* NetworkRunner::convolve(const Depthwise& layer, const ActiveList& active,
                                      const int8_t* x, const int32_t* list, int rows,
                                      const int16_t* area) {
  const DepthwiseKernel kernel{x,
                               padded(layer.channels),
                               rows,
                               list,
                               active.positions,
                               active.index,
                               area,
                               tokens_x_,
                               tokens_y_,
                               layer.w,
                               layer.b,
                               layer.m,
                               layer.channels,
                               layer.shift,
                               convolved_.data()};
  device_.launch(kernel, kernel.blocks());
  return convolved_.data();
}

void NetworkRunner::feed_forward(const Ffn& ffn, const int8_t* d, int rows, int16_t* x,
                                 const Requant* next, int8_t* out8) {
  LinearKernel first = linear_kernel(ffn.fc1, d, rows);
  first.table = ffn.table;
  first.out8 = hidden_.data();
  first.out8_pitch = ffn.fc2.k;
  device_.launch(first, first.blocks());
  LinearKernel second = linear_kernel(ffn.fc2, hidden_.data(), rows);
  second.wide = true;
  second.added = x;
  second.added_pitch = padded(ffn.fc2.n);
  second.out16 = x;
  second.out16_pitch = padded(ffn.fc2.n);
  if (next != nullptr) {
    second.next_m = next->m;
    second.next_shift = next->shift;
    second.out8 = out8;
    second.out8_pitch = padded(ffn.fc2.n);
  }
  device_.launch(second, second.blocks());
}

// Leaves rq8(x; f) in narrow_.
void NetworkRunner::run(const Stack& stack, const Linear& tok, const Linear& side,
                        const ActiveList& active) {
  const int pitch = padded(stack.size.width);
  const auto next = [&](size_t block) -> const Requant& {
    return block < stack.blocks.size() ? stack.blocks[block].ffn.in : stack.f;
  };
  LinearKernel from_tokens = linear_kernel(tok, vectors_.data(), active.count);
  from_tokens.wide = true;
  from_tokens.out16 = stream_.data();
  from_tokens.out16_pitch = pitch;
  device_.launch(from_tokens, from_tokens.blocks());
  LinearKernel from_side = linear_kernel(side, side_.data(), active.count);
  from_side.split = true;
  from_side.wide = true;
  from_side.added = stream_.data();
  from_side.added_pitch = pitch;
  from_side.out16 = stream_.data();
  from_side.out16_pitch = pitch;
  from_side.next_m = next(0).m;
  from_side.next_shift = next(0).shift;
  from_side.out8 = narrow_.data();
  from_side.out8_pitch = pitch;
  device_.launch(from_side, from_side.blocks());
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const ResidualBlock& block = stack.blocks[i];
    const int8_t* d = convolve(block.dw, active, narrow_.data(), nullptr, active.count, nullptr);
    feed_forward(block.ffn, d, active.count, stream_.data(), &next(i + 1), narrow_.data());
  }
}

void NetworkRunner::synthesis(const ActiveList& active) {
  const Synthesis& layers = weights_.synthesis();
  run(layers.stack, layers.tok, layers.side, active);
  LinearKernel out = linear_kernel(layers.out, narrow_.data(), active.count);
  out.wide = true;
  out.out16 = output_.data();
  out.out16_pitch = output_pitch();
  device_.launch(out, out.blocks());
}

void NetworkRunner::trunk(const ActiveList& active, int16_t* flags) {
  const PriorLayers& layers = weights_.prior();
  run(layers.stack, layers.tok, layers.side, active);
  LinearKernel out = linear_kernel(layers.flag, narrow_.data(), active.count);
  out.wide = true;
  out.out16 = flags;
  out.out16_pitch = layers.flag.n;
  device_.launch(out, out.blocks());
}

}  // namespace bsq::cuda
