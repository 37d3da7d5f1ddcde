// What the state of a coded sequence has in common on the processor and on a device: symbols,
// contexts, tiles, and the slots of held frames; and the interface of such a state.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/common/reference_slots.h"
#include "codec/common/symbols.h"
#include "network/samples.h"
#include "network/token_field.h"

namespace bsq {

// A tile, as the symbols know it.
struct SymbolTile {
  SuperblockRect area;
  TokenRect rect;
  TileContexts contexts;
  WienerChoices wiener{};
};

// The steps of a layer, for LayerEncoder and LayerDecoder. LayerState documents them, and has them
// on the processor; cuda/device_state.h has them on a device.
//
// A frame goes through begin_frame() and, unless it is a keyframe, once `motion` is known,
// compensate(); then, where `sample_coded` has marks, host_samples() and, with the samples of the
// marked tokens in it, store_samples(); then every layer through list_active() with the active
// superblocks set, run_trunk(), begin_bits() with the stage counts set, end_layer() with the bits
// set; then deblock(), filter() with the tiles' choices set, unless it is a base frame, and
// end_frame().
template <class State>
concept LayerCodingState =
    requires(State& state, const State& constant, int q, bool flag, const LayerPlace& place,
             const FrameRole& role, void (*visit)(SymbolTile&, size_t)) {
      { constant.geometry() } -> std::same_as<const Geometry&>;
      { constant.pool() } -> std::same_as<ThreadPool&>;
      { state.base() } -> std::same_as<State*>;
      state.begin_frame(role);
      state.predict_from_base();
      state.compensate();
      { state.host_samples() } -> std::same_as<Frame&>;
      state.store_samples();
      state.list_active(q, place);
      state.run_trunk();
      state.begin_bits();
      state.run_decoder();
      state.end_layer(q, flag);
      state.deblock(q);
      state.filter();
      state.keep_delta_q();
      state.end_frame();
      { constant.coded_tokens() } -> std::same_as<const TokenField&>;
      state.for_each_tile(visit);
      requires std::derived_from<typename decltype(state.tiles)::value_type, SymbolTile>;
      requires std::same_as<decltype(state.motion), MotionSymbols>;
      requires std::same_as<decltype(state.superblocks), SuperblockFlags>;
      requires std::same_as<decltype(state.tokens), TokenField>;
      requires std::same_as<decltype(state.active), ActiveTokens>;
      { constant.flag_logits.data() } -> std::convertible_to<const int16_t*>;
    };

// What frames that refer to a frame need of it besides its samples and tokens.
struct HeldSymbols {
  MotionField motion;
  ReferenceDistances distances;
  std::vector<TileContexts> contexts;  // by tile
  std::vector<uint8_t> coded;          // of the last layer: see SuperblockFlags
  std::vector<int16_t> delta_q;
};

// `State` derives from this; its tiles are SymbolTiles and what else it keeps of a tile. `Samples`:
// the samples and tokens of a held frame, made from a Geometry and what else the state has for it.
template <class State, class StateTile, class Samples>
class LayerStateBase {
 public:
  struct Held : Samples {
    using Samples::Samples;
    HeldSymbols symbols;
  };

  const FrameRole& role() const { return role_; }
  // A reference of the frame at work, 0 or 1.
  const Held& reference(size_t i) const { return *slot(i == 0 ? role_.first : role_.second); }
  // The frame in the slot; in slot -1 the one that ended last. null: none.
  const Held* held(int slot) const {
    return slot < 0 ? last_.get() : slots_[static_cast<size_t>(slot)].get();
  }
  std::shared_ptr<const Held> share(int slot) const {
    return slot < 0 ? last_ : slots_[static_cast<size_t>(slot)];
  }

  const Geometry& geometry() const { return geometry_; }
  ThreadPool& pool() const { return pool_; }

  // Of the base frame of a keyframe; null in that one's own.
  State* base() { return base_.get(); }
  const State* base() const { return base_.get(); }

  // fn(StateTile&, size_t index) for every tile; over the pool if there are several, else on the
  // calling thread so that the networks inside have the pool.
  template <class Fn>
  void for_each_tile(const Fn& fn) {
    if (tiles.size() == 1) {
      fn(tiles[0], size_t{0});
    } else {
      pool_.parallel_for(tiles.size(), [&](size_t i) { fn(tiles[i], i); });
    }
  }

  std::vector<StateTile> tiles;
  MotionSymbols motion;
  SuperblockFlags superblocks;
  TokenField tokens;  // of this layer; inactive tokens hold 0 stages
  ActiveTokens active;
  std::vector<uint8_t> sample_coded;  // by token of the frame at work, not 0: sample-coded

