// C API: packets without encoder or decoder.
#include "bitstream/packet_reader.h"
#include "bitstream/packet_writer.h"
#include "codec/capi/api.h"
#include "codec/common/geometry.h"

extern "C" {

bsq_status bsq_packet_probe(const uint8_t* data, size_t size, bsq_packet_info* info,
                            bsq_sequence* sequence, char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    bsq::require_argument(info != nullptr, "info is NULL");
    bsq::PacketReader reader;
    const bsq::PacketHeader& header = reader.open({data, size}, "packet");
    reader.list_frames();
    *info = bsq_packet_info{};
    info->keyframe = header.keyframe ? 1 : 0;
    info->index_in_group = static_cast<int32_t>(header.index);
    info->frames = header.frames;
    info->held_frames = header.held;
    info->b_frames = header.b_frames;
    info->layers = header.layers;
    info->crf = header.crf;
    info->pts = header.keyframe ? header.pts : header.deviation;
    info->group_counter = header.group_counter;
    info->duration = header.has_duration ? static_cast<int64_t>(header.duration) : -1;
    if (header.keyframe) {
      info->ticks_per_frame = static_cast<int32_t>(header.sequence.ticks_per_frame);
      const auto components = bsq::component_geometries(header.sequence.info);
      info->tiles = static_cast<int32_t>(components.front().tiles.size());
      if (sequence != nullptr) *sequence = header.sequence.info;
    }
    return BSQ_OK;
  });
}

bsq_status bsq_sequence_probe(const uint8_t* data, size_t size, bsq_sequence* sequence, char* error,
                              size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    bsq::require_argument(sequence != nullptr, "sequence is NULL");
    bsq::ByteReader reader({data, size}, "private data");
    *sequence = bsq::parse_sequence_header(reader, "private data").info;
    return BSQ_OK;
  });
}

bsq_status bsq_packet_set_group_counter(uint8_t* data, size_t size, int32_t group_counter,
                                        char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    bsq::require_argument(group_counter >= 0 && group_counter < bsq::kGroupCounters,
                          "group_counter must be 0 to 3");
    bsq::set_group_counter({data, size}, group_counter, "packet");
    return BSQ_OK;
  });
}

}  // extern "C"
