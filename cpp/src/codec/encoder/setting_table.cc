// The encoder's settings by name: ranges, defaults, values as text.
#include "codec/encoder/setting_table.h"

#include <algorithm>
#include <array>
#include <iomanip>
#include <iterator>
#include <locale>
#include <optional>
#include <sstream>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/quant_step.h"
#include "base/status.h"
#include "codec/common/threads.h"
#include "codec/encoder/gop_structure.h"

namespace bsq {
namespace {

constexpr double kMaxBitrate = 1e10;
constexpr double kFileLookahead = 24;

constexpr const char* kPresets[] = {"fast", "medium", "slow"};
constexpr const char* kTunes[] = {"balanced", "psnr", "perceptual"};

using Member = std::variant<double bsq_encoder_config::*, int32_t bsq_encoder_config::*>;

// Where bsq_encoder_config has it.
struct Row {
  bsq_setting setting;
  Member member;
};

constexpr bsq_setting number(const char* name, double low, double high, double value,
                             const char* unit, const char* help) {
  return {name, BSQ_SETTING_NUMBER, 0, low, high, value, value, nullptr, unit, help, {}};
}

constexpr bsq_setting integer(const char* name, double low, double high, double value,
                              const char* unit, const char* help) {
  return {name, BSQ_SETTING_INTEGER, 0, low, high, value, value, nullptr, unit, help, {}};
}

constexpr bsq_setting boolean(const char* name, double value, const char* help) {
  return {name, BSQ_SETTING_BOOLEAN, 0, 0, 1, value, value, nullptr, "", help, {}};
}

template <size_t N>
constexpr bsq_setting choice(const char* name, const char* const (&choices)[N], double value,
                             const char* help) {
  return {name, BSQ_SETTING_CHOICE, 0, 0, N - 1, value, value, choices, "", help, {}};
}

// A rate, or 0 for none.
constexpr bsq_setting rate(const char* name, const char* help) {
  bsq_setting setting = number(name, 1, kMaxBitrate, 0, "bits per second", help);
  setting.zero_is_none = 1;
  return setting;
}

constexpr bsq_setting in_files(bsq_setting setting, double value) {
  setting.file_default = value;
  return setting;
}

using Config = bsq_encoder_config;

constexpr Row kRows[] = {
    {number("crf", 0, kMaxCrf, 32, "", "quality, from 0 (finest) to 63 (coarsest)"), &Config::crf},
    {rate("bitrate", "mean rate of the video, instead of a quality"), &Config::bitrate},
    {rate("maxrate", "rate at which a receiver reads: caps crf, or gives a bitrate more freedom"),
     &Config::maxrate},
    {number("vbv_buffer", 0.1, 60, 1.5, "seconds",
            "size of the receiver's VBV buffer, in seconds of the maxrate or bitrate"),
     &Config::vbv_buffer_seconds},
    {integer("gop", 1, 65535, 250, "frames", "most frames from one keyframe to the next"),
     &Config::gop},
    {boolean("scene_cut", 1, "also place keyframes at scene cuts"), &Config::scene_cut},
    {in_files(integer("lookahead", 0, 250, 0, "frames",
                      "frames to look ahead, for better quality at the same rate; 0: no delay"),
              kFileLookahead),
     &Config::lookahead},
    {integer("bframes", 0, kMaxGroup - 1, 7, "frames",
             "most B frames from one anchor to the next; with a lookahead only"),
     &Config::bframes},
    {boolean("temporal_filter", 1,
             "filter what many frames are predicted from along motion; with a lookahead only"),
     &Config::temporal_filter},
    {boolean("screen_content", 1,
             "code samples themselves where that costs less, as in text and graphics"),
     &Config::screen_content},
    {integer("chroma_crf_offset", kLeastChromaOffset, 0, kUsualChromaOffset, "",
             "what is added to crf for chroma of 4:2:0: below 0 it is finer"),
     &Config::chroma_crf_offset},
    {choice("preset", kPresets, BSQ_PRESET_MEDIUM, "speed against compression"), &Config::preset},
    {choice("tune", kTunes, BSQ_TUNE_BALANCED,
            "what to optimize: the mean squared error (psnr), structure as seen (perceptual), "
            "or both"),
     &Config::tune},
    {integer("threads", 0, kMaxThreads, 0, "", "threads to use; 0: one per processor"),
     &Config::threads},
};

constexpr auto kSettings = [] {
  std::array<bsq_setting, std::size(kRows)> settings{};
  for (size_t i = 0; i < settings.size(); ++i) settings[i] = kRows[i].setting;
  return settings;
}();

const Row& find_row(std::string_view name) {
  std::string known;
  for (const Row& row : kRows) {
    if (name == row.setting.name) return row;
    known.append(known.empty() ? "" : ", ").append(row.setting.name);
  }
  throw Error(BSQ_ERROR_ARGUMENT,
              "there is no setting " + std::string(name) + "; there are " + known);
}

double value_of(const bsq_encoder_config& config, const Row& row) {
  return std::visit([&](auto member) { return static_cast<double>(config.*member); }, row.member);
}

void set_value(bsq_encoder_config& config, const Row& row, double value) {
  std::visit(
      [&](auto member) {
        using Value = std::remove_reference_t<decltype(config.*member)>;
        config.*member = static_cast<Value>(value);
      },
      row.member);
}

// False for what is not a number.
bool in_range(const bsq_setting& setting, double value) {
  if (setting.zero_is_none != 0 && value == 0) return true;
  return value >= setting.minimum && value <= setting.maximum;
}

std::span<const char* const> choices_of(const bsq_setting& setting) {
  if (setting.choices == nullptr) return {};
  return {setting.choices, static_cast<size_t>(setting.maximum) + 1};
}

template <class Value>
std::optional<double> parsed(std::string_view text) {
  std::istringstream stream{std::string(text)};
  stream.imbue(std::locale::classic());
  Value value{};
  if (!(stream >> value) || stream.peek() != std::istringstream::traits_type::eof()) return {};
  return static_cast<double>(value);
}

// The shortest decimal number that is read back as the value; 1e10, not 1e+10.
std::string number_text(double value) {
  std::string text;
  for (int digits = 6; digits <= 17; ++digits) {
    std::ostringstream stream;
    stream.imbue(std::locale::classic());
    stream << std::setprecision(digits) << value;
    text = stream.str();
    if (parsed<double>(text) == value) break;
  }
  std::erase(text, '+');
  return text;
}

std::string wanted(const bsq_setting& setting) {
  std::string text = std::string(setting.name) + " must be ";
  if (setting.type == BSQ_SETTING_BOOLEAN) return text + "0 or 1";
  if (setting.type == BSQ_SETTING_CHOICE) {
    const auto choices = choices_of(setting);
    for (size_t i = 0; i < choices.size(); ++i) {
      text.append(i == 0 ? "" : i + 1 < choices.size() ? ", " : " or ").append(choices[i]);
    }
    return text;
  }
  if (setting.zero_is_none != 0) text += "0, or ";
  text += number_text(setting.minimum) + " to " + number_text(setting.maximum);
  return *setting.unit == '\0' ? text : text + " " + setting.unit;
}

std::optional<double> parse(const bsq_setting& setting, std::string_view text) {
  if (setting.type == BSQ_SETTING_NUMBER) return parsed<double>(text);
  if (setting.type != BSQ_SETTING_CHOICE) return parsed<int64_t>(text);
  const auto choices = choices_of(setting);
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found == choices.end()) return {};
  return static_cast<double>(found - choices.begin());
}

}  // namespace

std::span<const bsq_setting> encoder_settings() { return kSettings; }

void set_defaults(bsq_encoder_config& config) {
  for (const Row& row : kRows) set_value(config, row, row.setting.default_value);
}

void set_setting(bsq_encoder_config& config, std::string_view name, std::string_view text) {
  const Row& row = find_row(name);
  const std::optional<double> value = parse(row.setting, text);
  if (!value || !in_range(row.setting, *value)) {
    throw Error(BSQ_ERROR_ARGUMENT, wanted(row.setting) + ", not " + std::string(text));
  }
  set_value(config, row, *value);
}

std::string setting_text(const bsq_encoder_config& config, std::string_view name) {
  const Row& row = find_row(name);
  const double value = value_of(config, row);
  const auto choices = choices_of(row.setting);
  if (choices.empty() || !in_range(row.setting, value)) return number_text(value);
  return choices[static_cast<size_t>(value)];
}

void check_settings(const bsq_encoder_config& config) {
  for (const Row& row : kRows) {
    if (!in_range(row.setting, value_of(config, row))) {
      throw Error(BSQ_ERROR_ARGUMENT, wanted(row.setting));
    }
  }
}

}  // namespace bsq
