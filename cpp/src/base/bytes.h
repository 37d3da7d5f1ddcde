// Reading untrusted bytes with every access checked, and writing the same formats.
//
// Integers are little-endian. A varint is LEB128: 7 bits per byte, low bits first, the high bit
// set on all bytes but the last, at most 10 bytes for 64 bits, always in its shortest form. A
// signed varint is zigzag-coded first: 0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace bsq {

constexpr int kMaxVarintBytes = 10;

constexpr uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ (value < 0 ? ~uint64_t{0} : uint64_t{0});
}

constexpr int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ ((value & 1) != 0 ? ~uint64_t{0} : uint64_t{0}));
}

// A cursor over bytes that it does not own. Reads past the end and malformed varints throw Error
// with the given status and a message such as "packet, byte 17: ...". The cursor stays at the
// start of the item that could not be read.
class ByteReader {
 public:
  // `what` names the whole in messages ("packet", "model file"). `origin` is the offset of
  // bytes[0] in that whole, so that readers of a part report places in the whole.
  explicit ByteReader(std::span<const uint8_t> bytes, std::string what = "data", size_t origin = 0,
                      bsq_status status = BSQ_ERROR_BITSTREAM)
      : bytes_(bytes), what_(std::move(what)), origin_(origin), status_(status) {}

  size_t remaining() const { return bytes_.size() - position_; }
  bool done() const { return remaining() == 0; }
  // Offset of the next byte in the whole.
  size_t offset() const { return origin_ + position_; }

  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }

  uint64_t varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < kMaxVarintBytes; ++i) {
      if (i >= remaining()) fail("the data ends inside a variable-length integer");
      const uint8_t byte = bytes_[position_ + i];
      // The tenth byte holds bit 63 alone.
      if (i == kMaxVarintBytes - 1 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
      if ((byte & 0x80) == 0) {
        if (byte == 0 && i > 0) fail("a variable-length integer is longer than it needs to be");
        position_ += i + 1;
        return value;
      }
    }
    fail("a variable-length integer does not fit in 64 bits");
  }

  // A varint that must be at most `limit`; `name` says in the message what it is.
  uint64_t varint_up_to(uint64_t limit, const char* name) {
    const size_t start = position_;
    const uint64_t value = varint();
    if (value > limit) {
      position_ = start;
      fail(std::string(name) + " is " + std::to_string(value) + ", more than the limit of " +
           std::to_string(limit));
    }
    return value;
  }

  int64_t signed_varint() { return unzigzag(varint()); }

  // The next `size` bytes, which stay owned by the caller of the constructor.
  std::span<const uint8_t> span(size_t size) {
    require(size);
    const std::span<const uint8_t> part = bytes_.subspan(position_, size);
    position_ += size;
    return part;
  }

  // A reader of the next `size` bytes that reports places in the same whole.
  ByteReader part(size_t size) {
    const size_t start = offset();
    return ByteReader(span(size), what_, start, status_);
  }

  // Throws when bytes are left over.
  void expect_end() const {
    if (!done()) fail(std::to_string(remaining()) + " bytes too many");
  }

  // Throws Error for the item at the cursor.
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(status_, what_ + ", byte " + std::to_string(offset()) + ": " + message);
  }

 private:
  void require(size_t size) const {
    if (size > remaining()) {
      fail("the data ends early: " + std::to_string(size) + " bytes are needed, " +
           std::to_string(remaining()) + " are left");
    }
  }

  uint64_t little_endian(size_t size) {
    require(size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= static_cast<uint64_t>(bytes_[position_ + i]) << (8 * i);
    }
    position_ += size;
    return value;
  }

  std::span<const uint8_t> bytes_;
  std::string what_;
  size_t origin_ = 0;
  bsq_status status_;
  size_t position_ = 0;  // <= bytes_.size()
};

// Appends to a growing buffer what ByteReader reads.
class ByteWriter {
 public:
  size_t size() const { return bytes_.size(); }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  // Keeps its memory.
  void clear() { bytes_.clear(); }
  // Moves the buffer out and leaves the writer empty.
  std::vector<uint8_t> take() { return std::exchange(bytes_, {}); }

  void u8(uint8_t value) { bytes_.push_back(value); }
  void u16(uint16_t value) { little_endian(value, 2); }
  void u32(uint32_t value) { little_endian(value, 4); }
  void u64(uint64_t value) { little_endian(value, 8); }

  void varint(uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<uint8_t>((value & 0x7F) | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<uint8_t>(value));
  }

  void signed_varint(int64_t value) { varint(zigzag(value)); }

  void span(std::span<const uint8_t> part) {
    bytes_.insert(bytes_.end(), part.begin(), part.end());
  }

  // Overwrites four bytes that were written before, e.g. a checksum whose place was kept free.
  void patch_u32(size_t at, uint32_t value) {
    if (at > bytes_.size() || bytes_.size() - at < 4) {
      throw Error(BSQ_ERROR_ARGUMENT, "patch_u32 outside of the bytes written");
    }
    for (size_t i = 0; i < 4; ++i) bytes_[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }

 private:
  void little_endian(uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  std::vector<uint8_t> bytes_;
};

}  // namespace bsq
