// Tests of what has no Python interface: byte reader and writer, thread pool,
// incremental SHA-256, exceptions to status codes. Built and run by test_base.py.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/sha256.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace {

void check(bool ok, const char* expression, int line) {
  if (ok) return;
  std::fprintf(stderr, "base_test.cc:%d: failed: %s\n", line, expression);
  std::exit(1);
}
#define CHECK(expression) check(static_cast<bool>(expression), #expression, __LINE__)

// The status of the Error that `fn` throws, whose message must contain `part`; BSQ_OK if none.
template <class Fn>
bsq_status error_of(const Fn& fn, const std::string& part) {
  try {
    fn();
  } catch (const bsq::Error& error) {
    if (std::string(error.what()).find(part) == std::string::npos) {
      std::fprintf(stderr, "message is \"%s\", without \"%s\"\n", error.what(), part.c_str());
      return BSQ_OK;
    }
    return error.status();
  }
  return BSQ_OK;
}

void test_round_trip() {
  const std::vector<uint64_t> values = {
      0, 1, 127, 128, 16383, 16384, 0xFFFFFFFF, uint64_t{1} << 63, ~uint64_t{0}};
  bsq::ByteWriter writer;
  writer.u8(0x12);
  writer.u16(0x3456);
  writer.u32(0x789ABCDE);
  writer.u64(0x0123456789ABCDEF);
  for (const uint64_t value : values) {
    writer.varint(value);
    writer.signed_varint(static_cast<int64_t>(value));
  }
  writer.patch_u32(3, 0x11223344);
  const std::vector<uint8_t> bytes = writer.take();
  CHECK(writer.size() == 0);
  CHECK(bytes[1] == 0x56 && bytes[2] == 0x34);

  bsq::ByteReader reader(bytes);
  CHECK(reader.u8() == 0x12);
  CHECK(reader.u16() == 0x3456);
  CHECK(reader.u32() == 0x11223344);
  CHECK(reader.u64() == 0x0123456789ABCDEF);
  for (const uint64_t value : values) {
    CHECK(reader.varint() == value);
    CHECK(reader.signed_varint() == static_cast<int64_t>(value));
  }
  CHECK(reader.done());
  reader.expect_end();
  CHECK(error_of([&] { reader.u8(); }, "ends early") == BSQ_ERROR_BITSTREAM);
  CHECK(error_of([&] { writer.patch_u32(0, 1); }, "outside") == BSQ_ERROR_ARGUMENT);
}

void test_zigzag() {
  CHECK(bsq::zigzag(0) == 0 && bsq::zigzag(-1) == 1 && bsq::zigzag(1) == 2);
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  CHECK(bsq::zigzag(kLowest) == ~uint64_t{0});
  CHECK(bsq::unzigzag(~uint64_t{0}) == kLowest);
}

bsq_status varint_error(const std::vector<uint8_t>& bytes, const std::string& part) {
  return error_of([&] { bsq::ByteReader(bytes).varint(); }, part);
}

void test_bad_varints() {
  CHECK(varint_error({}, "ends inside") == BSQ_ERROR_BITSTREAM);
  CHECK(varint_error({0x80, 0x80}, "ends inside") == BSQ_ERROR_BITSTREAM);
  CHECK(varint_error({0x80, 0x00}, "longer than it needs") == BSQ_ERROR_BITSTREAM);
  std::vector<uint8_t> bytes(9, 0xFF);
  bytes.push_back(0x01);
  CHECK(bsq::ByteReader(bytes).varint() == ~uint64_t{0});
  bytes.back() = 0x02;
  CHECK(varint_error(bytes, "64 bits") == BSQ_ERROR_BITSTREAM);
  bytes.back() = 0x81;
  bytes.push_back(0x00);
  CHECK(varint_error(bytes, "64 bits") == BSQ_ERROR_BITSTREAM);
  bytes[9] = 0x00;
  CHECK(varint_error(bytes, "longer than it needs") == BSQ_ERROR_BITSTREAM);
}

void test_places_in_messages() {
  const std::vector<uint8_t> bytes = {9, 9, 3, 1, 2, 3, 0x80};
  bsq::ByteReader reader(bytes, "model file", 100, BSQ_ERROR_MODEL);
  reader.span(2);
  CHECK(reader.offset() == 102);
  bsq::ByteReader part = reader.part(reader.u8());
  CHECK(part.remaining() == 3);
  part.u16();
  CHECK(error_of([&] { part.u32(); }, "model file, byte 105: ") == BSQ_ERROR_MODEL);
  CHECK(error_of([&] { part.expect_end(); }, "1 bytes too many") == BSQ_ERROR_MODEL);
  CHECK(error_of([&] { reader.varint(); }, "byte 106") == BSQ_ERROR_MODEL);
  CHECK(error_of([&] { reader.span(std::numeric_limits<size_t>::max()); }, "ends early") ==
        BSQ_ERROR_MODEL);
  bsq::ByteReader limited(bytes, "packet");
  CHECK(limited.varint_up_to(9, "layers") == 9);
  CHECK(error_of([&] { limited.varint_up_to(8, "layers"); }, "byte 1: layers is 9") ==
        BSQ_ERROR_BITSTREAM);
}

