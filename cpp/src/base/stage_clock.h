// Where the time of encoders and decoders goes, by stage. Off unless it is switched on: a scope
// then costs the reading of one flag.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bsq {

enum class Stage {
  kOther,  // what belongs to no other stage
  kImport,
  kLookAhead,
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
  kExport,
};

constexpr size_t kStageCount = static_cast<size_t>(Stage::kExport) + 1;

// Names in the order of Stage.
constexpr std::array<const char*, kStageCount> kStageNames = {
    "other",      "import",       "look-ahead", "motion search", "prediction",
    "decisions",  "samples",      "analysis",   "synthesis",     "prior trunk",
    "prior bits", "range coding", "deblocking", "export"};

struct StageTotal {
  int64_t nanoseconds = 0;
  int64_t calls = 0;
  int64_t tokens = 0;  // that the stage's calls worked on, where they say so
};

// Switches the clock on, from zero, or off. For the whole process.
void set_stage_clock(bool on);
std::array<StageTotal, kStageCount> stage_totals();

extern std::atomic<bool> stage_clock_on;

// Counts the time from its construction to its destruction, less that of scopes inside it. Scopes
// of kOther begin the count on their thread, others count nothing outside of one: what the pool's
// threads do is the time that their caller waits.
class StageScope {
 public:
  explicit StageScope(Stage stage, size_t tokens = 0) {
    if (stage_clock_on.load(std::memory_order_relaxed)) enter(stage, tokens);
  }
  ~StageScope() {
    if (entered_) leave();
  }
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

 private:
  void enter(Stage stage, size_t tokens);
  void leave();

  bool entered_ = false;
  int outer_ = 0;
};

}  // namespace bsq
