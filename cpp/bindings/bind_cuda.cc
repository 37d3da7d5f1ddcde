// Python interface of the CUDA backend, over its C table (bsq/bsq_cuda.h).
#include <dlfcn.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "base/status.h"
#include "bitstream/limits.h"
#include "cuda_session.h"
#include "dlpack.h"
#include "errors.h"
#include "frame_arrays.h"
#include "handles.h"
#include "sequence_dict.h"

namespace py = pybind11;

namespace bsq {

CudaLibrary::CudaLibrary(const std::string& path) {
  if (path.empty()) {
    api_ = bsq_cuda_get_api(BSQ_CUDA_ABI);
    return;
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(BSQ_ERROR_UNSUPPORTED,
                "the CUDA backend cannot be loaded: " + std::string(dlerror()) +
                    "; build it with -DBSQ_CUDA=ON (docs/cuda.md)");
  }
  void* symbol = dlsym(library, "bsq_cuda_get_api");
  if (symbol != nullptr) {
    const auto get_api = reinterpret_cast<const bsq_cuda_api* (*)(uint32_t)>(symbol);
    api_ = get_api(BSQ_CUDA_ABI);
  }
  if (api_ == nullptr) {
    throw Error(BSQ_ERROR_UNSUPPORTED,
                path + " has not the interface " + std::to_string(BSQ_CUDA_ABI) +
                    " of the CUDA backend: build both from the same version");
  }
}

namespace {

// One plane of samples in the device's memory.
struct CudaPlane {
  std::shared_ptr<CudaMemory> memory;
  ptrdiff_t offset = 0;
  std::array<int64_t, 2> shape{};
  ptrdiff_t stride = 0;  // bytes
  int bytes = 1;         // of a sample

  void* data() const { return static_cast<uint8_t*>(memory->data()) + offset; }
  dlpack::Device device() const {
    const CudaSession& session = memory->session();
    if (session.api().emulated != 0) return {dlpack::kCpu, 0};
    return {dlpack::kCuda, session.device()};
  }
};

struct CudaFrame {
  bsq_frame info{};
  std::vector<CudaPlane> planes;
};

// What a consumer of DLPack holds: the tensor and what it points to.
struct SharedPlane {
  dlpack::ManagedTensor managed{};
  CudaPlane plane;
  std::array<int64_t, 2> strides{};
};

void drop_tensor(dlpack::ManagedTensor* managed) {
  delete static_cast<SharedPlane*>(managed->manager);
}

// Of a capsule that no consumer has taken.
void drop_capsule(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, dlpack::kName) == 0) return;
  auto* managed = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule, dlpack::kName));
  managed->deleter(managed);
}

// Until the samples are there, or not at all for stream -1, whose consumer sees to the order.
void wait_for(const CudaPlane& plane, const std::optional<int64_t>& stream) {
  CudaSession& session = plane.memory->session();
  if (stream == -1 && session.api().emulated == 0) return;
  std::string message;
  bsq_status status = BSQ_OK;
  {
    const py::gil_scoped_release release;
    status = session.call(message, session.api().decoder_wait);
  }
  check(status, message.c_str());
}

// What a consumer may ask for besides the stream, and is refused.
void refuse(const CudaPlane& plane, const py::kwargs& wishes) {
  if (wishes.contains("copy") && wishes["copy"].ptr() == Py_True) {
    throw py::buffer_error("a plane is shared, not copied: copy what the exchange gives");
  }
  if (!wishes.contains("dl_device") || wishes["dl_device"].is_none()) return;
  const py::tuple here = py::make_tuple(plane.device().type, plane.device().id);
  if (!here.equal(wishes["dl_device"])) {
    throw py::buffer_error("a plane stays on its device: copy what the exchange gives");
  }
}