  bool has_samples() const {
    return std::any_of(sample_coded.begin(), sample_coded.end(), [](uint8_t m) { return m != 0; });
  }

 protected:
  ~LayerStateBase() = default;
  LayerStateBase(const LayerStateBase&) = delete;
  LayerStateBase& operator=(const LayerStateBase&) = delete;

  // The symbols' part of a coding state, at the start of a frame.
  void begin_symbols(const FrameRole& role) {
    role_ = role;
    std::fill(sample_coded.begin(), sample_coded.end(), uint8_t{0});
    motion.field.set_b(role.is_b());
    motion.distances = role.distances;
    motion.temporal = {};
    motion.references = {};
    if (role.keyframe) {
      superblocks.reset();
      for (StateTile& tile : tiles) tile.contexts = TileContexts();
      // Where the search for motion begins: a group's coding follows from its frames alone.
      std::fill(motion.field.mv.begin(), motion.field.mv.end(), Mv{});
    } else {
      load(slot(role.coding)->symbols);
      refer();
    }
    superblocks.begin_frame();
  }

  // The frame at work is done: `done` has its samples, and its tokens if it is held.
  void end_symbols(std::shared_ptr<Held> done) {
    if (role_.keyframe) slots_ = {};
    if (role_.hold >= 0) {
      save(done->symbols);
      slots_[static_cast<size_t>(role_.hold)] = done;
    }
    last_ = std::move(done);
  }

  // A frame that nobody has; `make()` makes a new one.
  template <class Make>
  std::shared_ptr<Held> spare(const Make& make) {
    for (const std::shared_ptr<Held>& frame : frames_) {
      if (frame.use_count() == 1) return frame;
    }
    frames_.push_back(make());
    return frames_.back();
  }

  const Geometry geometry_;
  ThreadPool& pool_;
  std::unique_ptr<State> base_;  // made by `State`
  FrameRole role_;               // of the frame at work

  // The set of every superblock for the Wiener filter of the plane, null where it is off. Returns
  // whether there are any.
  bool wiener_sets(int plane, std::vector<const WienerSet*>& sets) const {
    sets.assign(geometry_.superblocks(), nullptr);
    bool any = false;
    for (const StateTile& tile : tiles) {
      const WienerChoice& choice = tile.wiener[static_cast<size_t>(plane)];
      if (!choice.filtered) continue;
      size_t i = 0;
      for (int y = tile.area.y_begin; y < tile.area.y_end; ++y) {
        for (int x = tile.area.x_begin; x < tile.area.x_end; ++x, ++i) {
          if (choice.on[i] == 0) continue;
          sets[geometry_.superblock_index(x, y)] = &choice.set;
          any = true;
        }
      }
    }
    return any;
  }

 private:
  friend State;

  const std::shared_ptr<Held>& slot(int i) const { return slots_[static_cast<size_t>(i)]; }

  // What the contexts of motion symbols know of the references.
  void refer() {
    const HeldSymbols& first = slot(role_.first)->symbols;
    if (first.distances.back > 0) motion.references[0] = &first.motion;
    motion.temporal = {first.motion, first.distances, role_.distances};
    if (!role_.is_b()) return;
    const HeldSymbols& second = slot(role_.second)->symbols;
    if (second.distances.back > 0) motion.references[1] = &second.motion;
    if (role_.distances.forth < 0) return;
    motion.temporal = {first.motion,     first.distances, second.motion,
                       second.distances, role_.shared,    role_.distances};
  }

  void load(const HeldSymbols& from) {
    for (size_t i = 0; i < tiles.size(); ++i) tiles[i].contexts = from.contexts[i];
    superblocks.previous = from.coded;
    superblocks.delta_q = from.delta_q;
  }

  void save(HeldSymbols& to) const {
    to.motion = motion.field;
    to.distances = role_.distances;
    to.contexts.resize(tiles.size());
    for (size_t i = 0; i < tiles.size(); ++i) to.contexts[i] = tiles[i].contexts;
    to.coded = superblocks.previous;
    to.delta_q = superblocks.delta_q;
  }

  std::array<std::shared_ptr<Held>, kSlots> slots_;
  std::shared_ptr<Held> last_;                 // the frame that ended last
  std::vector<std::shared_ptr<Held>> frames_;  // all that there are

  // The pool must outlive the state, which fills in its tiles.
  LayerStateBase(const Geometry& geometry, int stages, ThreadPool& pool)
      : motion(geometry),
        superblocks(geometry.superblocks()),
        tokens(geometry.tokens_y, geometry.tokens_x, stages),
        active(geometry.tokens_y, geometry.tokens_x),
        sample_coded(geometry.tokens()),
        geometry_(geometry),
        pool_(pool) {
    tiles.reserve(geometry.tiles.size());
  }
};

}  // namespace bsq
