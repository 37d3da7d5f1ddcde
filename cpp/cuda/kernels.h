// The list of all kernels; what runs them goes by the place in it.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/kernel_choose.h"
#include "cuda/kernel_deblock.h"
#include "cuda/kernel_depthwise.h"
#include "cuda/kernel_head.h"
#include "cuda/kernel_judge.h"
#include "cuda/kernel_linear.h"
#include "cuda/kernel_motion.h"
#include "cuda/kernel_refine.h"
#include "cuda/kernel_samples.h"
#include "cuda/kernel_tokens.h"

namespace bsq::cuda {

using AllKernels =
    std::tuple<LinearKernel, DepthwiseKernel, HeadKernel, ExpandTokensKernel, StoreStagesKernel,
               StoreBitsKernel, FillKernel, SideKernel, ReconstructKernel, ExportKernel,
               CompensateKernel, EnlargeKernel, EdgeKernel, DeblockKernel, CandidatesKernel,
               MarkKernel, FeaturesKernel, SignsKernel, CountKernel, BillKernel, DropKernel,
               BetterKernel, ErrorKernel, ShrinkKernel, SearchPictureKernel, PhaseKernel,
               CoarseKernel, RefineKernel>;

template <class Kernel, size_t... I>
constexpr size_t kernel_index(std::index_sequence<I...>) {
  return ((std::is_same_v<Kernel, std::tuple_element_t<I, AllKernels>> ? I + 1 : 0) + ...) - 1;
}
template <class Kernel>
inline constexpr size_t kKernelIndex =
    kernel_index<Kernel>(std::make_index_sequence<std::tuple_size_v<AllKernels>>());

}  // namespace bsq::cuda
