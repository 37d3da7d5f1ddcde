// The integer networks on whole frames, for tests and for equality with PyTorch.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "codec/capi/api.h"
#include "handles.h"
#include "kernels/dispatch.h"
#include "network/layers.h"
#include "network/prior.h"
#include "network/tensor_specs.h"
#include "network/tokenizer.h"
#include "network_arrays.h"

namespace py = pybind11;

namespace bsq {

void bind_network(py::module_& m);
void bind_kernels(py::module_& m);
void bind_samples(py::module_& m);

namespace {

using Name = std::optional<std::string>;
using Rects = std::vector<std::array<int, 4>>;

std::shared_ptr<const Networks> networks_of(const PyModel& model, const Name& kernels) {
  const KernelTable& table = kernels ? find_kernels(*kernels) : current_kernels();
  return model.handle->model->networks(table).predicted;
}

TokenLayout layout_of(const PyModel& model) { return {model.handle->model->config().stages}; }

Array<uint8_t> tokenizer_encode(const PyModel& model, const py::object& side_in,
                                const py::object& residual_in, const py::object& superblocks,
                                const Name& kernels, int threads) {
  const TokenLayout layout = layout_of(model);
  const auto side = require_tokens<int16_t>(side_in, "side", kSideVector);
  const auto residual = require_tokens<int16_t>(residual_in, "residual", kSampleVector);
  require_same_frame(side, residual);
  const ActiveTokens active = make_active(side.shape(0), side.shape(1), superblocks);
  const auto count = static_cast<size_t>(active.count());
  std::vector<int8_t> z(count * static_cast<size_t>(layout.bits()));
  const auto side_rows = gather(side, active);
  const auto residual_rows = gather(residual, active);
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    TokenizerEncoder encoder(networks_of(model, kernels), pool);
    encoder.encode(active, residual_rows.data(), side_rows.data(), z.data());
  }
  std::vector<uint8_t> bits;
  bits.reserve(z.size());
  for (const int8_t value : z) bits.push_back(value >= 0 ? 1 : 0);
  auto flat = scatter(bits, active, layout.bits());
  return flat.reshape(
      {side.shape(0), side.shape(1), py::ssize_t{layout.stages}, py::ssize_t{kStageBits}});
}

// Token and side vectors of the active tokens, row by row.
struct InputRows {
  InputRows(const PyModel& model, const py::object& tokens_in, const char* name,
            const py::object& side_in, const py::object& superblocks)
      : InputRows(require_tokens<int8_t>(tokens_in, name, layout_of(model).width()),
                  require_tokens<int16_t>(side_in, "side", kSideVector), superblocks) {}

  size_t count() const { return static_cast<size_t>(active.count()); }

  ActiveTokens active;
  std::vector<int8_t> tokens;
  std::vector<int16_t> side;

 private:
  InputRows(const Array<int8_t>& token_array, const Array<int16_t>& side_array,
            const py::object& superblocks)
      : active(active_of(token_array, side_array, superblocks)),
        tokens(gather(token_array, active)),
        side(gather(side_array, active)) {}

  static ActiveTokens active_of(const Array<int8_t>& token_array, const Array<int16_t>& side_array,
                                const py::object& superblocks) {
    require_same_frame(token_array, side_array);
    return make_active(side_array.shape(0), side_array.shape(1), superblocks);
  }
};

Array<int16_t> tokenizer_decode(const PyModel& model, const py::object& tokens_in,
                                const py::object& side_in, const py::object& superblocks,
                                const Name& kernels, int threads) {
  const InputRows in(model, tokens_in, "tokens", side_in, superblocks);
  std::vector<int16_t> out(in.count() * kSampleVector);
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    TokenizerDecoder decoder(networks_of(model, kernels), pool);
    decoder.decode(in.active, in.tokens.data(), in.side.data(), out.data());
  }
  return scatter(out, in.active, kSampleVector);
}

