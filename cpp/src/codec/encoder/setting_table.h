// The encoder's settings by name: ranges, defaults, values as text.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bsq/bsq.h"

namespace bsq {

std::span<const bsq_setting> encoder_settings();

// Every setting as listed.
void set_defaults(bsq_encoder_config& config);

// These throw Error(BSQ_ERROR_ARGUMENT) where there is no setting of that name, or naming the one
// that is out of range.
void set_setting(bsq_encoder_config& config, std::string_view name, std::string_view text);
std::string setting_text(const bsq_encoder_config& config, std::string_view name);
void check_settings(const bsq_encoder_config& config);

}  // namespace bsq
