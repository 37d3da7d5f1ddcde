// Queues the steps of the motion search.
#include "cuda/motion_search.h"

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "motion/interpolate.h"
#include "motion/search_rates.h"

namespace bsq::cuda {

namespace {

constexpr int kAlignment = 16;
constexpr size_t kBeyond = 64;  // bytes that may be read after the last sample

int aligned(int value, int unit) { return (value + unit - 1) / unit * unit; }

// Luma of the coded size.
MotionField shape_of(const Geometry& geometry) {
  return {geometry.coded_width(), geometry.coded_height()};
}

size_t level_bytes(const SearchLevel& level) {
  return static_cast<size_t>(level.stride) * static_cast<size_t>(level.height + 2 * kSearchPad);
}

size_t place_phases(int width, int height, PhasePlanes& planes) {
  planes.stride = aligned(width + 2 * kPhaseReach, PhaseKernel::kTileWidth);
  planes.plane = int64_t{planes.stride} * (height + 2 * kPhaseReach);
  return 16 * static_cast<size_t>(planes.plane) + kBeyond;
}

template <class Flags, size_t kCount>
void copy_flags(const std::array<Flags, kCount>& from, int32_t (&to)[kCount][2]) {
  for (size_t i = 0; i < kCount; ++i) std::copy_n(from[i].data(), 2, to[i]);
}

SearchTile tile_of(const MotionSearchTile& from) {
  const SuperblockRect& r = from.superblocks;
  const MotionRates& rates = from.rates;
  SearchTile tile{r.x_begin, r.y_begin, r.x_end, r.y_end, rates.fine ? 1 : 0, {}, {}, {}, {}, {}};
  copy_flags(rates.split, tile.split);
  copy_flags(rates.subblock_split, tile.subblock_split);
  for (size_t size = 0; size < rates.same.size(); ++size) {
    copy_flags(rates.same[size], tile.same[size]);
  }
  std::copy(rates.x.begin(), rates.x.end(), tile.x);
  std::copy(rates.y.begin(), rates.y.end(), tile.y);
  return tile;
}

static_assert(kOneBit == MotionRates::kOneBit);
static_assert(sizeof(Vector) == sizeof(Mv));

}  // namespace

DeviceSearch::Pyramid::Pyramid(Device& device, int width, int height) {
  size_t bytes = kBeyond;
  for (int i = 0; i < kSearchLevels; ++i) {
    levels.level[i] = {nullptr, width >> i, height >> i,
                       aligned((width >> i) + 2 * kSearchPad, kAlignment)};
    bytes += level_bytes(levels.level[i]);
  }
  samples = DeviceArray<uint8_t>(device, bytes);
  uint8_t* next = samples.data();
  for (SearchLevel& level : levels.level) {
    level.origin = next + kSearchPad * level.stride + kSearchPad;
    next += level_bytes(level);
  }
}

DeviceSearch::DeviceSearch(Device& device, const Geometry& geometry)
    : device_(device),
      shape_(shape_of(geometry)),
      areas_(geometry.tiles),
      current_(device, geometry.coded_width(), geometry.coded_height()),
      reference_(device, geometry.coded_width(), geometry.coded_height()),
      phase_samples_(device,
                     place_phases(geometry.coded_width(), geometry.coded_height(), phases_)),
      coarse_(device, shape_.split.size()),
      differs_(device, shape_.mv.size()),
      tiles_(device, areas_.size()),
      previous_(device, shape_.mv.size()),
      vectors_(device, shape_.mv.size()),
      split_(device, shape_.split.size()),
      superblocks_(device, shape_.split.size()) {
  phases_.samples = phase_samples_.data();
  list_superblocks();
}

// A superblock comes after its left, above and above right neighbours in its tile, of which the
// last is on the diagonal i + 2 j = constant before its own.
void DeviceSearch::list_superblocks() {
  int count = 0;
  for (const SuperblockRect& b : areas_) {
    count = std::max(count, b.x_end - b.x_begin + 2 * (b.y_end - b.y_begin - 1));
  }
  int64_t next = 0;
  for (int diagonal = 0; diagonal < count; ++diagonal) {
    diagonals_.push_back(next);
    for (size_t b = 0; b < areas_.size(); ++b) {
      const SuperblockRect& area = areas_[b];
      for (int y = area.y_begin; y < area.y_end; ++y) {
        const int x = area.x_begin + diagonal - 2 * (y - area.y_begin);
        if (x < area.x_begin || x >= area.x_end) continue;
        superblocks_.data()[next++] = {static_cast<int16_t>(x), static_cast<int16_t>(y),
                                       static_cast<int32_t>(b)};
      }
    }
  }
  diagonals_.push_back(next);
  superblocks_.send(device_, static_cast<size_t>(next));
}

void DeviceSearch::send_tiles(std::span<const MotionSearchTile> tiles) {
  bool same = tiles.size() == areas_.size();
  for (size_t i = 0; same && i < tiles.size(); ++i) {
    same = tiles[i].superblocks == areas_[i];
    tiles_.data()[i] = tile_of(tiles[i]);
  }
  if (!same) {
    throw Error(BSQ_ERROR_STATE, "internal error: a motion search over tiles of another geometry");
  }
  tiles_.send(device_, tiles.size());
}

void DeviceSearch::send_previous(const MotionField& field) {
  std::memcpy(previous_.data(), field.mv.data(), field.mv.size() * sizeof(Mv));
  previous_.send(device_, field.mv.size());
}

void DeviceSearch::queue_coarse(const Planes& source, const Planes& reference, int range,
                                int lambda) {
  const SearchFrameKernel pyramids{{source, reference}, {current_.levels, reference_.levels}};
  device_.launch(pyramids);
  PhaseKernel phases{reference_.levels.level[0], phases_, {}};
  static_assert(sizeof phases.filter == sizeof kLumaFilter);
  std::memcpy(phases.filter, kLumaFilter, sizeof phases.filter);
  device_.launch(phases);
  const CoarseKernel coarse{current_.levels,      reference_.levels,    range,         lambda,
                            shape_.superblocks_x, shape_.superblocks_y, coarse_.data()};
  device_.launch(coarse);
}

void DeviceSearch::queue_refinement(bool has_previous, int lambda) {
  RefineKernel kernel{{current_.levels, phases_, lambda},
                      nullptr,
                      0,
                      tiles_.device(),
                      coarse_.data(),
                      shape_.superblocks_x,
                      shape_.superblocks_y,
                      has_previous ? previous_.device() : nullptr,
                      vectors_.device(),
                      differs_.data(),
                      split_.device()};
  for (size_t i = 0; i + 1 < diagonals_.size(); ++i) {
    kernel.superblocks = superblocks_.device() + diagonals_[i];
    kernel.count = diagonals_[i + 1] - diagonals_[i];
    device_.launch(kernel);
  }
}

void DeviceSearch::run(const Planes& source, const Planes& reference,
                       const MotionSearchConfig& config, std::span<const MotionSearchTile> tiles,
                       MotionField& field) {
  const int lambda = config.scaled_lambda();
  const bool has_previous =
      field.subblocks_x == shape_.subblocks_x && field.subblocks_y == shape_.subblocks_y;
  send_tiles(tiles);
  if (has_previous) send_previous(field);
  queue_coarse(source, reference, config.allowed_range(), lambda);
  queue_refinement(has_previous, lambda);
  vectors_.fetch(device_, vectors_.size());
  split_.fetch(device_, split_.size());
  device_.wait();
  field = shape_;
  std::transform(vectors_.data(), vectors_.data() + vectors_.size(), field.mv.begin(),
                 [](Vector v) { return Mv{v.x, v.y}; });
  std::copy_n(split_.data(), field.split.size(), field.split.begin());
}

}  // namespace bsq::cuda
