// Decides on the Wiener filters of a frame: new ones by least squares, earlier ones, or none, by
// squared error and rate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/wiener.h"

namespace bsq {

// What says how much squared error any filter leaves in an area: products of the differences that
// taps weigh, with each other and with the error to correct.
struct WienerStatistics {
  std::array<std::array<float, kWienerTaps>, kWienerTaps> products{};
  std::array<float, kWienerTaps> errors{};

  void add(const WienerStatistics& other);
  // The change of the squared error by a filter, negative if it falls.
  double change(const WienerTaps& taps, size_t count) const;
};

class WienerDecision {
 public:
  // The source and the deblocked frame; before choose(). `sample_coded`: by token, not 0 for those
  // that no filter changes.
  void measure(const Frame& source, const WienerFilter& decoded, const Geometry& geometry,
               const std::vector<uint8_t>& sample_coded, ThreadPool& pool);
  // Sets the choices of the tile of that index; several tiles may be chosen for at once. `q`: of
  // the last layer.
  void choose(int q, bool keyframe, SymbolTile& tile, size_t index);

 private:
  // Of a tile.
  struct Memory {
    std::vector<size_t> superblocks;
    WienerChoice best;
    WienerChoice trial;
  };

  void measure_row(int plane, int sy, const Frame& source, const WienerFilter& decoded,
                   const std::vector<uint8_t>& sample_coded);
  WienerStatistics& at(int plane, size_t superblock, size_t number) {
    const auto p = static_cast<size_t>(plane);
    return statistics_[p][superblock * wiener_classes(plane) + number];
  }

  // The same for one plane of a tile.
  class PlaneChoice;

  const Geometry* geometry_ = nullptr;
  std::array<std::vector<WienerStatistics>, 3> statistics_;  // by superblock and class
  std::vector<Memory> memory_;                               // by tile
};

}  // namespace bsq
