// What the state of a coded sequence has in common on the processor and on a device: symbols,
// contexts and tiles; and the interface of such a state.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/common/symbols.h"
#include "network/samples.h"
#include "network/token_field.h"

namespace bsq {

// A tile, as the symbols know it.
struct SymbolTile {
  SuperblockRect area;
  TokenRect rect;
  TileContexts contexts;
};

// The steps of a layer, for LayerEncoder and LayerDecoder. LayerState documents them, and has them
// on the processor; cuda/device_state.h has them on a device.
//
// A frame goes through begin_keyframe() or, once `motion` is known, compensate(); then every layer
// through list_active() with the active superblocks set, run_trunk(), begin_bits() with the stage
// counts set, end_layer() with the bits set; then filter() and end_frame().
template <class State>
concept LayerCodingState = requires(State& state, const State& constant, int q, bool flag,
                                    const LayerPlace& place, void (*visit)(SymbolTile&, size_t)) {
  { constant.geometry() } -> std::same_as<const Geometry&>;
  { constant.pool() } -> std::same_as<ThreadPool&>;
  { state.base() } -> std::same_as<State*>;
  state.begin_frame();
  state.begin_keyframe();
  state.predict_from_base();
  state.compensate();
  state.list_active(q, place);
  state.run_trunk();
  state.begin_bits();
  state.run_decoder();
  state.end_layer(q, flag);
  state.filter(q, flag);
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

// `State` derives from this; its tiles are SymbolTiles and what else it keeps of a tile.
template <class State, class StateTile>
class LayerStateBase {
 public:
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

 protected:
  ~LayerStateBase() = default;
  LayerStateBase(const LayerStateBase&) = delete;
  LayerStateBase& operator=(const LayerStateBase&) = delete;

  // Symbols depend on nothing before a keyframe.
  void reset_symbols() {
    superblocks.reset();
    for (StateTile& tile : tiles) tile.contexts = TileContexts();
    // Where the search for motion begins: a group's coding follows from its frames alone.
    std::fill(motion.field.mv.begin(), motion.field.mv.end(), Mv{});
  }

  const Geometry geometry_;
  ThreadPool& pool_;
  std::unique_ptr<State> base_;  // made by `State`

 private:
  friend State;

  // The pool must outlive the state, which fills in its tiles.
  LayerStateBase(const Geometry& geometry, int stages, ThreadPool& pool)
      : motion(geometry),
        superblocks(geometry.superblocks()),
        tokens(geometry.tokens_y, geometry.tokens_x, stages),
        active(geometry.tokens_y, geometry.tokens_x),
        geometry_(geometry),
        pool_(pool) {
    tiles.reserve(geometry.tiles.size());
  }
};

}  // namespace bsq