py::object to_dlpack(const CudaPlane& plane, const std::optional<int64_t>& stream,
                     const py::kwargs& wishes) {
  refuse(plane, wishes);
  wait_for(plane, stream);
  auto shared = std::make_unique<SharedPlane>();
  shared->plane = plane;
  shared->strides = {plane.stride / plane.bytes, 1};
  const dlpack::DataType type{dlpack::kUnsigned, static_cast<uint8_t>(8 * plane.bytes), 1};
  shared->managed = {{plane.data(), plane.device(), 2, type, shared->plane.shape.data(),
                      shared->strides.data(), 0},
                     shared.get(),
                     drop_tensor};
  PyObject* capsule = PyCapsule_New(&shared->managed, dlpack::kName, drop_capsule);
  if (capsule == nullptr) throw py::error_already_set();
  shared.release();  // NOLINT(bugprone-unused-return-value): the capsule has it
  return py::reinterpret_steal<py::object>(capsule);
}

class PyCudaDecoder {
 public:
  PyCudaDecoder(const CudaLibrary& library, const std::vector<const PyModel*>& models, int device,
                uintptr_t stream, int threads, int max_level, bool strict) {
    const bsq_cuda_api& api = library.api();
    bsq_cuda_config config;
    api.config_init(&config);
    config.device = device;
    config.stream = reinterpret_cast<void*>(stream);  // NOLINT(performance-no-int-to-ptr): a handle
    config.threads = threads;
    config.max_level = max_level;
    config.strict = strict ? 1 : 0;
    std::vector<bsq_cuda_model> files;
    for (const PyModel* model : models) {
      if (model == nullptr) throw Error(BSQ_ERROR_ARGUMENT, "models must be Model objects");
      files.push_back({model->file.data(), model->file.size()});
    }
    char error[kErrorSize] = "";
    bsq_cuda_decoder* decoder = nullptr;
    check(api.decoder_open(&config, files.data(), files.size(), &decoder, error, sizeof error),
          error);
    session_ = std::make_shared<CudaSession>(api, decoder, device);
  }

  void send(const py::object& data, int64_t pts, int64_t duration) {
    const BytesView bytes(data, "data");
    const bsq_packet packet{bytes.span().data(), bytes.span().size(), pts, duration, 0, 0, {}};
    const bsq_status status =
        call([&](bsq_cuda_decoder* decoder) { return api().decoder_send(decoder, &packet); });
    if (status == BSQ_AGAIN) {
      throw Error(BSQ_ERROR_ARGUMENT, "a frame waits: receive() it before the next send()");
    }
    may_wait_ = true;
  }

  void flush() { call(api().decoder_flush); }

  void reset() {
    call([&](bsq_cuda_decoder* decoder) {
      api().decoder_reset(decoder);
      return BSQ_OK;
    });
  }

  // In memory of its own on the device.
  std::optional<CudaFrame> receive() {
    const std::optional<bsq_sequence> sequence = last_sequence();
    if (!sequence || !may_wait_) return std::nullopt;
    CudaFrame frame;
    void* planes[BSQ_MAX_PLANES] = {};
    ptrdiff_t strides[BSQ_MAX_PLANES] = {};
    for (CudaPlane& plane : frame.planes = make_planes(*sequence)) {
      const auto p = static_cast<size_t>(&plane - frame.planes.data());
      planes[p] = plane.data();
      strides[p] = plane.stride;
    }
    const bsq_status status = call([&](bsq_cuda_decoder* decoder) {
      return api().decoder_receive_into(decoder, planes, strides, &frame.info);
    });
    may_wait_ = false;
    if (status != BSQ_OK) return std::nullopt;
    return frame;
  }

  std::optional<PyFrame> receive_host() {
    bsq_frame info{};
    FrameSamples samples;
    const bsq_status status = call([&](bsq_cuda_decoder* decoder) {
      const bsq_status got = api().decoder_receive_host(decoder, &info);
      if (got == BSQ_OK) samples.copy(info);
      return got;
    });
    if (status != BSQ_OK) return std::nullopt;
    return samples.frame(info);
  }

