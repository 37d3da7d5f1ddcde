// The extension module bsqav._core: its topics, and the translation of errors.
#include <pybind11/pybind11.h>

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "errors.h"

namespace py = pybind11;

namespace bsq {

void bind_entropy(py::module_& m);
void bind_quantizer(py::module_& m);
void bind_lookahead(py::module_& m);
void bind_motion(py::module_& m);
void bind_b_motion(py::module_& m);
void bind_network(py::module_& m);
void bind_library(py::module_& m);
void bind_codec(py::module_& m);
void bind_decisions(py::module_& m);
void bind_bench(py::module_& m);
void bind_cuda(py::module_& m);

namespace {

const char* class_of(const Error& error) {
  switch (error.status()) {
    case BSQ_ERROR_ARGUMENT:
      return "UsageError";
    case BSQ_ERROR_BITSTREAM:
      return "BitstreamError";
    case BSQ_ERROR_UNSUPPORTED:
      return "UnsupportedError";
    case BSQ_ERROR_MODEL:
      return "ModelError";
    case BSQ_ERROR_MODEL_MISSING:
      return "ModelNotFoundError";
    case BSQ_ERROR_STATE:
      return std::string_view(error.what()).starts_with("internal error") ? "BsqError"
                                                                          : "EndOfStreamError";
    default:
      return "BsqError";
  }
}

// Takes `word` and the number after it off the front of the text. Without a number after the word
// only the word goes.
std::optional<long long> take_number(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return std::nullopt;
  text.remove_prefix(word.size());
  if (text.starts_with(' ')) text.remove_prefix(1);
  std::optional<long long> number;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9' &&
         number.value_or(0) < 1'000'000'000'000) {
    number = number.value_or(0) * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (text.starts_with(", ")) text.remove_prefix(2);
  return number;
}

// "packet 3, byte 17: message" becomes the message with the place as attributes.
py::object make_bitstream_error(const py::object& type, std::string_view text) {
  if (!text.starts_with("packet")) return type(py::str(text.data(), text.size()));
  const auto packet = take_number(text, "packet");
  const auto byte = take_number(text, "byte");
  if (text.starts_with(": ")) text.remove_prefix(2);
  const auto number = [](std::optional<long long> n) {
    return n ? py::object(py::int_(*n)) : py::object(py::none());
  };
  return type(py::str(text.data(), text.size()), py::arg("packet") = number(packet),
              py::arg("byte") = number(byte));
}

// The message names the model by its id, 32 hexadecimal digits.
void add_model_id(const py::object& error, std::string_view text) {
  constexpr std::string_view kBefore = "the model ";
  const size_t at = text.find(kBefore);
  if (at == std::string_view::npos) return;
  const std::string_view id = text.substr(at + kBefore.size(), 32);
  error.attr("model_id") = py::str(id.data(), id.size());
}

void raise(const Error& error) {
  if (error.status() == BSQ_ERROR_MEMORY) {
    PyErr_SetString(PyExc_MemoryError, error.what());
    return;
  }
  const py::object type = py::module_::import("bsqav.errors").attr(class_of(error));
  py::object value;
  if (error.status() == BSQ_ERROR_BITSTREAM) {
    value = make_bitstream_error(type, error.what());
  } else {
    value = type(error.what());
  }
  if (error.status() == BSQ_ERROR_MODEL_MISSING) add_model_id(value, error.what());
  PyErr_SetObject(type.ptr(), value.ptr());
}

}  // namespace

void register_error_translator() {
  // pybind11 passes it by value.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      raise(error);
    }
  });
}

}  // namespace bsq

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled part of bsqav, over libbsq.";
  m.attr("__version__") = BSQ_VERSION_STRING;
  bsq::register_error_translator();
  bsq::bind_library(m);
  bsq::bind_entropy(m);
  bsq::bind_quantizer(m);
  bsq::bind_lookahead(m);
  bsq::bind_motion(m);
  bsq::bind_b_motion(m);
  bsq::bind_network(m);
  bsq::bind_codec(m);
  bsq::bind_decisions(m);
  bsq::bind_bench(m);
  bsq::bind_cuda(m);
}
