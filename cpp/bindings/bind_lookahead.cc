// Python interface of the encoder's lookahead, for tests: groups of frames and propagation cost.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "base/thread_pool.h"
#include "bitstream/sequence_header.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/encoder/gop_control.h"
#include "codec/encoder/gop_planner.h"
#include "codec/encoder/gop_structure.h"
#include "codec/encoder/input_queue.h"
#include "codec/encoder/setting_table.h"
#include "kernels/dispatch.h"
#include "motion_arrays.h"

namespace py = pybind11;

namespace bsq {

void bind_lookahead(py::module_& m);

namespace {

using Index = std::optional<int>;
using FrameTuple = std::tuple<int, Index, Index, Index, int, Index>;

Index optional_of(int value) { return value == GopFrame::kNone ? std::nullopt : Index(value); }

FrameTuple tuple_of(const GopFrame& frame) {
  return {
      frame.index, optional_of(frame.first), optional_of(frame.second), optional_of(frame.other),
      frame.level, optional_of(frame.slot)};
}

// The lookahead of an encoder that codes nothing.
class PlannedStream {
 public:
  using Packet = std::pair<std::vector<FrameTuple>, std::vector<std::vector<double>>>;

  PlannedStream(const bsq_encoder_config& config, const Geometry& geometry, ThreadPool& pool)
      : header_(header_of(config)),
        input_(config, GopPlanner::group_of(config), search_kernels(current_kernels()), pool),
        gop_(config, header_),
        planner_(config, geometry, gop_, input_) {}

  void push(const bsq_frame& frame) {
    input_.push(frame);
    if (input_.full()) take_packet();
  }
  std::vector<Packet> flush() {
    while (!input_.empty()) take_packet();
    return std::move(packets_);
  }

 private:
  static SequenceHeader header_of(const bsq_encoder_config& config) {
    SequenceHeader header;
    header.info = config.sequence;
    header.ticks_per_frame = 1;
    return header;
  }

  void take_packet() {
    const SourceFrame& front = input_.next();
    if (!front.context_only) {
      Packet packet;
      const std::span<const GopFrame> frames = planner_.plan();
      for (size_t i = 0; i < frames.size(); ++i) {
        if (frames[i].keyframe()) gop_.begin_group(front);
        const std::span<const double> propagation = planner_.propagation(i);
        packet.first.push_back(tuple_of(frames[i]));
        packet.second.emplace_back(propagation.begin(), propagation.end());
      }
      packets_.push_back(std::move(packet));
      planner_.end_packet();
      gop_.end_frame();
    }
    input_.done();
  }

  const SequenceHeader header_;
  InputQueue input_;
  GopControl gop_;
  GopPlanner planner_;
  std::vector<Packet> packets_;
};

// How the frames of a stream are sent.
struct SendOptions {
  std::vector<size_t> keyframes;
  size_t context_from = 0;
};

std::vector<PlannedStream::Packet> plan_stream(const Samples& samples,
                                               const bsq_encoder_config& config,
                                               const Geometry& geometry,
                                               const SendOptions& options) {
  ThreadPool pool(config.threads);
  PlannedStream stream(config, geometry, pool);
  const size_t width = samples.wide ? sizeof(uint16_t) : sizeof(uint8_t);
  const auto count = static_cast<size_t>(samples.array.shape(0));
  for (size_t i = 0; i < count; ++i) {
    bsq_frame frame{};
    frame.width = samples.width;
    frame.height = samples.height;
    frame.chroma = BSQ_CHROMA_GRAY;
    frame.bit_depth = config.sequence.bit_depth;
    frame.planes[0] = static_cast<const uint8_t*>(samples.data) + i * samples.plane_size * width;
    frame.strides[0] = static_cast<ptrdiff_t>(static_cast<size_t>(samples.width) * width);
    frame.pts = static_cast<int64_t>(i);
    frame.context_only = i >= options.context_from ? 1 : 0;
    const auto& keyframes = options.keyframes;
    frame.keyframe = std::find(keyframes.begin(), keyframes.end(), i) != keyframes.end() ? 1 : 0;
    stream.push(frame);
  }
  return stream.flush();
}

py::list list_of(const PlannedStream::Packet& packet, const Geometry& geometry) {
  py::list result;
  for (size_t i = 0; i < packet.first.size(); ++i) {
    py::object map = py::none();
    if (!packet.second[i].empty()) {
      Array<double> array(Shape{geometry.superblocks_y, geometry.superblocks_x});
      std::copy(packet.second[i].begin(), packet.second[i].end(), array.mutable_data());
      map = array;
    }
    result.append(py::make_tuple(packet.first[i], map));
  }
  return result;
}

py::list planned_packets(const py::object& frames, int lookahead, int bframes, int gop,
                         bool scene_cut, std::vector<size_t> keyframes,
                         std::optional<size_t> context_from, int threads) {
  const Samples samples(frames, 3, "frames");
  check_luma(samples, "frames");
  bsq_encoder_config config;
  bsq_encoder_config_init(&config);
  config.sequence.width = samples.width;
  config.sequence.height = samples.height;
  config.sequence.chroma = BSQ_CHROMA_GRAY;
  config.sequence.bit_depth = samples.wide ? 10 : 8;
  config.lookahead = lookahead;
  config.bframes = bframes;
  config.gop = gop;
  config.scene_cut = scene_cut ? 1 : 0;
  config.threads = threads;
  check_settings(config);
  const Geometry geometry = component_geometries(config.sequence).front();
  const auto count = static_cast<size_t>(samples.array.shape(0));
  const SendOptions options{std::move(keyframes), context_from.value_or(count)};
  std::vector<PlannedStream::Packet> packets;
  {
    const py::gil_scoped_release release;
    packets = plan_stream(samples, config, geometry, options);
  }
  py::list result;
  for (const auto& packet : packets) result.append(list_of(packet, geometry));
  return result;
}

std::vector<FrameTuple> group_frames(const std::vector<int>& sizes) {
  std::vector<GopFrame> frames;
  GroupStart start;
  for (const int size : sizes) {
    if (size < 1 || size > kMaxGroup) fail("a group has 1 to 16 frames");
    append_group(start, start.index + size, frames);
  }
  std::vector<FrameTuple> tuples;
  tuples.reserve(frames.size());
  for (const GopFrame& frame : frames) tuples.push_back(tuple_of(frame));
  return tuples;
}

}  // namespace

void bind_lookahead(py::module_& m) {
  m.def("group_frames", &group_frames, py::arg("sizes"),
        R"(The frames of hierarchical groups of these sizes after a keyframe, in coding order.

Returns tuples (index in the GOP, first reference, second reference, what else an anchor may have for its second
reference, level, slot), None where there is none.)");
  m.def("planned_packets", &planned_packets, py::arg("frames"), py::kw_only(),
        py::arg("lookahead") = 24, py::arg("bframes") = 7, py::arg("gop") = 250,
        py::arg("scene_cut") = true, py::arg("keyframes") = std::vector<size_t>(),
        py::arg("context_from") = py::none(), py::arg("threads") = 1,
        R"(What an encoder's lookahead plans for each packet of a stream of luma planes.

frames: uint8, or uint16 of 10 bits [N, H, W], H and W multiples of 8. keyframes: numbers of frames that are asked to be
one. context_from: number of the first frame that is context only. Returns for each packet a list of
pairs: a tuple of a frame as group_frames() gives it, and its propagation cost on every superblock in
octaves, float64 [ceil(H/32), ceil(W/32)], or None without a lookahead.)");
}

}  // namespace bsq
