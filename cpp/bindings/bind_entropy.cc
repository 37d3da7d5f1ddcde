// Python interface of the range coder, the logistic table and the contexts.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrays.h"
#include "entropy/bit_cost.h"
#include "entropy/dec_range_coder.h"
#include "entropy/enc_range_coder.h"
#include "entropy/logistic.h"
#include "entropy/mixed_bit.h"
#include "entropy/signed_number.h"

namespace py = pybind11;

namespace bsq {
namespace {

// A decoder together with the bytes that it reads.
struct OwningDecoder {
  explicit OwningDecoder(std::span<const uint8_t> data)
      : bytes(data.begin(), data.end()), decoder(bytes) {}
  OwningDecoder(const OwningDecoder&) = delete;
  OwningDecoder& operator=(const OwningDecoder&) = delete;

  std::vector<uint8_t> bytes;
  RangeDecoder decoder;
};

uint32_t require_probability(int64_t p) {
  if (p < 1 || p >= kProbabilityOne) {
    throw Error(BSQ_ERROR_ARGUMENT, "the probability is " + std::to_string(p) +
                                        ", it must be from 1 to 65535 (units of 2^-16)");
  }
  return static_cast<uint32_t>(p);
}

bool require_bit(int64_t bit) {
  if (bit != 0 && bit != 1) {
    throw Error(BSQ_ERROR_ARGUMENT, "the bit is " + std::to_string(bit) + ", not 0 or 1");
  }
  return bit == 1;
}

Array<uint16_t> require_probabilities(const py::object& value) {
  Array<uint16_t> probs = require_array<uint16_t>(value, "probs", 1, 1);
  const uint16_t* data = probs.data();
  for (py::ssize_t i = 0; i < probs.size(); ++i) {
    if (data[i] == 0) {
      throw Error(BSQ_ERROR_ARGUMENT,
                  "probs[" + std::to_string(i) + "] is 0, probabilities are from 1 to 65535");
    }
  }
  return probs;
}

void encode_bits(RangeEncoder& encoder, const py::object& bits, const py::object& probs) {
  const Array<uint8_t> b = require_bits(bits, "bits");
  const Array<uint16_t> p = require_probabilities(probs);
  require_same_size(b, "bits", p, "probs");
  const uint8_t* bit = b.data();
  const uint16_t* prob = p.data();
  for (py::ssize_t i = 0; i < b.size(); ++i) encoder.encode(bit[i] != 0, prob[i]);
}

void encode_logits(RangeEncoder& encoder, const py::object& bits, const py::object& logits) {
  const Array<uint8_t> b = require_bits(bits, "bits");
  const Array<int16_t> l = require_array<int16_t>(logits, "logits", 1, 1);
  require_same_size(b, "bits", l, "logits");
  const uint8_t* bit = b.data();
  const int16_t* logit = l.data();
  for (py::ssize_t i = 0; i < b.size(); ++i) {
    encoder.encode(bit[i] != 0, probability_from_logit(logit[i]));
  }
}

Array<uint8_t> decode_bits(OwningDecoder& self, const py::object& probs) {
  const Array<uint16_t> p = require_probabilities(probs);
  Array<uint8_t> bits = make_array<uint8_t>(shape_of(p));
  uint8_t* bit = bits.mutable_data();
  const uint16_t* prob = p.data();
  for (py::ssize_t i = 0; i < p.size(); ++i) bit[i] = self.decoder.decode(prob[i]) ? 1 : 0;
  return bits;
}

Array<uint8_t> decode_logits(OwningDecoder& self, const py::object& logits) {
  const Array<int16_t> l = require_array<int16_t>(logits, "logits", 1, 1);
  Array<uint8_t> bits = make_array<uint8_t>(shape_of(l));
  uint8_t* bit = bits.mutable_data();
  const int16_t* logit = l.data();
  for (py::ssize_t i = 0; i < l.size(); ++i) {
    bit[i] = self.decoder.decode(probability_from_logit(logit[i])) ? 1 : 0;
  }
  return bits;
}

Array<uint16_t> probabilities_from_logits(const py::object& logits) {
  const Array<int16_t> l = require_array<int16_t>(logits, "logits");
  Array<uint16_t> probs = make_array<uint16_t>(shape_of(l));
  uint16_t* prob = probs.mutable_data();
  const int16_t* logit = l.data();
  for (py::ssize_t i = 0; i < l.size(); ++i) {
    prob[i] = static_cast<uint16_t>(probability_from_logit(logit[i]));
  }
  return probs;
}

Array<double> bit_costs(const py::object& bits, const py::object& probs) {
  const Array<uint8_t> b = require_bits(bits, "bits");
  const Array<uint16_t> p = require_probabilities(probs);
  require_same_size(b, "bits", p, "probs");
  Array<double> costs = make_array<double>(shape_of(b));
  double* cost = costs.mutable_data();
  const uint8_t* bit = b.data();
  const uint16_t* prob = p.data();
  for (py::ssize_t i = 0; i < b.size(); ++i) cost[i] = bit_cost(bit[i] != 0, prob[i]);
  return costs;
}

void bind_range_coder(py::module_& m) {
  py::class_<RangeEncoder>(m, "RangeEncoder",
                           "Codes bits under given probabilities (docs/bitstream.md). A "
                           "probability is that of a 1, in units of 2^-16, from 1 to 65535.")
      .def(py::init<>())
      .def(
          "encode",
          [](RangeEncoder& self, int64_t bit, int64_t p) {
            self.encode(require_bit(bit), require_probability(p));
          },
          py::arg("bit"), py::arg("p"), "Codes one bit.")
      .def("encode_bits", &encode_bits, py::arg("bits"), py::arg("probs"),
           "Codes bits [N] (uint8 or bool) under probs [N] (uint16).")
      .def("encode_logits", &encode_logits, py::arg("bits"), py::arg("logits"),
           "Codes bits [N] (uint8 or bool) under logits [N] (int16, units of 1/256).")
      .def_property_readonly("bits", &RangeEncoder::bits,
                             "Bits taken by the symbols so far, as a float.")
      .def(
          "finish", [](RangeEncoder& self) { return to_bytes(self.finish()); },
          "Ends the code and returns its bytes; the encoder then starts anew.");

  py::class_<OwningDecoder>(m, "RangeDecoder",
                            "Decodes what RangeEncoder wrote, given the same probabilities. Any "
                            "bytes decode to something; check_end() tells whether they were sound.")
      .def(py::init([](const py::object& data) {
             return std::make_unique<OwningDecoder>(BytesView(data, "data").span());
           }),
           py::arg("data"))
      .def(
          "decode",
          [](OwningDecoder& self, int64_t p) {
            return self.decoder.decode(require_probability(p)) ? 1 : 0;
          },
          py::arg("p"), "Decodes one bit.")
      .def("decode_bits", &decode_bits, py::arg("probs"),
           "Decodes bits [N] (uint8) under probs [N] (uint16).")
      .def("decode_logits", &decode_logits, py::arg("logits"),
           "Decodes bits [N] (uint8) under logits [N] (int16, units of 1/256).")
      .def_property_readonly(
          "overrun", [](const OwningDecoder& self) { return self.decoder.overrun(); },
          "True if no encoder can have written these bytes for the symbols decoded so far.")
      .def_property_readonly(
          "unread", [](const OwningDecoder& self) { return self.decoder.unread(); },
          "Bytes that decoding has not reached: none after the last symbol of an intact code.")
      .def(
          "check_end", [](const OwningDecoder& self) { self.decoder.check_end("range code"); },
          "Raises BitstreamError if overrun or if bytes are left; for after the last symbol.");
}

// Contexts of a kind of bits, for tests: two sets of weights, three inputs of four contexts each.
template <size_t kLogits>
void bind_contexts(py::module_& m, const char* name, const char* doc) {
  using Contexts = MixedContextsOf<kLogits, 2, 4, 4, 4>;
  using Numbers = typename Contexts::Numbers;
  const auto bit_of = [](Contexts& self, size_t set, const Numbers& numbers, int32_t logit) {
    for (const size_t number : numbers) {
      if (set > 1 || number > 3) throw Error(BSQ_ERROR_ARGUMENT, "there is no such context");
    }
    return self.bit(set, numbers, logit);
  };
  py::class_<Contexts>(m, name, doc)
      .def(py::init<>())
      .def(
          "probability",
          [bit_of](Contexts& self, size_t set, const Numbers& numbers, int32_t logit) {
            return bit_of(self, set, numbers, logit).probability();
          },
          py::arg("number"), py::arg("contexts"), py::arg("logit") = 0,
          "Probability of a 1 in units of 2^-16, 32 .. 65504.")
      .def(
          "encode",
          [bit_of](Contexts& self, RangeEncoder& encoder, int64_t bit, size_t set,
                   const Numbers& numbers, int32_t logit) {
            auto mixed = bit_of(self, set, numbers, logit);
            encoder.encode(require_bit(bit), mixed.probability());
            mixed.update(bit != 0);
          },
          py::arg("encoder"), py::arg("bit"), py::arg("number"), py::arg("contexts"),
          py::arg("logit") = 0, "Codes a bit and learns from it.")
      .def(
          "decode",
          [bit_of](Contexts& self, OwningDecoder& decoder, size_t set, const Numbers& numbers,
                   int32_t logit) {
            auto mixed = bit_of(self, set, numbers, logit);
            const bool bit = decoder.decoder.decode(mixed.probability());
            mixed.update(bit);
            return bit ? 1 : 0;
          },
          py::arg("decoder"), py::arg("number"), py::arg("contexts"), py::arg("logit") = 0,
          "Decodes a bit and learns from it.");
}

// Signed integers with a context per bin.
class SignedContexts {
 public:
  void encode(RangeEncoder& encoder, int32_t value) {
    if (value < -kMost || value > kMost) {
      throw Error(BSQ_ERROR_ARGUMENT, "the value " + std::to_string(value) +
                                          " is outside of -32767 .. 32767 and cannot be coded");
    }
    Writer writer{encoder};
    code(writer, value);
  }
  int32_t decode(RangeDecoder& decoder) {
    Reader reader{decoder};
    return code(reader, 0);
  }