  std::optional<py::dict> sequence() {
    const std::optional<bsq_sequence> sequence = last_sequence();
    if (!sequence) return std::nullopt;
    return sequence_dict(*sequence);
  }

 private:
  const bsq_cuda_api& api() const { return session_->api(); }

  std::optional<bsq_sequence> last_sequence() {
    bsq_sequence sequence;
    const bsq_status status =
        call([&](bsq_cuda_decoder* decoder) { return api().decoder_sequence(decoder, &sequence); });
    if (status != BSQ_OK) return std::nullopt;
    return sequence;
  }

  // One piece of memory for all planes of a frame.
  std::vector<CudaPlane> make_planes(const bsq_sequence& sequence) {
    constexpr ptrdiff_t kRowAlignment = 256;
    std::vector<CudaPlane> planes(static_cast<size_t>(plane_count(sequence)));
    ptrdiff_t size = 0;
    for (CudaPlane& plane : planes) {
      const PlaneSize shown = plane_size(sequence, static_cast<int>(&plane - planes.data()));
      plane.bytes = sequence.bit_depth > 8 ? 2 : 1;
      plane.shape = {shown.height, shown.width};
      plane.stride =
          (plane.shape[1] * plane.bytes + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
      plane.offset = size;
      size += plane.stride * plane.shape[0];
    }
    const auto owner = std::make_shared<CudaMemory>(session_, static_cast<size_t>(size));
    for (CudaPlane& plane : planes) plane.memory = owner;
    return planes;
  }

  template <class Fn>
  bsq_status call(const Fn& fn) {
    bsq_status status = BSQ_OK;
    std::string message;
    {
      const py::gil_scoped_release release;
      status = session_->call(message, fn);
    }
    return check(status, message.c_str());
  }

  std::shared_ptr<CudaSession> session_;
  bool may_wait_ = false;  // a frame to be received, so that making room for one pays
};

void bind_plane(py::module_& m) {
  py::class_<CudaPlane>(m, "CudaPlane", "Samples [H, W] in the device's memory, by DLPack.")
      .def_property_readonly(
          "shape", [](const CudaPlane& p) { return py::make_tuple(p.shape[0], p.shape[1]); })
      .def_property_readonly(
          "pointer", [](const CudaPlane& p) { return reinterpret_cast<uintptr_t>(p.data()); })
      .def_property_readonly("stride", [](const CudaPlane& p) { return p.stride; })
      .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none())
      .def("__dlpack_device__",
           [](const CudaPlane& p) { return py::make_tuple(p.device().type, p.device().id); });
}

}  // namespace

void bind_cuda(py::module_& m) {
  bind_plane(m);
  bind_frame<CudaFrame>(m, "CudaFrame");
  py::class_<CudaLibrary>(m, "CudaLibrary", "The CUDA backend, or without a path its emulation.")
      .def(py::init([](const std::optional<std::string>& path) {
             return CudaLibrary(path.value_or(""));
           }),
           py::arg("path") = py::none())
      .def_property_readonly("emulated", [](const CudaLibrary& l) { return l.api().emulated != 0; })
      .def_property_readonly("version", [](const CudaLibrary& l) { return l.api().version; })
      .def("device_count", [](const CudaLibrary& l) { return l.api().device_count(); });
  py::class_<PyCudaDecoder> decoder(m, "CudaDecoder",
                                    "Decoder on a device: send(), receive() until None.");
  bind_decoding(decoder);
  decoder
      .def(py::init<const CudaLibrary&, const std::vector<const PyModel*>&, int, uintptr_t, int,
                    int, bool>(),
           py::arg("library"), py::arg("models"), py::kw_only(), py::arg("device") = 0,
           py::arg("stream") = 0, py::arg("threads") = 0, py::arg("max_level") = kMaxLevel,
           py::arg("strict") = false)
      .def("receive_host", &PyCudaDecoder::receive_host);
}

}  // namespace bsq
