// The choice of a kernel set at run time.
#include "kernels/dispatch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "base/status.h"

namespace bsq {
namespace {

// Every name that some build has, so that a typing error and a missing instruction set get
// different messages.
constexpr std::array<std::string_view, 5> kNames = {"avx512vnni", "avx2", "neondot", "neon",
                                                    "scalar"};
constexpr const char* kVariable = "BSQ_KERNELS";

std::atomic<const KernelTable*> forced{nullptr};

#ifdef BSQ_HAVE_NEONDOT
// NEON belongs to every 64-bit Arm processor, its dot product does not.
bool has_dot_product() {
#if defined(__ARM_FEATURE_DOTPROD)
  return true;  // the compiler was told so for the whole library
#elif defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, nullptr, 0) == 0 && value != 0;
#else
  return false;  // no way to ask is known
#endif
}
#endif

std::vector<const KernelTable*> detect() {
  std::vector<const KernelTable*> sets;
#ifdef BSQ_HAVE_AVX512VNNI
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vnni") != 0 &&
      __builtin_cpu_supports("avx512vbmi") != 0) {
    sets.push_back(&kKernelsAvx512Vnni);
  }
#endif
#ifdef BSQ_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    sets.push_back(&kKernelsAvx2);
  }
#endif
#ifdef BSQ_HAVE_NEONDOT
  if (has_dot_product()) sets.push_back(&kKernelsNeonDot);
#endif
#ifdef BSQ_HAVE_NEON
  sets.push_back(&kKernelsNeon);
#endif
  sets.push_back(&kKernelsScalar);
  return sets;
}

[[noreturn]] void fail(std::string_view name, const std::string& origin) {
  const bool known = std::find(kNames.begin(), kNames.end(), name) != kNames.end();
  const std::string quoted = origin + "kernel set \"" + std::string(name) + "\"";
  if (known) {
    throw Error(BSQ_ERROR_UNSUPPORTED, quoted +
                                           " needs instructions that this processor or this build "
                                           "lacks; usable here: " +
                                           kernel_set_names());
  }
  throw Error(BSQ_ERROR_ARGUMENT, quoted + " does not exist; usable here: " + kernel_set_names());
}

const KernelTable& find(std::string_view name, const std::string& origin) {
  for (const KernelTable* set : available_kernels()) {
    if (name == set->name) return *set;
  }
  fail(name, origin);
}

}  // namespace

const std::vector<const KernelTable*>& available_kernels() {
  static const std::vector<const KernelTable*> sets = detect();
  return sets;
}

std::string kernel_set_names() {
  std::string names;
  for (const KernelTable* set : available_kernels()) {
    if (!names.empty()) names += ',';
    names += set->name;
  }
  return names;
}

const KernelTable& find_kernels(std::string_view name) { return find(name, ""); }

void set_kernels(std::string_view name) {
  forced.store(name.empty() ? nullptr : &find_kernels(name));
}

const KernelTable& current_kernels() {
  if (const KernelTable* set = forced.load()) return *set;
  const char* variable = std::getenv(kVariable);
  if (variable != nullptr && *variable != '\0') {
    return find(variable, std::string("environment variable ") + kVariable + ": ");
  }
  return *available_kernels().front();
}

}  // namespace bsq
