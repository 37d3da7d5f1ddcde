// SHA-256 (FIPS 180-4), which names models and conformance hashes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace bsq {

using Sha256Digest = std::array<uint8_t, 32>;

// Incremental: update() any number of times, then digest() once.
class Sha256 {
 public:
  void update(std::span<const uint8_t> bytes);
  // Pads, returns the hash and starts anew.
  Sha256Digest digest();

 private:
  void compress(const uint8_t* block);

  static constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                                       0xa54ff53a, 0x510e527f, 0x9b05688c,
                                                       0x1f83d9ab, 0x5be0cd19};
  std::array<uint32_t, 8> state_ = kInitial;
  std::array<uint8_t, 64> buffer_{};
  uint64_t length_ = 0;  // bytes so far; the last length_ % 64 of them are in buffer_
};

Sha256Digest sha256(std::span<const uint8_t> bytes);

// Lower-case hexadecimal digits.
std::string to_hex(std::span<const uint8_t> bytes);

}  // namespace bsq
