// The steps of the motion search of P frames, coarse and fine.
#include "motion/search.h"

namespace bsq {

const MotionField& MotionSearch::run(const SearchFrame& current, const SearchReference& reference,
                                     const MotionSearchConfig& config, const MotionField* previous,
                                     std::span<const MotionSearchTile> tiles, ThreadPool& pool) {
  const int lambda = config.scaled_lambda();
  field_.reset(current.width(0), current.height(0));
  if (previous && (previous->subblocks_x != field_.subblocks_x ||
                   previous->subblocks_y != field_.subblocks_y)) {
    previous = nullptr;
  }
  const SearchKernels& kernels = *config.kernels;
  const SearchPair pair{current, reference.frame()};
  const CoarseSearch search(pair, config.allowed_range(), lambda, config.shifts[0], kernels);
  coarse_.resize(field_.split.size());
  pool.parallel_rows(coarse_.size(), [&](size_t i) {
    const auto columns = static_cast<size_t>(field_.superblocks_x);
    coarse_[i] = search.search_superblock(static_cast<int>(i % columns) * kSuperblockSize,
                                          static_cast<int>(i / columns) * kSuperblockSize);
  });
  differs_.assign(field_.mv.size(), 0);
  const RefineTask task{pair,    reference.phases(), kernels, lambda,
                        coarse_, previous,           field_,  differs_};
  refiners_.resize(static_cast<size_t>(pool.threads()));
  rows_.run(tiles, pool,
            [&](size_t lane) -> SuperblockRefiner& { return refiners_[lane].emplace(task); });
  return field_;
}

}  // namespace bsq
