// What an encoder is asked for, checked, and what follows from it before the first frame.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitstream/sequence_header.h"
#include "bsq/bsq.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/rate/rate_control.h"
#include "network/model.h"

namespace bsq {

// The settings without the caller's records of a first pass. Throws Error(BSQ_ERROR_ARGUMENT)
// naming the one that is out of range.
bsq_encoder_config checked(const bsq_encoder_config& config);

// Null without a bit rate and a cap on it. Throws Error(BSQ_ERROR_ARGUMENT) for records out of
// range.
std::unique_ptr<RateControl> make_rate(const bsq_encoder_config& config);

// What the setting `tune` stands for.
const Tuning& tuning_of(const bsq_encoder_config& config);

SequenceHeader make_sequence(const bsq_encoder_config& config, const Model& model);

std::vector<uint8_t> header_bytes(const SequenceHeader& sequence);

}  // namespace bsq