Array<int16_t> tokenizer_gains(const PyModel& model, const py::object& residual_in,
                               const py::object& output_in, const py::object& superblocks,
                               const Name& kernels, int threads) {
  const auto residual = require_tokens<int16_t>(residual_in, "residual", kSampleVector);
  const auto output = require_tokens<int16_t>(output_in, "output", kSampleVector);
  require_same_frame(residual, output);
  const ActiveTokens active = make_active(residual.shape(0), residual.shape(1), superblocks);
  const int bits = layout_of(model).bits();
  const auto residual_rows = gather(residual, active);
  const auto output_rows = gather(output, active);
  std::vector<int16_t> gains(static_cast<size_t>(active.count()) * static_cast<size_t>(bits));
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    TokenizerResponse response(networks_of(model, kernels), pool);
    std::copy_n(response.gains(active, residual_rows.data(), output_rows.data()), gains.size(),
                gains.begin());
  }
  return scatter(gains, active, bits);
}

Array<int16_t> prior_flags(const PyModel& model, const py::object& previous_in,
                           const py::object& side_in, const py::object& superblocks,
                           const Name& kernels, int threads) {
  const InputRows in(model, previous_in, "previous", side_in, superblocks);
  const int outputs = layout_of(model).flags();
  std::vector<int16_t> flags(in.count() * static_cast<size_t>(outputs));
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    Prior prior(networks_of(model, kernels), pool);
    prior.trunk(in.active, in.tokens.data(), in.side.data(), flags.data());
  }
  return scatter(flags, in.active, outputs);
}

// Stages and bits of token vectors [T, V].
struct TokenRows {
  std::vector<uint8_t> stages;
  std::vector<uint32_t> bits;

  TokenRows(const TokenLayout& layout, const std::vector<int8_t>& vectors) {
    std::vector<int8_t> again(static_cast<size_t>(layout.width()));
    for (size_t at = 0; at < vectors.size(); at += again.size()) {
      const int8_t* vector = vectors.data() + at;
      int n = 0;
      while (n < layout.stages && vector[layout.bits() + n] == kOne) ++n;
      std::array<uint32_t, kMaxStages> words{};
      for (int i = 0; i < layout.bits(); ++i) {
        words[static_cast<size_t>(i / kStageBits)] |= static_cast<uint32_t>(vector[i] > 0)
                                                      << (i % kStageBits);
      }
      token_vector(layout, n, words.data(), again.data());
      if (!std::equal(again.begin(), again.end(), vector)) {
        fail_argument("tokens holds a vector that is no token vector (docs/numerics.md section 3)");
      }
      stages.push_back(static_cast<uint8_t>(n));
      bits.insert(bits.end(), words.begin(), words.begin() + layout.stages);
    }
  }
};

// One tile with its true bits, the way encoder and decoder go. logits: [T, 32 S].
void force_tile(const TokenLayout& layout, TilePrior& tile, const Prior& prior,
                const ActiveTokens& active, const TokenRows& rows, std::vector<int32_t>& logits) {
  tile.begin_layer(prior, active, rows.stages);
  for (int g = 0; g < kGroups; ++g) {
    tile.begin_group(g);
    for (int s = 0; s < layout.stages; ++s) {
      const std::span<const int32_t> tokens = tile.begin_stage(s);
      tile.stage_in_order([&](int begin, int end, int j, const int16_t* from, uint8_t* bytes) {
        for (int i = begin; i < end; ++i, from += kSubgroupBits) {
          const auto t = static_cast<size_t>(tokens[static_cast<size_t>(i)]);
          const size_t word_at = t * static_cast<size_t>(layout.stages) + static_cast<size_t>(s);
          const size_t at = word_at * kStageBits + static_cast<size_t>(j * kSubgroupBits);
          *bytes = static_cast<uint8_t>(rows.bits[word_at] >> (kSubgroupBits * j));
          ByteLogits moving(from, tile.pair(j));
          for (int k = 0; k < kSubgroupBits; ++k) {
            logits[at + static_cast<size_t>(k)] = moving[k];
            if ((*bytes >> k & 1) != 0) moving.set(k);
          }
          ++bytes;
        }
      });
    }
  }
}

