// crf, quantizer index and step size, and the conversions between them: docs/numerics.md section 3.
//
// crf   0 .. 63 in eighths, what a user asks for: lower is finer
// c     0 .. 504, the quantizer index of a layer as packets hold it: 8 * crf
// q     0 .. 568, the quantizer index of a token: c + 64, moved by the delta q of its superblock
// step  the step size in sample values; 64 quantizer indices double it
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace bsq {

inline constexpr int kQPerCrf = 8;
inline constexpr int kQPerOctave = 64;
inline constexpr double kMaxCrf = 63.0;
inline constexpr int kMaxLayerQ = 504;         // the largest c
inline constexpr int kMaxQ = 568;              // the largest q
inline constexpr int kQOffset = 64;            // q of c = 0
inline constexpr int kMaxDeltaQ = 16;          // delta q of superblocks lie within +- this
inline constexpr int kDeltaQUnit = 8;          // what one of them adds to q
inline constexpr int kLeastChromaOffset = -7;  // in crf
inline constexpr int kUsualChromaOffset = -2;  // networks are trained with it
inline constexpr int kChromaKnee = 320;  // from this q on that of chroma grows by half as much
inline constexpr double kStepOne = 256;  // a step size of one 8-bit sample value, in Q8

constexpr double c_of_crf(double crf) { return kQPerCrf * crf; }
constexpr double crf_of_c(int c) { return static_cast<double>(c) / kQPerCrf; }
constexpr int q_of_c(int c) { return c + kQOffset; }
constexpr int c_of_q(int q) { return q - kQOffset; }
// Rounded to the nearest eighth.
inline int q_of_crf(double crf) { return q_of_c(static_cast<int>(std::lround(c_of_crf(crf)))); }
// Of the nearest q that a layer may have.
constexpr double crf_of_q(int q) { return crf_of_c(std::clamp(c_of_q(q), 0, kMaxLayerQ)); }
// The quantizer index of chroma samples in a token of index q, in a stream with this chroma crf
// offset, -7..0.
constexpr int chroma_q(int q, int crf_offset) {
  return std::max(0, q + kQPerCrf * crf_offset - (std::max(0, q - kChromaKnee) >> 1));
}

// The step size of q in 0..568, in Q8: 256 is one 8-bit sample value. Throws
// Error(BSQ_ERROR_ARGUMENT) outside of that range.
int32_t step_q8(int q);

}  // namespace bsq
