// Where the time of encoders and decoders goes, by section. Off unless it is switched on: a scope
// then costs the reading of one flag.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bsq {

enum class Section {
  kOther,  // what belongs to no other section
  kImport,
  kLookahead,
  kTemporalFilter,
  kMotionSearch,
  kPrediction,
  kDeciding,
  kSamples,  // between planes and the vectors of networks
  kAnalysis,
  kSynthesis,
  kPriorTrunk,
  kPriorBits,
  kRangeCoding,
  kDeblocking,
  kWiener,
  kExport,
};

constexpr size_t kSectionCount = static_cast<size_t>(Section::kExport) + 1;

// Names in the order of Section.
constexpr std::array<const char*, kSectionCount> kSectionNames = {
    "other",        "import",     "lookahead",     "temporal filter", "motion search", "prediction",
    "decisions",    "samples",    "analysis",      "synthesis",       "prior trunk",   "prior bits",
    "range coding", "deblocking", "Wiener filter", "export"};

struct SectionTotal {
  int64_t nanoseconds = 0;
  int64_t calls = 0;
  int64_t tokens = 0;  // that the section's calls worked on, where they say so
};

// Switches the clock on, from zero, or off. For the whole process.
void set_section_clock(bool on);
std::array<SectionTotal, kSectionCount> section_totals();

extern std::atomic<bool> section_clock_on;

// Counts the time from its construction to its destruction, less that of scopes inside it. Scopes
// of kOther begin the count on their thread, others count nothing outside of one: what the pool's
// threads do is the time that their caller waits.
class SectionScope {
 public:
  explicit SectionScope(Section section, size_t tokens = 0) {
    if (section_clock_on.load(std::memory_order_relaxed)) enter(section, tokens);
  }
  ~SectionScope() {
    if (entered_) leave();
  }
  SectionScope(const SectionScope&) = delete;
  SectionScope& operator=(const SectionScope&) = delete;

 private:
  void enter(Section section, size_t tokens);
  void leave();

  bool entered_ = false;
  int outer_ = 0;
};

}  // namespace bsq
