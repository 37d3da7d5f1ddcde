// The list of all kernels; what runs them goes by the place in it.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/kernels/coded_tokens.h"
#include "cuda/kernels/deblock.h"
#include "cuda/kernels/depthwise.h"
#include "cuda/kernels/head.h"
#include "cuda/kernels/linear.h"
#include "cuda/kernels/motion.h"
#include "cuda/kernels/rdo.h"
#include "cuda/kernels/response.h"
#include "cuda/kernels/samples.h"
#include "cuda/kernels/search_refine.h"
#include "cuda/kernels/tokens.h"
#include "cuda/kernels/wiener.h"

namespace bsq::cuda {

using AllKernels =
    std::tuple<LinearKernel, DepthwiseKernel, HeadKernel, ExpandTokensKernel, StoreStagesKernel,
               StoreBitsKernel, FillKernel, SideKernel, ReconstructKernel, ExportKernel,
               CompensateKernel, EnlargeKernel, EdgeKernel, DeblockKernel, CodedTokensKernel,
               MarkKernel, FeaturesKernel, SignsKernel, CountKernel, RdoqKernel, ZeroOutKernel,
               LowerCostKernel, ErrorVectorKernel, ResponseKernel, ErrorKernel, ShrinkKernel,
               SearchFrameKernel, PhaseKernel, CoarseKernel, RefineKernel, WienerDetailKernel,
               WienerClassKernel, WienerKernel>;

template <class Kernel, size_t... I>
constexpr size_t kernel_index(std::index_sequence<I...>) {
  return ((std::is_same_v<Kernel, std::tuple_element_t<I, AllKernels>> ? I + 1 : 0) + ...) - 1;
}
template <class Kernel>
inline constexpr size_t kKernelIndex =
    kernel_index<Kernel>(std::make_index_sequence<std::tuple_size_v<AllKernels>>());

// fn(kernel) with the kernel as its own type, which is that of `index`.
template <size_t kFrom = 0, class Fn>
void with_kernel(size_t index, const void* kernel, const Fn& fn) {
  if constexpr (kFrom < std::tuple_size_v<AllKernels>) {
    if (index == kFrom) {
      fn(*static_cast<const std::tuple_element_t<kFrom, AllKernels>*>(kernel));
    } else {
      with_kernel<kFrom + 1>(index, kernel, fn);
    }
  }
}

}  // namespace bsq::cuda
