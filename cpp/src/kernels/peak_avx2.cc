// The bare loop that the AVX2 kernels are measured against: widened bytes, whose products are
// exact. Compiled with flags of its own: nothing but kernel_table.h and intrinsics may be included
// here.
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace bsq {

// One block of instructions, since compilers move an array of sums to memory and back.
int64_t peak_avx2(int64_t rounds, int32_t* sums) {
  const __m256i x = _mm256_set1_epi16(3);
  const __m256i w = _mm256_set1_epi16(5);
  const __m256i zero = _mm256_setzero_si256();
  __m256i s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero,
          s8 = zero, s9 = zero;
  __m256i p = zero, q = zero;
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile(
        "vpmaddwd %13, %12, %10\n\t"
        "vpaddd %10, %0, %0\n\t"
        "vpmaddwd %13, %12, %11\n\t"
        "vpaddd %11, %1, %1\n\t"
        "vpmaddwd %13, %12, %10\n\t"
        "vpaddd %10, %2, %2\n\t"
        "vpmaddwd %13, %12, %11\n\t"
        "vpaddd %11, %3, %3\n\t"
        "vpmaddwd %13, %12, %10\n\t"
        "vpaddd %10, %4, %4\n\t"
        "vpmaddwd %13, %12, %11\n\t"
        "vpaddd %11, %5, %5\n\t"
        "vpmaddwd %13, %12, %10\n\t"
        "vpaddd %10, %6, %6\n\t"
        "vpmaddwd %13, %12, %11\n\t"
        "vpaddd %11, %7, %7\n\t"
        "vpmaddwd %13, %12, %10\n\t"
        "vpaddd %10, %8, %8\n\t"
        "vpmaddwd %13, %12, %11\n\t"
        "vpaddd %11, %9, %9\n\t"
        : "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3), "+x"(s4), "+x"(s5), "+x"(s6), "+x"(s7), "+x"(s8),
          "+x"(s9), "+x"(p), "+x"(q)
        : "x"(x), "x"(w));
  }
  s0 = _mm256_add_epi32(s0, s1);
  s0 = _mm256_add_epi32(s0, s2);
  s0 = _mm256_add_epi32(s0, s3);
  s0 = _mm256_add_epi32(s0, s4);
  s0 = _mm256_add_epi32(s0, s5);
  s0 = _mm256_add_epi32(s0, s6);
  s0 = _mm256_add_epi32(s0, s7);
  s0 = _mm256_add_epi32(s0, s8);
  s0 = _mm256_add_epi32(s0, s9);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), s0);
  return rounds * 10 * 16;
}

}  // namespace bsq
