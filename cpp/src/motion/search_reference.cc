// Makes a frame ready to be searched in.
#include "motion/search_reference.h"

#include "base/section_clock.h"

namespace bsq {

void SearchReference::fill(const ConstPlaneView& luma, int bit_depth, const SearchKernels& kernels,
                           ThreadPool& pool) {
  const SectionScope scope(Section::kMotionSearch);
  frame_.fill(luma, bit_depth);
  phases_.allocate(luma.width, luma.height);
  pool.parallel_ranges(
      static_cast<size_t>(phases_.row_count()), [&](size_t begin, size_t end, int) {
        phases_.fill_rows(frame_, kernels, static_cast<int>(begin), static_cast<int>(end));
      });
}

}  // namespace bsq
