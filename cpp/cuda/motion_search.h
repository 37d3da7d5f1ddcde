// The encoder's motion search on a device: the very field that MotionSearch of motion/search.h
// finds.
#pragma once

#include <span>
#include <vector>

#include "codec/common/geometry.h"
#include "cuda/device.h"
#include "motion/motion_field.h"
#include "motion/search.h"

namespace bsq::cuda {

class DeviceSearch {
 public:
  // For pictures of this size and these entropy blocks; takes all its memory here. The device must
  // outlive the search.
  DeviceSearch(Device& device, const Geometry& geometry);

  // Searches from `reference` to `source`, luma in the device's memory, and waits for the result.
  // `field` holds the vectors of the picture before, which are tried too unless its size differs,
  // and then those found. `blocks` are those of the geometry, in its order; the configuration's
  // kernels are not used.
  void run(const Planes& source, const Planes& reference, const MotionSearchConfig& config,
           std::span<const MotionSearchBlock> blocks, MotionField& field);

 private:
  // Memory of a picture in three sizes.
  struct Picture {
    DeviceArray<uint8_t> samples;
    SearchLevels levels{};

    Picture(Device& device, int width, int height);
  };

  void list_windows();
  void send_blocks(std::span<const MotionSearchBlock> blocks);
  void send_previous(const MotionField& field);
  void queue_coarse(const Planes& source, const Planes& reference, int range, int lambda);
  void queue_refinement(bool has_previous, int lambda);

  Device& device_;
  const MotionField shape_;
  const std::vector<Block> areas_;
  Picture current_;
  Picture reference_;
  PhasePlanes phases_{};
  DeviceArray<uint8_t> phase_samples_;
  DeviceArray<CoarseResult> coarse_;
  DeviceArray<uint8_t> differs_;
  Mirror<SearchBlock> blocks_;
  Mirror<Vector> previous_;
  Mirror<Vector> vectors_;
  Mirror<uint8_t> split_;
  Mirror<SearchWindow> windows_;    // by diagonal
  std::vector<int64_t> diagonals_;  // where each of them begins, and the end
};

}  // namespace bsq::cuda