Array<int32_t> prior_logits(const PyModel& model, const py::object& previous_in,
                            const py::object& side_in, const py::object& superblocks,
                            const py::object& tokens_in, const Name& kernels, int threads,
                            const std::optional<Rects>& tiles) {
  const TokenLayout layout = layout_of(model);
  const auto previous = require_tokens<int8_t>(previous_in, "previous", layout.width());
  const auto side = require_tokens<int16_t>(side_in, "side", kSideVector);
  const auto tokens = require_tokens<int8_t>(tokens_in, "tokens", layout.width());
  require_same_frame(previous, side);
  require_same_frame(tokens, side);
  const ActiveTokens active = make_active(side.shape(0), side.shape(1), superblocks);
  const auto previous_rows = gather(previous, active);
  const auto side_rows = gather(side, active);
  const TokenRows rows(layout, gather(tokens, active));
  const Rects rects = tiles.value_or(Rects{{0, 0, active.height(), active.width()}});
  for (const auto& [y, x, height, width] : rects) {
    if (y < 0 || x < 0 || height < 1 || width < 1 || height > active.height() - y ||
        width > active.width() - x) {
      fail_argument("tiles holds a rectangle that leaves the frame");
    }
  }
  const auto count = static_cast<size_t>(active.count());
  std::vector<int16_t> flags(count * static_cast<size_t>(layout.flags()));
  std::vector<int32_t> logits(count * static_cast<size_t>(layout.bits()));
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    const auto networks = networks_of(model, kernels);
    Prior prior(networks, pool);
    prior.trunk(active, previous_rows.data(), side_rows.data(), flags.data());
    const auto code = [&](size_t i) {
      TilePrior tile(networks, {rects[i][0], rects[i][1], rects[i][2], rects[i][3]});
      force_tile(layout, tile, prior, active, rows, logits);
    };
    if (rects.size() == 1) {
      code(0);
    } else {
      pool.parallel_for(rects.size(), code);
    }
  }
  auto flat = scatter(logits, active, layout.bits());
  return flat.reshape(
      {side.shape(0), side.shape(1), py::ssize_t{layout.stages}, py::ssize_t{kStageBits}});
}

}  // namespace

void bind_network(py::module_& m) {
  const auto superblocks = py::arg("active") = py::none();
  const auto kernels = py::arg("kernels") = py::none();
  const auto threads = py::arg("threads") = 1;
  m.def("tokenizer_encode", &tokenizer_encode, py::arg("model"), py::arg("side"),
        py::arg("residual"), superblocks, py::kw_only(), kernels, threads,
        "Bits uint8 [H, W, S, 32] of the tokenizer's encoder; side int16 [H, W, 104], residual "
        "int16 [H, W, 96], active uint8 [superblocks_y, superblocks_x] or None for all; 0 at "
        "inactive "
        "tokens.");
  m.def("tokenizer_decode", &tokenizer_decode, py::arg("model"), py::arg("tokens"), py::arg("side"),
        superblocks, py::kw_only(), kernels, threads,
        "Output int16 [H, W, 96], Q8 in steps, of the tokenizer's decoder; tokens int8 "
        "[H, W, V].");
  m.def("tokenizer_gains", &tokenizer_gains, py::arg("model"), py::arg("residual"),
        py::arg("output"), superblocks, py::kw_only(), kernels, threads,
        "What every bit gains by the errors that output leaves of residual, int16 [H, W, 32 S] in "
        "32nds of a squared step size; both int16 [H, W, 96].");
  m.def("prior_flags", &prior_flags, py::arg("model"), py::arg("previous"), py::arg("side"),
        superblocks, py::kw_only(), kernels, threads,
        "Logits int16 [H, W, 3 S] of the stage flags; previous int8 [H, W, V].");
  m.def("prior_logits", &prior_logits, py::arg("model"), py::arg("previous"), py::arg("side"),
        py::arg("active"), py::arg("tokens"), py::kw_only(), kernels, threads,
        py::arg("tiles") = py::none(),
        "Logits int32 [H, W, S, 32] of all coded bits given the tokens before them; tokens int8 "
        "[H, W, V] are the truth, tiles a list of (y, x, height, width) in tokens, None for "
        "one; 0 where nothing is coded.");
  bind_samples(m);
  bind_kernels(m);
}

}  // namespace bsq
