// The choice of a kernel set at run time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.h"

namespace bsq {

// Kernel sets that this build has and this processor can run, best first. Never empty: "scalar" is
// always there.
const std::vector<const KernelTable*>& available_kernels();

// Their names, separated by commas.
std::string kernel_set_names();

// The set of that name. Throws Error: BSQ_ERROR_ARGUMENT for a name that no build knows,
// BSQ_ERROR_UNSUPPORTED for a set that this build or this processor lacks.
const KernelTable& find_kernels(std::string_view name);

// Forces a set for all later current_kernels() of the process; an empty name goes back to the
// automatic choice. Throws like find_kernels().
void set_kernels(std::string_view name);

// The set that new encoders and decoders use: the one that was forced; otherwise the one named by
// the environment variable BSQ_KERNELS, if that is set and not empty; otherwise the best. Throws
// like find_kernels() when the variable names no usable set.
const KernelTable& current_kernels();

}  // namespace bsq