 private:
  static constexpr int32_t kMost = 32767;

  struct Writer {
    RangeEncoder& encoder;
    bool bit(uint32_t p, bool wanted) {
      encoder.encode(wanted, p);
      return wanted;
    }
    template <class Bit>
    bool adaptive(Bit&& context, bool wanted) {
      encoder.encode(wanted, context.probability());
      context.update(wanted);
      return wanted;
    }
  };
  struct Reader {
    RangeDecoder& decoder;
    bool bit(uint32_t p, bool) { return decoder.decode(p); }
    template <class Bit>
    bool adaptive(Bit&& context, bool) {
      const bool bit = decoder.decode(context.probability());
      context.update(bit);
      return bit;
    }
  };

  template <class Coder>
  int32_t code(Coder& coder, int32_t value) {
    return code_number(coder, value, [&](const PartialNumber& number) {
      return contexts_.bit(number.bin(), {number.bin()});
    });
  }

  MixedContexts<PartialNumber::kBins, PartialNumber::kBins> contexts_;
};

void bind_signed(py::module_& m) {
  py::class_<SignedContexts>(m, "SignedContexts",
                             "Contexts for integers from -32767 to 32767, one per bin.")
      .def(py::init<>())
      .def("encode", &SignedContexts::encode, py::arg("encoder"), py::arg("value"),
           "Codes an integer and learns from it.")
      .def(
          "decode",
          [](SignedContexts& self, OwningDecoder& decoder) { return self.decode(decoder.decoder); },
          py::arg("decoder"),
          "Decodes an integer and learns from it. Raises BitstreamError on damaged data.");
}

}  // namespace

void bind_entropy(py::module_& m) {
  bind_range_coder(m);
  bind_signed(m);
  bind_contexts<0>(m, "MixedContexts", "Contexts of adaptive bits.");
  bind_contexts<1>(m, "MixedLogits", "Contexts of adaptive bits that have a logit.");
  m.def("probability_from_logit", &probabilities_from_logits, py::arg("logits"),
        "Probabilities of a 1 (uint16, units of 2^-16) for logits (int16, units of 1/256), any "
        "shape; table of docs/bitstream.md.");
  m.def("bit_cost", &bit_costs, py::arg("bits"), py::arg("probs"),
        "What each of the bits [N] costs under probs [N] (uint16), in bits (float64 [N]).");
}

}  // namespace bsq
