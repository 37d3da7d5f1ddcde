// The decoder: packets in, frames out, with concealment of what is lost.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bitstream/packet.h"
#include "bitstream/packet_reader.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/common/log.h"
#include "codec/common/reference_slots.h"
#include "codec/decoder/frame_decoder.h"
#include "network/model.h"

namespace bsq {

// Where a frame is lost - its packet is, or a frame it refers to - the last complete frame is shown
// again, marked as concealed; a strict decoder throws instead. Without a frame to show, damage is
// an error in any case, and intact packets before the first keyframe are dropped.
class Decoder {
 public:
  // `factory` makes what decodes frames. Throws Error(BSQ_ERROR_ARGUMENT) for settings out of
  // range.
  Decoder(const bsq_decoder_config& config, std::vector<std::shared_ptr<const Model>> models,
          FrameDecoderFactory factory);

  // BSQ_OK, or BSQ_AGAIN when a frame waits to be received. Throws Error; the decoder then goes
  // on with the next keyframe.
  bsq_status send(const bsq_packet& packet);
  void flush();
  bsq_status receive(bsq_frame& frame);
  void reset();
  // The header of the last keyframe that was decoded, or null.
  const bsq_sequence* sequence() const { return has_sequence_ ? &sequence_.info : nullptr; }

  // By layers, of the first component of the frame that the last packet shows; empty where that is
  // lost or, without keep_layers, was in an earlier packet.
  std::span<const TokenField> tokens() const {
    if (!has_tokens_) return {};
    return config_.keep_layers != 0 ? std::span<const TokenField>(layers_)
                                    : std::span<const TokenField>(&decoders_[0]->coded_tokens(), 1);
  }

 private:
  struct Pending {
    int64_t pts = 0;
    int64_t duration = 0;
    bool keyframe = false;
    bool b_frame = false;
    bool concealed = false;
  };

  using FrameDecoders = std::vector<std::unique_ptr<FrameDecoder>>;  // by component

  // The packet that the reader has opened.
  void decode(const std::string& what);
  void decode_keyframe(const std::string& what);
  void decode_between(const std::string& what);
  std::optional<FrameRole> decode_frames(const std::string& what);
  std::optional<FrameRole> decode_frame(const std::string& what);
  void decode_components(const FrameDecoders& decoders, const FrameRole& role,
                         const std::string& what);
  void end_frame(const FrameRole& role);
  void show(int slot, int64_t pts, bool b_frame);
  FrameDecoders make_decoders(std::span<const Geometry> components, const Model& model);
  void check_level(const bsq_sequence& sequence, const std::string& what) const;
  void fill_steps(const FrameRole& role, const std::string& what);
  std::vector<TokenField>* kept_layers() { return config_.keep_layers != 0 ? &layers_ : nullptr; }
  void note_lost(const PacketHeader& header);
  // `header`: null if it could not be read.
  void conceal(const bsq_packet& packet, const PacketHeader* header);
  void log_concealed(const char* why);
  int64_t concealed_pts(const bsq_packet& packet, const PacketHeader* header) const;
  std::shared_ptr<const Model> find_model(const bsq_sequence& sequence,
                                          const std::string& what) const;
  void check_continuity(const PacketHeader& header, const std::string& what) const;

  const bsq_decoder_config config_;
  const Log log_;
  const std::vector<std::shared_ptr<const Model>> models_;
  const FrameDecoderFactory factory_;
  ThreadPool pool_;

  FrameDecoders decoders_;
  std::vector<TileCounts> tiles_;  // by component
  SequenceHeader sequence_;        // what decoders_ were made for
  bool has_sequence_ = false;
  ReferenceSlots slots_;
  bool has_frame_ = false;   // there is a frame to show
  bool has_tokens_ = false;  // of the frame that the last packet shows
  // Of the last packet that was read.
  uint32_t last_index_ = 0;
  int64_t last_pts_ = 0;
  int group_counter_ = 0;
  int64_t keyframe_pts_ = 0;
  int64_t shown_pts_ = 0;  // of the last frame shown: made up where that is concealed
  int64_t last_duration_ = 0;
  uint64_t packets_ = 0;  // sent since the start
  // For messages: in a row.
  uint64_t concealed_ = 0;
  uint64_t dropped_ = 0;  // before the first keyframe
  bool flushed_ = false;
  std::optional<Pending> pending_;
  // If layers are kept: of the frame decoded or shown last, and of those held.
  std::vector<TokenField> layers_;
  std::array<std::vector<TokenField>, kSlots> held_layers_;
  // The packet at work; kept for their memory.
  PacketReader reader_;
  CodedFrame coded_;  // one component
  std::vector<ComponentHeader> headers_;
  std::vector<SymbolDecoder> coders_;
};

}  // namespace bsq
