// The JSON text of a model file: checked as a whole, read for its name alone.
#pragma once

#include <string>
#include <string_view>

namespace bsq {

// The non-empty string member "name" of the JSON object (RFC 8259) that is `text`, as UTF-8.
// Throws Error(BSQ_ERROR_MODEL) if the text is not such an object; the message gives the byte,
// counted from `origin`.
std::string json_name(std::string_view text, size_t origin);

}  // namespace bsq
