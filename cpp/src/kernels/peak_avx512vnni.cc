// The bare loop that the AVX-512 VNNI kernels are measured against. Compiled with flags of its own:
// nothing but kernel_table.h and intrinsics may be included here.
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace bsq {

// Twelve sums hide the latency of the product. One block of instructions, since compilers move an
// array of sums to memory and back.
int64_t peak_avx512vnni(int64_t rounds, int32_t* sums) {
  const __m512i x = _mm512_set1_epi8(3);
  const __m512i w = _mm512_set1_epi8(5);
  const __m512i zero = _mm512_setzero_si512();
  __m512i s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero,
          s8 = zero, s9 = zero, s10 = zero, s11 = zero;
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile(
        "vpdpbusd %13, %12, %0\n\t"
        "vpdpbusd %13, %12, %1\n\t"
        "vpdpbusd %13, %12, %2\n\t"
        "vpdpbusd %13, %12, %3\n\t"
        "vpdpbusd %13, %12, %4\n\t"
        "vpdpbusd %13, %12, %5\n\t"
        "vpdpbusd %13, %12, %6\n\t"
        "vpdpbusd %13, %12, %7\n\t"
        "vpdpbusd %13, %12, %8\n\t"
        "vpdpbusd %13, %12, %9\n\t"
        "vpdpbusd %13, %12, %10\n\t"
        "vpdpbusd %13, %12, %11\n\t"
        : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7), "+v"(s8),
          "+v"(s9), "+v"(s10), "+v"(s11)
        : "v"(x), "v"(w));
  }
  s0 = _mm512_add_epi32(s0, s1);
  s0 = _mm512_add_epi32(s0, s2);
  s0 = _mm512_add_epi32(s0, s3);
  s0 = _mm512_add_epi32(s0, s4);
  s0 = _mm512_add_epi32(s0, s5);
  s0 = _mm512_add_epi32(s0, s6);
  s0 = _mm512_add_epi32(s0, s7);
  s0 = _mm512_add_epi32(s0, s8);
  s0 = _mm512_add_epi32(s0, s9);
  s0 = _mm512_add_epi32(s0, s10);
  s0 = _mm512_add_epi32(s0, s11);
  _mm512_storeu_si512(sums, s0);
  return rounds * 12 * 64;
}

}  // namespace bsq
