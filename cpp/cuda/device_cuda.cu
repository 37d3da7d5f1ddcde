// A CUDA device, through the CUDA runtime: the launchers of all kernels.
#include <cuda_runtime.h>

#include <string>

#include "base/status.h"
#include "cuda/device_block.cuh"
#include "cuda/open_device.h"

namespace bsq::cuda {
namespace {

constexpr int kLeastMajor = 8;  // compute capability: mma.m16n8k32 of bytes

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // so that it is not taken for that of a later launch
  const bsq_status status = error == cudaErrorMemoryAllocation ? BSQ_ERROR_MEMORY : BSQ_ERROR_STATE;
  throw Error(status,
              std::string("internal error of CUDA, ") + what + ": " + cudaGetErrorString(error));
}

// Makes a device the thread's current one, and afterwards the one that was.
class Current {
 public:
  explicit Current(int ordinal) {
    error_ = cudaGetDevice(&before_);
    if (error_ != cudaSuccess || before_ == ordinal) return;
    error_ = cudaSetDevice(ordinal);
    changed_ = error_ == cudaSuccess;
  }
  ~Current() {
    if (changed_) cudaSetDevice(before_);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_ = cudaSuccess;
};

// The same, or an Error.
class Chosen : public Current {
 public:
  explicit Chosen(int ordinal) : Current(ordinal) { check(error(), "choosing the device"); }
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads)
    run_kernel(const __grid_constant__ Kernel kernel) {
  if constexpr (ItemKernel<Kernel>) {
    const int64_t i = int64_t{blockIdx.x} * Kernel::kThreads + threadIdx.x;
    if (i < kernel.items()) kernel.item(i);
  } else {
    __shared__ typename Kernel::Shared shared;
    DeviceBlock<Kernel> block(shared);
    kernel.run(block);
  }
}

class CudaDevice : public Device {
 public:
  CudaDevice(int ordinal, cudaStream_t stream) : ordinal_(ordinal), stream_(stream) {
    const Chosen current(ordinal_);
    check(cudaEventCreateWithFlags(&mark_, cudaEventDisableTiming), "making an event");
  }
  ~CudaDevice() override {
    const Current current(ordinal_);
    if (current.error() == cudaSuccess) cudaEventDestroy(mark_);
  }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  void* allocate(size_t bytes) override {
    const Chosen current(ordinal_);
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "allocating memory of the device");
    const cudaError_t cleared = cudaMemsetAsync(memory, 0, bytes, stream_);
    if (cleared != cudaSuccess) cudaFree(memory);
    check(cleared, "clearing memory");
    return memory;
  }
  void release(void* memory) noexcept override { release_with(cudaFree, memory); }
  void* allocate_host(size_t bytes) override {
    const Chosen current(ordinal_);
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "allocating memory of the host");
    return memory;
  }
  void release_host(void* memory) noexcept override { release_with(cudaFreeHost, memory); }

  void upload(void* to, const void* from, size_t bytes) override {
    move(to, from, bytes, cudaMemcpyHostToDevice);
  }
  void download(void* to, const void* from, size_t bytes) override {
    move(to, from, bytes, cudaMemcpyDeviceToHost);
  }
  void copy(void* to, const void* from, size_t bytes) override {
    move(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void clear(void* memory, size_t bytes) override {
    const Chosen current(ordinal_);
    check(cudaMemsetAsync(memory, 0, bytes, stream_), "clearing memory");
  }
  void wait() override {
    const Chosen current(ordinal_);
    check(cudaStreamSynchronize(stream_), "waiting for the stream");
  }
  void mark() override {
    const Chosen current(ordinal_);
    check(cudaEventRecord(mark_, stream_), "recording an event");
  }
  void wait_mark() override {
    const Chosen current(ordinal_);
    check(cudaEventSynchronize(mark_), "waiting for an event");
  }

 protected:
  void launch_kernel(size_t index, const void* kernel, int64_t blocks) override {
    const Chosen current(ordinal_);
    with_kernel(index, kernel, [&]<class Kernel>(const Kernel& typed) {
      run_kernel<<<static_cast<unsigned>(blocks), Kernel::kThreads, 0, stream_>>>(typed);
    });
    check(cudaGetLastError(), "launching a kernel");
  }

 private:
  void move(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    const Chosen current(ordinal_);
    check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "copying");
  }
  void release_with(cudaError_t (*free)(void*), void* memory) noexcept {
    const Current current(ordinal_);
    if (current.error() != cudaSuccess) return;
    cudaStreamSynchronize(stream_);
    free(memory);
  }

  const int ordinal_;
  const cudaStream_t stream_;
  cudaEvent_t mark_ = nullptr;
};

}  // namespace

bool devices_are_emulated() { return false; }

int32_t device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::unique_ptr<Device> open_device(int32_t ordinal, void* stream) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    throw Error(BSQ_ERROR_UNSUPPORTED, std::string("there is no CUDA device: ") +
                                           cudaGetErrorString(error) +
                                           "; do without one, or install its driver");
  }
  if (ordinal < 0 || ordinal >= count) {
    throw Error(BSQ_ERROR_ARGUMENT, "there is no CUDA device " + std::to_string(ordinal) +
                                        ": this machine has " + std::to_string(count));
  }
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal),
        "asking for the compute capability");
  if (major < kLeastMajor) {
    throw Error(BSQ_ERROR_UNSUPPORTED, "CUDA device " + std::to_string(ordinal) +
                                           " has compute capability " + std::to_string(major) +
                                           ".x, 8.0 is the least that is supported");
  }
  return std::make_unique<CudaDevice>(ordinal, static_cast<cudaStream_t>(stream));
}

}  // namespace bsq::cuda
