// Sequence headers as dictionaries; their keys are the fields of bsq_sequence.
#pragma once

#include <pybind11/pybind11.h>

#include <span>
#include <string>

#include "base/sha256.h"
#include "base/status.h"
#include "bsq/bsq.h"

namespace bsq {

namespace detail {

struct IntegerField {
  const char* name;
  int32_t bsq_sequence::* field;
};
inline constexpr IntegerField kIntegerFields[] = {
    {"width", &bsq_sequence::width},
    {"height", &bsq_sequence::height},
    {"bit_depth", &bsq_sequence::bit_depth},
    {"alpha", &bsq_sequence::alpha},
    {"full_range", &bsq_sequence::full_range},
    {"color_primaries", &bsq_sequence::color_primaries},
    {"color_transfer", &bsq_sequence::color_transfer},
    {"color_matrix", &bsq_sequence::color_matrix},
    {"chroma_location", &bsq_sequence::chroma_location},
    {"rotation", &bsq_sequence::rotation},
    {"version", &bsq_sequence::version},
    {"level", &bsq_sequence::level},
    {"chroma_crf_offset", &bsq_sequence::chroma_crf_offset},
};

struct RationalField {
  const char* name;
  bsq_rational bsq_sequence::* field;
};
inline constexpr RationalField kRationalFields[] = {
    {"time_base", &bsq_sequence::time_base},
    {"frame_rate", &bsq_sequence::frame_rate},
    {"sample_aspect", &bsq_sequence::sample_aspect},
};

// A value of the dictionary as T, or UsageError naming the key.
template <class T>
T field_value(const pybind11::handle& value, const std::string& key, const char* wanted) {
  try {
    return value.cast<T>();
  } catch (const pybind11::cast_error&) {
    throw Error(BSQ_ERROR_ARGUMENT, "sequence[\"" + key + "\"] must be " + wanted);
  }
}

// By bsq_chroma.
inline constexpr const char* kChromaNames[] = {"gray", "420", "422", "444"};
inline constexpr const char* kChromaWanted = "\"gray\", \"420\", \"422\" or \"444\"";

inline void set_chroma(bsq_sequence& sequence, const std::string& chroma) {
  for (int32_t i = BSQ_CHROMA_GRAY; i <= BSQ_CHROMA_444; ++i) {
    if (chroma != kChromaNames[i]) continue;
    sequence.chroma = i;
    return;
  }
  throw Error(BSQ_ERROR_ARGUMENT,
              "sequence[\"chroma\"] is \"" + chroma + "\", it must be " + kChromaWanted);
}

inline void set_field(bsq_sequence& sequence, const std::string& key,
                      const pybind11::handle& value) {
  if (key == "chroma") {
    return set_chroma(sequence, field_value<std::string>(value, key, kChromaWanted));
  }
  if (key == "model_id") return;  // the encoder's model decides
  for (const IntegerField& f : kIntegerFields) {
    if (key == f.name) {
      sequence.*f.field = field_value<int32_t>(value, key, "an integer");
      return;
    }
  }
  for (const RationalField& f : kRationalFields) {
    if (key != f.name) continue;
    constexpr const char* kWanted = "a pair of integers below 2^31";
    if (PySequence_Check(value.ptr()) == 0 || pybind11::len(value) != 2)
      throw Error(BSQ_ERROR_ARGUMENT, "sequence[\"" + key + "\"] must be " + kWanted);
    const auto pair = pybind11::reinterpret_borrow<pybind11::sequence>(value);
    const pybind11::object num = pair[0];
    const pybind11::object den = pair[1];
    sequence.*f.field = {field_value<int32_t>(num, key, kWanted),
                         field_value<int32_t>(den, key, kWanted)};
    return;
  }
  throw Error(BSQ_ERROR_ARGUMENT, "sequence has the unknown key \"" + key + "\"");
}

}  // namespace detail

inline const char* chroma_name(int chroma) { return detail::kChromaNames[chroma]; }

// Overwrites the fields that the mapping has. Throws Error(BSQ_ERROR_ARGUMENT).
inline void read_sequence(const pybind11::object& mapping, bsq_sequence& sequence) {
  if (!PyMapping_Check(mapping.ptr())) {
    throw Error(BSQ_ERROR_ARGUMENT, "sequence must be a mapping");
  }
  const pybind11::dict items(mapping);
  for (const auto& [key, value] : items) {
    detail::set_field(sequence, detail::field_value<std::string>(key, "key", "a string"), value);
  }
}

inline pybind11::dict sequence_dict(const bsq_sequence& sequence) {
  pybind11::dict d;
  for (const detail::IntegerField& f : detail::kIntegerFields) d[f.name] = sequence.*f.field;
  for (const detail::RationalField& f : detail::kRationalFields) {
    const bsq_rational& r = sequence.*f.field;
    d[f.name] = pybind11::make_tuple(r.num, r.den);
  }
  d["chroma"] = chroma_name(sequence.chroma);
  d["model_id"] = to_hex(sequence.model_id);
  return d;
}

}  // namespace bsq
