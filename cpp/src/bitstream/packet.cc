// Timestamps of packets.
#include "bitstream/packet.h"

#include "base/status.h"

namespace bsq {

std::optional<int64_t> packet_time(const PacketHeader& header, int64_t keyframe_pts,
                                   uint32_t ticks) {
  // The product stays below 2^62.
  const int64_t base = keyframe_pts + static_cast<int64_t>(header.index) * ticks;
  if (base > kMaxTimestamp) return std::nullopt;
  // 2^62 twice would overflow; without signs it wraps to -2^63, which is out of range too.
  const auto pts =
      static_cast<int64_t>(static_cast<uint64_t>(base) + static_cast<uint64_t>(header.deviation));
  if (pts > kMaxTimestamp || pts < -kMaxTimestamp) return std::nullopt;
  return pts;
}

int64_t packet_pts(const PacketHeader& header, int64_t keyframe_pts, uint32_t ticks,
                   const std::string& what) {
  const std::optional<int64_t> pts = packet_time(header, keyframe_pts, ticks);
  if (!pts) throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: the timestamp is out of range");
  return *pts;
}

}  // namespace bsq
