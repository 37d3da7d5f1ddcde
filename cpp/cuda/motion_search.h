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
  // For frames of this size and these tiles; takes all its memory here. The device must
  // outlive the search.
  DeviceSearch(Device& device, const Geometry& geometry);

  // Searches from `reference` to `source`, luma in the device's memory, and waits for the result.
  // `field` holds the vectors of the frame before, which are tried too unless its size differs,
  // and then those found. `tiles` are those of the geometry, in its order; the configuration's
  // kernels are not used.
  void run(const Planes& source, const Planes& reference, const MotionSearchConfig& config,
           std::span<const MotionSearchTile> tiles, MotionField& field);

 private:
  // Memory of a frame in three sizes.
  struct Pyramid {
    DeviceArray<uint8_t> samples;
    SearchLevels levels{};

    Pyramid(Device& device, int width, int height);
  };

  void list_superblocks();
  void send_tiles(std::span<const MotionSearchTile> tiles);
  void send_previous(const MotionField& field);
  void queue_coarse(const Planes& source, const Planes& reference, int range, int lambda);
  void queue_refinement(bool has_previous, int lambda);

  Device& device_;
  const MotionField shape_;
  const std::vector<SuperblockRect> areas_;
  Pyramid current_;
  Pyramid reference_;
  PhasePlanes phases_{};
  DeviceArray<uint8_t> phase_samples_;
  DeviceArray<CoarseResult> coarse_;
  DeviceArray<uint8_t> differs_;
  Mirror<SearchTile> tiles_;
  Mirror<Vector> previous_;
  Mirror<Vector> vectors_;
  Mirror<uint8_t> split_;
  Mirror<SearchSuperblock> superblocks_;  // by diagonal
  std::vector<int64_t> diagonals_;        // where each of them begins, and the end
};

}  // namespace bsq::cuda
