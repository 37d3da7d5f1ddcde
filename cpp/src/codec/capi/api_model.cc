// C API: models, and the library as a whole.
#include <algorithm>

#include "codec/capi/api.h"
#include "kernels/dispatch.h"
#include "network/model_search.h"

extern "C" {

bsq_status bsq_model_load(const uint8_t* data, size_t size, bsq_model** model, char* error,
                          size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(model != nullptr, "model is NULL");
    *model = nullptr;
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    auto handle = std::make_unique<bsq_model>();
    handle->model = bsq::Model::load({data, size});
    *model = handle.release();
    return BSQ_OK;
  });
}

bsq_status bsq_model_find(const char* which, const char* folders, bsq_model** model, char* error,
                          size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(model != nullptr, "model is NULL");
    *model = nullptr;
    auto handle = std::make_unique<bsq_model>();
    handle->model =
        bsq::find_model(which == nullptr ? "" : which, folders == nullptr ? "" : folders);
    *model = handle.release();
    return BSQ_OK;
  });
}

void bsq_model_free(bsq_model* model) { delete model; }

void bsq_model_id(const bsq_model* model, uint8_t id[BSQ_MODEL_ID_SIZE]) {
  if (id == nullptr) return;
  if (model == nullptr) {
    std::fill_n(id, BSQ_MODEL_ID_SIZE, uint8_t{0});
  } else {
    std::copy(model->model->id().begin(), model->model->id().end(), id);
  }
}

const char* bsq_model_name(const bsq_model* model) {
  return model == nullptr ? "" : model->model->name().c_str();
}

const char* bsq_model_json(const bsq_model* model) {
  return model == nullptr ? "" : model->model->json().c_str();
}

const char* bsq_version(void) { return BSQ_VERSION_STRING; }

const char* bsq_kernel_sets(void) {
  try {
    static const std::string names = bsq::kernel_set_names();
    return names.c_str();
  } catch (...) {
    return "";
  }
}

bsq_status bsq_set_kernels(const char* name) {
  std::string ignored;
  return bsq::guarded(ignored, [&] {
    bsq::set_kernels(name == nullptr ? "" : name);
    return BSQ_OK;
  });
}

const char* bsq_current_kernels(void) {
  try {
    return bsq::current_kernels().name;
  } catch (...) {
    return "";  // BSQ_KERNELS names no usable set: opening an encoder or decoder says so
  }
}

}  // extern "C"
