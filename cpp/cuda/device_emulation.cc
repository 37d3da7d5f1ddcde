// The emulation of a device on the host: every kernel runs as a loop over blocks and threads.
#include <cstring>
#include <deque>
#include <functional>
#include <new>
#include <string>

#include "base/status.h"
#include "cuda/open_device.h"
#include "cuda/thread_block.h"

namespace bsq::cuda {
namespace {

// The order in which an emulated device does things. Results do not depend on it, or there is an
// error: a kernel whose threads meet, or a copy from memory that the host changes too early.
struct Order {
  bool deferred = false;   // what is queued runs no earlier than it must: when the host waits
  bool backwards = false;  // blocks of a launch, threads of a block
};
constexpr int32_t kOrders = 4;

constexpr std::align_val_t kDeviceAlignment{256};

template <class Kernel>
void run_blocks(const Kernel& kernel, int64_t blocks, bool backwards) {
  if constexpr (ItemKernel<Kernel>) {
    const int64_t items = kernel.items();
    for (int64_t i = 0; i < items; ++i) kernel.item(backwards ? items - 1 - i : i);
  } else {
    EmulatedBlock<Kernel> block(backwards);
    for (int64_t i = 0; i < blocks; ++i) {
      block.start(static_cast<int>(backwards ? blocks - 1 - i : i));
      kernel.run(block);
    }
  }
}

class EmulatedDevice : public Device {
 public:
  explicit EmulatedDevice(const Order& order) : order_(order) {}

  void* allocate(size_t bytes) override {
    void* memory = ::operator new(bytes, kDeviceAlignment);
    std::memset(memory, 0, bytes);
    return memory;
  }
  void release(void* memory) noexcept override {
    EmulatedDevice::wait();
    ::operator delete(memory, kDeviceAlignment);
  }
  void* allocate_host(size_t bytes) override { return EmulatedDevice::allocate(bytes); }
  void release_host(void* memory) noexcept override { EmulatedDevice::release(memory); }

  void upload(void* to, const void* from, size_t bytes) override { move(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { move(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) override { move(to, from, bytes); }
  void clear(void* memory, size_t bytes) override {
    queue([=] { std::memset(memory, 0, bytes); });
  }
  void wait() override { run_until(queued_); }
  void mark() override { marked_ = queued_; }
  void wait_mark() override { run_until(marked_); }

 protected:
  void launch_kernel(size_t index, const void* kernel, int64_t blocks) override {
    with_kernel(index, kernel, [&](const auto& typed) {
      queue([=, backwards = order_.backwards] { run_blocks(typed, blocks, backwards); });
    });
  }

 private:
  void move(void* to, const void* from, size_t bytes) {
    queue([=] { std::memcpy(to, from, bytes); });
  }
  void queue(std::function<void()> task) {
    ++queued_;
    tasks_.push_back(std::move(task));
    if (!order_.deferred) run_until(queued_);
  }
  // Tasks are numbered from 1 in the order in which they were queued.
  void run_until(int64_t number) {
    for (; done_ < number; ++done_) {
      tasks_.front()();
      tasks_.pop_front();
    }
  }

  const Order order_;
  std::deque<std::function<void()>> tasks_;
  int64_t queued_ = 0;
  int64_t done_ = 0;
  int64_t marked_ = 0;
};

}  // namespace

bool devices_are_emulated() { return true; }

// One for each order: odd ones defer, the last two go backwards.
int32_t device_count() { return kOrders; }

std::unique_ptr<Device> open_device(int32_t ordinal, void*) {
  if (ordinal < 0 || ordinal >= kOrders) {
    throw Error(BSQ_ERROR_ARGUMENT, "there is no emulated device " + std::to_string(ordinal));
  }
  return std::make_unique<EmulatedDevice>(Order{ordinal % 2 == 1, ordinal / 2 == 1});
}

}  // namespace bsq::cuda
