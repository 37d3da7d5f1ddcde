// What the host needs of a device: memory, copies, launches, in the order of one stream.
//
// There are two: a CUDA device (device_cuda.cu), and the emulation on the host
// (device_emulation.cc), in which all of this backend but the hardware is tested.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "cuda/kernels/all.h"

namespace bsq::cuda {

// Everything but allocation is queued on the device's stream and runs in order, later than the call
// unless it waits. Memory of the host that is copied from or to must stay as it is until then; only
// memory of allocate_host() is copied without the host waiting. All functions that may fail throw
// Error; one thread at a time may use a device.
class Device {
 public:
  virtual ~Device() = default;

  // Zeroed memory of the device, at least 256-byte aligned.
  virtual void* allocate(size_t bytes) = 0;
  // Waits for the queue first.
  virtual void release(void* memory) noexcept = 0;
  // Memory of the host, zeroed or not, that the device can reach: kernels too, at the same address.
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;

  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  // From and to memory of the device.
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void clear(void* memory, size_t bytes) = 0;
  // Until all that was queued is done.
  virtual void wait() = 0;
  // Notes what has been queued so far; wait_mark() returns when the last mark is reached.
  virtual void mark() = 0;
  virtual void wait_mark() = 0;

  template <class Kernel>
  void launch(const Kernel& kernel) {
    const int64_t blocks = blocks_of(kernel);
    if (blocks > 0) launch_kernel(kKernelIndex<Kernel>, &kernel, blocks);
  }

 protected:
  // `index` in AllKernels; the kernel is copied.
  virtual void launch_kernel(size_t index, const void* kernel, int64_t blocks) = 0;
};

// An array in the device's memory, all zeros at first. The device must outlive it.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  DeviceArray(Device& device, size_t count) : device_(&device), count_(count) {
    if (count > 0) data_ = static_cast<T*>(device.allocate(count * sizeof(T)));
  }
  DeviceArray(DeviceArray&& other) noexcept { *this = std::move(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~DeviceArray() {
    if (data_ != nullptr) device_->release(data_);
  }

  T* data() const { return data_; }
  size_t size() const { return count_; }
  void clear() {
    if (count_ > 0) device_->clear(data_, count_ * sizeof(T));
  }

 private:
  Device* device_ = nullptr;
  T* data_ = nullptr;
  size_t count_ = 0;
};

// An array of the host's that is copied from and to the device.
template <class T>
class HostArray {
 public:
  HostArray(Device& device, size_t count) : device_(device), count_(count) {
    if (count > 0) data_ = static_cast<T*>(device.allocate_host(count * sizeof(T)));
  }
  HostArray(const HostArray&) = delete;
  HostArray& operator=(const HostArray&) = delete;
  ~HostArray() {
    if (data_ != nullptr) device_.release_host(data_);
  }

  T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) const { return data_[i]; }

 private:
  Device& device_;
  T* data_ = nullptr;
  size_t count_ = 0;
};

// Where both sides have the same array: the host writes, send() queues the copy.
template <class T>
class Mirror {
 public:
  Mirror(Device& device, size_t count) : host_(device, count), device_(device, count) {}

  // That of the host.
  T* data() const { return host_.data(); }
  T* device() const { return device_.data(); }
  size_t size() const { return host_.size(); }
  void send(Device& device, size_t count) {
    if (count > 0) device.upload(device_.data(), host_.data(), count * sizeof(T));
  }
  void fetch(Device& device, size_t count) {
    if (count > 0) device.download(host_.data(), device_.data(), count * sizeof(T));
  }

 private:
  HostArray<T> host_;
  DeviceArray<T> device_;
};

}  // namespace bsq::cuda