template <class Thrown>
std::string status_text(const Thrown& thrown, bsq_status expected) {
  std::string message;
  try {
    throw thrown;
  } catch (...) {
    CHECK(bsq::status_of_current_exception(&message) == expected);
    CHECK(bsq::status_of_current_exception(nullptr) == expected);
  }
  return message;
}

void test_status_of_exceptions() {
  CHECK(status_text(bsq::Error(BSQ_ERROR_MODEL, "why"), BSQ_ERROR_MODEL) == "why");
  CHECK(status_text(std::bad_alloc(), BSQ_ERROR_MEMORY) == "out of memory");
  CHECK(status_text(std::length_error("x"), BSQ_ERROR_MEMORY).find("memory") != std::string::npos);
  CHECK(status_text(std::logic_error("x"), BSQ_ERROR_STATE) == "internal error: x");
  CHECK(!status_text(1, BSQ_ERROR_STATE).empty());
}

void test_incremental_sha256() {
  std::vector<uint8_t> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  const bsq::Sha256Digest whole = bsq::sha256(bytes);
  bsq::Sha256 hash;
  for (int round = 0; round < 2; ++round) {  // digest() starts anew
    size_t at = 0;
    for (size_t step = 0; at < bytes.size(); ++step) {
      const size_t size = std::min(step * 13 % 97, bytes.size() - at);
      hash.update({bytes.data() + at, size});
      at += size;
    }
    CHECK(hash.digest() == whole);
  }
}

void test_thread_pool_covers_all_indices() {
  for (const int threads : {1, 2, 3, 8}) {
    bsq::ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const size_t count : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      std::vector<std::atomic<int>> seen(count);
      pool.parallel_for(count, [&](size_t i) { ++seen[i]; });
      for (const auto& times : seen) CHECK(times == 1);

      std::vector<int> owner(count, -1);
      pool.parallel_ranges(count, [&](size_t begin, size_t end, int thread) {
        for (size_t i = begin; i < end; ++i) owner[i] = thread;
      });
      const size_t n = std::min(count, static_cast<size_t>(threads));
      for (size_t w = 0; w < n; ++w) {
        for (size_t i = w * count / n; i < (w + 1) * count / n; ++i) {
          CHECK(owner[i] == static_cast<int>(w));
        }
      }
    }
  }
  CHECK(error_of([] { bsq::ThreadPool(0); }, "number of threads is 0") == BSQ_ERROR_ARGUMENT);
  CHECK(error_of([] { bsq::ThreadPool(257); }, "257") == BSQ_ERROR_ARGUMENT);
  CHECK(bsq::processor_count() >= 1);
}

void test_thread_pool_errors() {
  for (const int threads : {1, 2, 4}) {
    bsq::ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      const auto fail = [&] {
        pool.parallel_for(100, [](size_t i) {
          if (i % 10 == 3) throw bsq::Error(BSQ_ERROR_STATE, "index " + std::to_string(i) + ".");
        });
      };
      CHECK(error_of(fail, "index 3.") == BSQ_ERROR_STATE);
    }
    std::atomic<size_t> sum = 0;
    pool.parallel_for(10, [&](size_t i) { sum += i; });
    CHECK(sum == 45);
  }
}

void test_thread_pool_nesting_and_callers() {
  bsq::ThreadPool pool(3);
  std::atomic<int> inner = 0;
  pool.parallel_ranges(6, [&](size_t begin, size_t end, int thread) {
    for (size_t i = begin; i < end; ++i) {
      pool.parallel_ranges(5, [&](size_t b, size_t e, int same) {
        CHECK(same == thread);
        inner += static_cast<int>(e - b);
      });
    }
  });
  CHECK(inner == 30);

  std::atomic<int> total = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) pool.parallel_for(20, [&](size_t) { ++total; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 50 * 20);
}

}  // namespace

int main() {
  test_round_trip();
  test_zigzag();
  test_bad_varints();
  test_places_in_messages();
  test_status_of_exceptions();
  test_incremental_sha256();
  test_thread_pool_covers_all_indices();
  test_thread_pool_errors();
  test_thread_pool_nesting_and_callers();
  std::puts("all passed");
  return 0;
}
