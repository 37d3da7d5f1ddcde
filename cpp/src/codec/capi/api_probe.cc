// C API: packets without encoder or decoder.
#include "codec/capi/api.h"
#include "codec/common/geometry.h"

extern "C" {

bsq_status bsq_packet_probe(const uint8_t* data, size_t size, bsq_packet_info* info,
                            bsq_sequence* sequence, char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    bsq::require_argument(info != nullptr, "info is NULL");
    const bsq::PacketHeader header = bsq::parse_packet({data, size}, "packet").header;
    *info = bsq_packet_info{};
    info->keyframe = header.keyframe ? 1 : 0;
    info->index_in_group = static_cast<int32_t>(header.index);
    const bsq::PictureHeader& picture = header.picture;
    info->layers = picture.layers;
    const auto last = static_cast<size_t>(picture.layers - 1);
    info->crf = picture.has_steps ? picture.steps[last] / 8.0 : -1.0;
    info->pts = header.keyframe ? header.pts : header.deviation;
    info->parity = header.parity ? 1 : 0;
    info->duration = header.has_duration ? static_cast<int64_t>(header.duration) : -1;
    if (header.keyframe) {
      info->ticks_per_frame = header.sequence.ticks_per_frame;
      const auto components = bsq::component_geometries(header.sequence.info);
      info->blocks = static_cast<int32_t>(components.front().blocks.size());
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

bsq_status bsq_packet_set_parity(uint8_t* data, size_t size, int32_t parity, char* error,
                                 size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(data != nullptr || size == 0, "data is NULL");
    bsq::require_argument(parity == 0 || parity == 1, "parity must be 0 or 1");
    bsq::set_parity({data, size}, parity != 0, "packet");
    return BSQ_OK;
  });
}

}  // extern "C"
