// Runs the motion search over the thread pool.
#include "codec/enc_motion.h"

#include <algorithm>

#include "codec/enc_decide.h"
#include "motion/search.h"
#include "network/samples.h"

namespace bsq {

MotionField search_picture(const Frame& source, const Frame& reference, int q, int range,
                           const Geometry& geometry, const MotionField& previous,
                           ThreadPool& pool) {
  SearchPicture pictures[2];
  const Frame* frames[2] = {&source, &reference};
  pool.parallel_for(2, [&](size_t i) {
    pictures[i] = SearchPicture(frames[i]->planes[0].view(), frames[i]->bit_depth);
  });
  MotionSearchConfig config;
  config.lambda = std::max(kDecisions.motion_lambda * step_q8(q) / 256.0, 0.5);
  config.range = range;
  MotionSearch search(pictures[0], pictures[1], config, &previous);
  pool.parallel_for(static_cast<size_t>(geometry.windows_y), [&](size_t row) {
    search.coarse_rows(static_cast<int>(row), static_cast<int>(row) + 1);
  });
  pool.parallel_for(geometry.blocks.size(), [&](size_t i) {
    const Block& b = geometry.blocks[i];
    search.refine({b.x_begin, b.y_begin, b.x_end, b.y_end});
  });
  return search.field();
}

}  // namespace bsq
