// Residual networks on the active tokens of a frame, as launches over all of them.
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

// Of a size of the networks that run.
template <class Size>
int widest(const WeightSets& sets, bool encodes, const Size& size) {
  int found = 0;
  for (const bool keyframe : {false, true}) {
    const NetworkSizes& sizes = sets.of(keyframe).sizes();
    found = std::max({found, size(sizes.decoder), size(sizes.prior)});
    if (encodes) found = std::max(found, size(sizes.encoder));
  }
  return padded(found);
}

int width(const NetworkSize& size) { return size.width; }
int hidden(const NetworkSize& size) { return size.hidden; }

// What requantizes the stream for block i, or after the last one.
const Requant& after(const Stack& stack, size_t i) {
  return i < stack.blocks.size() ? stack.blocks[i].ffn.in : stack.f;
}

}  // namespace

NetworkRunner::NetworkRunner(Device& device, const WeightSets& sets, const Geometry& geometry,
                             bool encodes)
    : device_(device),
      weights_(sets.keyframes.get()),
      tokens_x_(geometry.tokens_x),
      tokens_y_(geometry.tokens_y),
      vectors_(device, elements(geometry, padded(weights_->layout().width()))),
      side_(device, elements(geometry, 2 * padded(kSideVector))),
      features_(device, encodes ? elements(geometry, 2 * weights_->analysis().in.k) : 0),
      stream_(device, elements(geometry, widest(sets, encodes, width))),
      trunk_stream_(device, elements(geometry, padded(sets.widest_prior()))),
      narrow_(device, elements(geometry, widest(sets, encodes, width))),
      convolved_(device, elements(geometry, widest(sets, encodes, width))),
      hidden_(device, elements(geometry, widest(sets, encodes, hidden))),
      output_(device, elements(geometry, output_pitch())),
      latents_(device, encodes ? elements(geometry, padded(weights_->analysis().head.n)) : 0) {}

int NetworkRunner::vector_pitch() const { return padded(weights_->layout().width()); }
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
  device_.launch(kernel);
  return convolved_.data();
}

void NetworkRunner::feed_forward(const Ffn& ffn, const int8_t* d, int rows, int16_t* x,
                                 const Requant* next, int8_t* out8) {
  LinearKernel first = linear_kernel(ffn.fc1, d, rows);
  first.table = ffn.table;
  first.out8 = hidden_.data();
  first.out8_pitch = ffn.fc2.k;
  device_.launch(first);
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
  device_.launch(second);
}

// Leaves rq8(x; f) in narrow_.
void NetworkRunner::run(const Stack& stack, const Linear& tok, const Linear& side,
                        const ActiveList& active, int16_t* stream) {
  const int pitch = padded(stack.size.width);
  LinearKernel from_tokens = linear_kernel(tok, vectors_.data(), active.count);
  from_tokens.wide = true;
  from_tokens.out16 = stream;
  from_tokens.out16_pitch = pitch;
  device_.launch(from_tokens);
  LinearKernel from_side = linear_kernel(side, side_.data(), active.count);
  from_side.split = true;
  from_side.added = stream;
  from_side.added_pitch = pitch;
  begin(stack, from_side, stream);
  blocks(stack, active, stream);
}

// Launches the layer whose output begins the stream.
void NetworkRunner::begin(const Stack& stack, LinearKernel& first, int16_t* stream) {
  const int pitch = padded(stack.size.width);
  first.wide = true;
  first.out16 = stream;
  first.out16_pitch = pitch;
  first.next_m = after(stack, 0).m;
  first.next_shift = after(stack, 0).shift;
  first.out8 = narrow_.data();
  first.out8_pitch = pitch;
  device_.launch(first);
}

void NetworkRunner::blocks(const Stack& stack, const ActiveList& active, int16_t* stream) {
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const ResidualBlock& block = stack.blocks[i];
    const int8_t* d = convolve(block.dw, active, narrow_.data(), nullptr, active.count, nullptr);
    feed_forward(block.ffn, d, active.count, stream, &after(stack, i + 1), narrow_.data());
  }
}

void NetworkRunner::analysis(const ActiveList& active) {
  const Analysis& layers = weights_->analysis();
  LinearKernel in = linear_kernel(layers.in, features_.data(), active.count);
  in.split = true;
  begin(layers.stack, in, stream_.data());
  blocks(layers.stack, active, stream_.data());
  LinearKernel head = linear_kernel(layers.head, narrow_.data(), active.count);
  head.out8 = latents_.data();
  head.out8_pitch = latent_pitch();
  device_.launch(head);
}

void NetworkRunner::response(int neighbour, const ActiveList& active) {
  const Linear& layer = weights_->analysis().around[static_cast<size_t>(neighbour)];
  if (gains_.size() == 0) {
    gains_ = DeviceArray<int16_t>(device_, latents_.size());
  }
  LinearKernel kernel = linear_kernel(layer, errors(), active.count);
  kernel.split = true;
  kernel.wide = true;
  kernel.added = neighbour == 0 ? nullptr : gains_.data();
  kernel.added_pitch = latent_pitch();
  kernel.out16 = gains_.data();
  kernel.out16_pitch = latent_pitch();
  device_.launch(kernel);
}

void NetworkRunner::synthesis(const ActiveList& active) {
  const Synthesis& layers = weights_->synthesis();
  run(layers.stack, layers.tok, layers.side, active, stream_.data());
  LinearKernel out = linear_kernel(layers.out, narrow_.data(), active.count);
  out.wide = true;
  out.out16 = output_.data();
  out.out16_pitch = output_pitch();
  device_.launch(out);
}

void NetworkRunner::trunk(const ActiveList& active, int16_t* flags) {
  const PriorLayers& layers = weights_->prior();
  run(layers.stack, layers.tok, layers.side, active, trunk_stream_.data());
  LinearKernel out = linear_kernel(layers.flag, narrow_.data(), active.count);
  out.wide = true;
  out.out16 = flags;
  out.out16_pitch = layers.flag.n;
  device_.launch(out);
}

}  // namespace bsq::cuda
