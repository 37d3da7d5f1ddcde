// The JSON text of a model file: checked as a whole, read for its name alone.
#include "network/json_text.h"

#include <cstdint>

#include "base/status.h"

namespace bsq {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  Parser(std::string_view text, size_t origin) : text_(text), origin_(origin) {}

  std::string name() {
    std::string name;
    skip_space();
    if (peek() != '{') fail("the text is not a JSON object");
    object(0, &name);
    skip_space();
    if (position_ != text_.size()) fail("there is more after the JSON object");
    if (name.empty()) fail("the JSON object has no string \"name\"");
    return name;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(BSQ_ERROR_MODEL,
                "model file, byte " + std::to_string(origin_ + position_) + ": " + message);
  }

  int peek() const {
    return position_ < text_.size() ? static_cast<unsigned char>(text_[position_]) : -1;
  }

  int next() {
    const int c = peek();
    if (c < 0) fail("the JSON text ends early");
    ++position_;
    return c;
  }

  void expect(char c) {
    if (peek() != c) fail(std::string("the JSON text needs '") + c + "' here");
    ++position_;
  }

  bool accept(char c) {
    if (peek() != c) return false;
    ++position_;
    return true;
  }

  void skip_space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++position_;
  }

  void value(int depth, std::string* name) {
    if (name != nullptr) name->clear();
    switch (peek()) {
      case '{':
        return object(depth, nullptr);
      case '[':
        return array(depth);
      case '"': {
        const std::string text = string();
        if (name != nullptr) *name = text;
        return;
      }
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  // `name` receives the member "name" if it is a string; a later one replaces an earlier one.
  void object(int depth, std::string* name) {
    if (depth >= kMaxDepth) fail("the JSON text is nested too deeply");
    expect('{');
    skip_space();
    if (accept('}')) return;
    do {
      skip_space();
      if (peek() != '"') fail("a JSON member needs a name");
      const bool wanted = string() == "name";
      skip_space();
      expect(':');
      skip_space();
      value(depth + 1, wanted ? name : nullptr);
      skip_space();
    } while (accept(','));
    expect('}');
  }

  void array(int depth) {
    if (depth >= kMaxDepth) fail("the JSON text is nested too deeply");
    expect('[');
    skip_space();
    if (accept(']')) return;
    do {
      skip_space();
      value(depth + 1, nullptr);
      skip_space();
    } while (accept(','));
    expect(']');
  }

  void word(std::string_view expected) {
    if (text_.substr(position_, expected.size()) != expected) fail("not a JSON value");
    position_ += expected.size();
  }

  bool digits() {
    const size_t start = position_;
    while (peek() >= '0' && peek() <= '9') ++position_;
    return position_ > start;
  }

  void number() {
    accept('-');
    if (!accept('0') && !digits()) fail("not a JSON value");
    if (accept('.') && !digits()) fail("a JSON number needs digits after its point");
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      if (!digits()) fail("a JSON number needs digits in its exponent");
    }
  }

  std::string string() {
    expect('"');
    std::string result;
    for (;;) {
      const int c = next();
      if (c == '"') return result;
      if (c < 0x20) fail("a control character in a JSON string");
      if (c == '\\') {
        escape(result);
      } else if (c < 0x80) {
        result += static_cast<char>(c);
      } else {
        encoded(c, result);
      }
    }
  }

  void escape(std::string& result) {
    switch (next()) {
      case '"':
        result += '"';
        return;
      case '\\':
        result += '\\';
        return;
      case '/':
        result += '/';
        return;
      case 'b':
        result += '\b';
        return;
      case 'f':
        result += '\f';
        return;
      case 'n':
        result += '\n';
        return;
      case 'r':
        result += '\r';
        return;
      case 't':
        result += '\t';
        return;
      case 'u':
        return append(code_point(), result);
      default:
        fail("an unknown escape in a JSON string");
    }
  }

  uint32_t four_digits() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const int c = next();
      const int lower = c | 0x20;
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uint32_t>(c - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        value = value * 16 + static_cast<uint32_t>(lower - 'a' + 10);
      } else {
        fail("\\u needs four hexadecimal digits");
      }
    }
    return value;
  }

  uint32_t code_point() {
    const uint32_t first = four_digits();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first > 0xDBFF) fail("half of a surrogate pair in a JSON string");
    expect('\\');
    expect('u');
    const uint32_t second = four_digits();
    if (second < 0xDC00 || second > 0xDFFF) fail("half of a surrogate pair in a JSON string");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  // The text leaves through C strings, which end at a zero.
  void append(uint32_t code, std::string& result) const {
    if (code == 0) fail("a zero character in a JSON string");
    const auto tail = [&](int shift) {
      result += static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
    };
    if (code < 0x80) {
      result += static_cast<char>(code);
    } else if (code < 0x800) {
      result += static_cast<char>(0xC0U | (code >> 6));
      tail(0);
    } else if (code < 0x10000) {
      result += static_cast<char>(0xE0U | (code >> 12));
      tail(6);
      tail(0);
    } else {
      result += static_cast<char>(0xF0U | (code >> 18));
      tail(12);
      tail(6);
      tail(0);
    }
  }

  // A character of two to four bytes that begins with `lead`.
  void encoded(int lead, std::string& result) {
    const int extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4) fail("the text is not UTF-8");
    auto code = static_cast<uint32_t>(lead & (0x3F >> extra));
    for (int i = 0; i < extra; ++i) {
      const int c = next();
      if ((c & 0xC0) != 0x80) fail("the text is not UTF-8");
      code = (code << 6) | static_cast<uint32_t>(c & 0x3F);
    }
    constexpr uint32_t kLeast[4] = {0, 0x80, 0x800, 0x10000};
    if (code < kLeast[extra] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      fail("the text is not UTF-8");
    }
    append(code, result);
  }

  std::string_view text_;
  size_t origin_;
  size_t position_ = 0;
};

}  // namespace

std::string json_name(std::string_view text, size_t origin) { return Parser(text, origin).name(); }

}  // namespace bsq
