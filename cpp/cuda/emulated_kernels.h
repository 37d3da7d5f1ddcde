// The device's kernels behind the interface of a kernel set, so that the tests of kernels run them
// too.
#pragma once

#include "kernels/kernel_table.h"

namespace bsq::cuda {

// On the emulation. Without linear8_s32 and requant8, which no kernel of the device does alone:
// both are null.
extern const KernelTable kEmulatedKernels;

}  // namespace bsq::cuda
