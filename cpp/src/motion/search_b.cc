// The steps of the motion search of B frames, coarse and fine.
#include "motion/search_b.h"

namespace bsq {

void BMotionSearch::search_coarse(const SearchFrame& current, const SearchReferences& references,
                                  const MotionSearchConfig& config, ThreadPool& pool) {
  const auto columns = static_cast<size_t>(field_.superblocks_x);
  const size_t count = field_.split.size();
  for (auto& coarse : coarse_) coarse.resize(count);
  pool.parallel_rows(2 * count, [&](size_t i) {
    const size_t reference = i / count;
    const size_t at = i % count;
    const CoarseSearch search({current, references[reference]->frame()}, config.allowed_range(),
                              config.scaled_lambda(), config.shifts[reference], *config.kernels);
    coarse_[reference][at] =
        search.search_superblock(static_cast<int>(at % columns) * kSuperblockSize,
                                 static_cast<int>(at / columns) * kSuperblockSize);
  });
}

const MotionField& BMotionSearch::run(const SearchFrame& current,
                                      const SearchReferences& references,
                                      const MotionSearchConfig& config,
                                      const TemporalMotion& temporal,
                                      const ReferenceDistances& distances,
                                      std::span<const BMotionSearchTile> tiles, ThreadPool& pool) {
  field_.reset(current.width(0), current.height(0));
  field_.set_b(true);
  marks_.assign(field_.mv.size(), 0);
  search_coarse(current, references, config, pool);
  const BSearchTask task{current,
                         references,
                         *config.kernels,
                         config.scaled_lambda(),
                         config.pair_rounds,
                         coarse_,
                         temporal,
                         distances,
                         field_,
                         marks_};
  refiners_.resize(static_cast<size_t>(pool.threads()));
  rows_.run(tiles, pool,
            [&](size_t lane) -> BSuperblockRefiner& { return refiners_[lane].emplace(task); });
  return field_;
}

}  // namespace bsq
