/* The BSQ decoder of libavcodec, on the C API of libbsq.
 *
 * One packet gives one frame at once. The stream names its model by id; the model is looked for
 * when the first keyframe that needs it comes, and what the decoder has of models grows with that.
 */
#include <stdio.h>
#include <string.h>

#include "avcodec.h"
#include "codec_internal.h"
#include "decode.h"
#include "internal.h"
#include "libavutil/display.h"
#include "libavutil/frame.h"
#include "libavutil/imgutils.h"
#include "libavutil/mathematics.h"
#include "libavutil/mem.h"
#include "libavutil/opt.h"
#include "libbsq.h"

#define MAX_MODELS 64
#define KEYFRAME_BIT 0x80 /* of a packet's first byte */

typedef struct LibBSQDecoder {
  const AVClass* class;
  char* model; /* option: one more model to try */

  bsq_decoder* decoder;
  bsq_model* models[MAX_MODELS];
  int model_count;
  uint8_t missing[BSQ_MODEL_ID_SIZE]; /* the model that could not be found, said once */
  int is_missing;
  int concealing; /* the frame before was concealed */
  int skipped;    /* packets since the start or a seek, before a keyframe */
} LibBSQDecoder;

static int open_decoder(AVCodecContext* avctx) {
  LibBSQDecoder* const s = avctx->priv_data;
  char error[FF_BSQ_ERROR_SIZE] = "";
  bsq_decoder_config config;
  bsq_status status;
  bsq_decoder_config_init(&config);
  config.threads = ff_bsq_threads(avctx->thread_count);
  config.strict = (avctx->err_recognition & AV_EF_EXPLODE) != 0;
  bsq_decoder_close(s->decoder);
  status = bsq_decoder_open(&config, (const bsq_model* const*)s->models, (size_t)s->model_count,
                            &s->decoder, error, sizeof(error));
  if (status != BSQ_OK) av_log(avctx, AV_LOG_ERROR, "%s\n", error);
  return ff_bsq_error(status);
}

/* The stream's own header is the truth about the frame; containers lose parts of it. */
static int set_properties(AVCodecContext* avctx, const bsq_sequence* sequence) {
  const FFBSQFormat* const format = ff_bsq_format_of_planes(sequence);
  int ret;
  if (format == NULL) {
    av_log(avctx, AV_LOG_ERROR, "no pixel format for chroma %d at %d bits\n", (int)sequence->chroma,
           (int)sequence->bit_depth);
    return AVERROR_PATCHWELCOME;
  }
  if (avctx->width != sequence->width || avctx->height != sequence->height) {
    ret = ff_set_dimensions(avctx, sequence->width, sequence->height);
    if (ret < 0) return ret;
  }
  avctx->pix_fmt = format->pix_fmt;
  avctx->color_primaries = (enum AVColorPrimaries)sequence->color_primaries;
  avctx->color_trc = (enum AVColorTransferCharacteristic)sequence->color_transfer;
  avctx->colorspace = (enum AVColorSpace)sequence->color_matrix;
  avctx->color_range = sequence->full_range == 0   ? AVCOL_RANGE_MPEG
                       : sequence->full_range == 1 ? AVCOL_RANGE_JPEG
                                                   : AVCOL_RANGE_UNSPECIFIED;
  avctx->chroma_sample_location = (enum AVChromaLocation)sequence->chroma_location;
  if (sequence->sample_aspect.num > 0) {
    ff_set_sar(avctx, (AVRational){sequence->sample_aspect.num, sequence->sample_aspect.den});
  }
  if (sequence->frame_rate.num > 0) {
    avctx->framerate = (AVRational){sequence->frame_rate.num, sequence->frame_rate.den};
  }
  return 0;
}

/* A stream may begin between keyframes: size and format stand in the container's private data too.
 * Where that cannot be read, the first keyframe says them. */
static int read_extradata(AVCodecContext* avctx) {
  char error[FF_BSQ_ERROR_SIZE] = "";
  bsq_sequence sequence;
  if (avctx->extradata_size <= 0) return 0;
  if (bsq_sequence_probe(avctx->extradata, (size_t)avctx->extradata_size, &sequence, error,
                         sizeof(error)) != BSQ_OK) {
    av_log(avctx, AV_LOG_WARNING, "the container's private data is not used: %s\n", error);
    return 0;
  }
  return set_properties(avctx, &sequence);
}

static av_cold int decode_init(AVCodecContext* avctx) {
  LibBSQDecoder* const s = avctx->priv_data;
  int ret = read_extradata(avctx);
  if (ret < 0) return ret;
  if (s->model != NULL && s->model[0] != '\0') {
    ret = ff_bsq_find_model(avctx, s->model, &s->models[0]);
    if (ret < 0) return ret;
    s->model_count = 1;
  }
  return open_decoder(avctx);
}

/* Says how many packets showed nothing, once a keyframe has come or none will. */
static void report_skipped(AVCodecContext* avctx, int keyframe_came) {
  LibBSQDecoder* const s = avctx->priv_data;
  if (s->skipped > 0) {
    av_log(avctx, AV_LOG_WARNING, "%d packet%s %s\n", s->skipped, s->skipped == 1 ? "" : "s",
           keyframe_came ? "before the first keyframe show nothing"
                         : "without a keyframe before them show nothing");
  }
  s->skipped = 0;
}

static av_cold int decode_close(AVCodecContext* avctx) {
  LibBSQDecoder* const s = avctx->priv_data;
  report_skipped(avctx, 0);
  bsq_decoder_close(s->decoder);
  s->decoder = NULL;
  while (s->model_count > 0) bsq_model_free(s->models[--s->model_count]);
  return 0;
}

static void decode_flush(AVCodecContext* avctx) {
  LibBSQDecoder* const s = avctx->priv_data;
  report_skipped(avctx, 0);
  if (s->decoder != NULL) bsq_decoder_reset(s->decoder);
}

/* Finds the model that a keyframe names and opens the decoder anew with it. */
static int add_model(AVCodecContext* avctx, const bsq_packet* packet) {
  LibBSQDecoder* const s = avctx->priv_data;
  char error[FF_BSQ_ERROR_SIZE] = "";
  char id[2 * BSQ_MODEL_ID_SIZE + 1];
  bsq_packet_info info;
  bsq_sequence sequence;
  bsq_model* model = NULL;
  int ret = ff_bsq_error(
      bsq_packet_probe(packet->data, packet->size, &info, &sequence, error, sizeof(error)));
  if (ret < 0) {
    av_log(avctx, AV_LOG_ERROR, "%s\n", error);
    return ret;
  }
  /* Size and format are known without the model: enough for ffprobe and for copying. */
  ret = set_properties(avctx, &sequence);
  if (ret < 0) return ret;
  if (s->is_missing && memcmp(s->missing, sequence.model_id, BSQ_MODEL_ID_SIZE) == 0) {
    return AVERROR(ENOENT);
  }
  if (s->model_count == MAX_MODELS) {
    av_log(avctx, AV_LOG_ERROR, "the stream names more than %d models\n", MAX_MODELS);
    return AVERROR_INVALIDDATA;
  }
  for (int i = 0; i < BSQ_MODEL_ID_SIZE; ++i) {
    snprintf(id + 2 * i, 3, "%02x", (unsigned)sequence.model_id[i]);
  }
  ret = ff_bsq_find_model(avctx, id, &model);
  if (ret < 0) {
    memcpy(s->missing, sequence.model_id, BSQ_MODEL_ID_SIZE);
    s->is_missing = 1;
    return ret;
  }
  av_log(avctx, AV_LOG_VERBOSE, "model %s %s\n", bsq_model_name(model), id);
  s->models[s->model_count++] = model;
  return open_decoder(avctx);
}

static int send_packet(AVCodecContext* avctx, const AVPacket* avpkt) {
  LibBSQDecoder* const s = avctx->priv_data;
  const bsq_packet packet = {.data = avpkt->data, .size = (size_t)avpkt->size};
  bsq_status status = bsq_decoder_send(s->decoder, &packet);
  if (status == BSQ_ERROR_MODEL_MISSING) {
    const int ret = add_model(avctx, &packet);
    if (ret < 0) return ret;
    status = bsq_decoder_send(s->decoder, &packet);
  }
  if (status != BSQ_OK) av_log(avctx, AV_LOG_ERROR, "%s\n", bsq_decoder_error(s->decoder));
  return ff_bsq_error(status);
}

static int add_rotation(AVFrame* frame, int32_t rotation) {
  AVFrameSideData* side_data;
  if (rotation == 0 || av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX) != NULL) return 0;
  side_data = av_frame_new_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
  if (side_data == NULL) return AVERROR(ENOMEM);
  av_display_rotation_set((int32_t*)side_data->data, rotation);
  return 0;
}

/* Marks the frame; the first one of a row is said aloud, with what is wrong. */
static void report_concealment(AVCodecContext* avctx, AVFrame* frame, const AVPacket* avpkt) {
  LibBSQDecoder* const s = avctx->priv_data;
  char error[FF_BSQ_ERROR_SIZE] = "";
  bsq_packet_info info;
  const bsq_status status =
      bsq_packet_probe(avpkt->data, (size_t)avpkt->size, &info, NULL, error, sizeof(error));
  if (status == BSQ_OK) snprintf(error, sizeof(error), "packets before it are lost or damaged");
  av_log(avctx, s->concealing ? AV_LOG_VERBOSE : AV_LOG_WARNING,
         "the frame at pts %lld is lost and shows the one before again: %s\n",
         (long long)frame->pts, error);
  frame->decode_error_flags |= FF_DECODE_ERROR_CONCEALMENT_ACTIVE;
  frame->flags |= AV_FRAME_FLAG_CORRUPT;
}

static int fill_frame(AVCodecContext* avctx, AVFrame* frame, const AVPacket* avpkt,
                      const bsq_frame* decoded, const bsq_sequence* sequence) {
  LibBSQDecoder* const s = avctx->priv_data;
  const uint8_t* planes[4] = {NULL};
  int strides[4] = {0};
  int ret = set_properties(avctx, sequence);
  if (ret < 0) return ret;
  ret = ff_get_buffer(avctx, frame, 0);
  if (ret < 0) return ret;
  for (size_t i = 0; i < FF_ARRAY_ELEMS(decoded->planes); ++i) {
    planes[i] = decoded->planes[i];
    strides[i] = (int)decoded->strides[i];
  }
  av_image_copy(frame->data, frame->linesize, planes, strides, avctx->pix_fmt, avctx->width,
                avctx->height);
  /* Containers move timestamps, so theirs count; where they have none, the stream's own do. */
  if (avpkt->pts == AV_NOPTS_VALUE && avctx->pkt_timebase.num > 0) {
    frame->pts =
        av_rescale_q(decoded->pts, (AVRational){sequence->time_base.num, sequence->time_base.den},
                     avctx->pkt_timebase);
  }
  frame->pict_type = decoded->keyframe  ? AV_PICTURE_TYPE_I
                     : decoded->b_frame ? AV_PICTURE_TYPE_B
                                        : AV_PICTURE_TYPE_P;
#ifdef AV_FRAME_FLAG_KEY
  if (decoded->keyframe) frame->flags |= AV_FRAME_FLAG_KEY;
#else
  frame->key_frame = decoded->keyframe;
#endif
  if (decoded->concealed) report_concealment(avctx, frame, avpkt);
  s->concealing = decoded->concealed;
  return add_rotation(frame, sequence->rotation);
}

/* Whether skip_frame leaves the packet out: from NONREF on where no other frame refers to its own,
 * from NONINTRA on between keyframes. */
static int is_skipped(const AVCodecContext* avctx, const AVPacket* avpkt) {
  bsq_packet_info info;
  if (avctx->skip_frame < AVDISCARD_NONREF) return 0;
  if (avctx->skip_frame >= AVDISCARD_ALL) return 1;
  if (avctx->skip_frame >= AVDISCARD_NONINTRA) return !(avpkt->data[0] & KEYFRAME_BIT);
  return bsq_packet_probe(avpkt->data, (size_t)avpkt->size, &info, NULL, NULL, 0) == BSQ_OK &&
         info.frames > 0 && info.held_frames == 0;
}

static int decode_frame(AVCodecContext* avctx, AVFrame* frame, int* got_frame, AVPacket* avpkt) {
  LibBSQDecoder* const s = avctx->priv_data;
  bsq_frame decoded;
  bsq_sequence sequence;
  bsq_status status;
  int ret;
  *got_frame = 0;
  if (avpkt->size <= 0) return 0;
  if (is_skipped(avctx, avpkt)) return avpkt->size;
  ret = send_packet(avctx, avpkt);
  if (ret < 0) return ret;
  status = bsq_decoder_receive(s->decoder, &decoded);
  if (status == BSQ_AGAIN) {          /* before the first keyframe */
    if (!s->is_missing) ++s->skipped; /* else that is what was said */
    return avpkt->size;
  }
  report_skipped(avctx, 1);
  if (status == BSQ_OK) status = bsq_decoder_sequence(s->decoder, &sequence);
  if (status != BSQ_OK) {
    av_log(avctx, AV_LOG_ERROR, "%s\n", bsq_decoder_error(s->decoder));
    return status < 0 ? ff_bsq_error(status) : AVERROR_EXTERNAL;
  }
  ret = fill_frame(avctx, frame, avpkt, &decoded, &sequence);
  if (ret < 0) return ret;
  *got_frame = 1;
  return avpkt->size;
}

#define OFFSET(field) offsetof(LibBSQDecoder, field)
#define FLAGS (AV_OPT_FLAG_VIDEO_PARAM | AV_OPT_FLAG_DECODING_PARAM)
static const AVOption options[] = {
    {"model",
     "One more model to try: a name, an id or a file",
     OFFSET(model),
     AV_OPT_TYPE_STRING,
     {.str = NULL},
     0,
     0,
     FLAGS},
    {NULL},
};

static const AVClass libbsq_decoder_class = {
    .class_name = "libbsq decoder",
    .item_name = av_default_item_name,
    .option = options,
    .version = LIBAVUTIL_VERSION_INT,
};

const FFCodec ff_libbsq_decoder = {
    .p.name = "libbsq",
    .p.long_name = "BSQ (Binary Spherical Quantization)",
    .p.type = AVMEDIA_TYPE_VIDEO,
    .p.id = AV_CODEC_ID_BSQ,
    .p.priv_class = &libbsq_decoder_class,
    .p.capabilities = AV_CODEC_CAP_DR1 | AV_CODEC_CAP_OTHER_THREADS,
    .p.wrapper_name = "libbsq",
    .caps_internal = FF_CODEC_CAP_AUTO_THREADS | FF_CODEC_CAP_INIT_CLEANUP
#ifdef FF_CODEC_CAP_INIT_THREADSAFE
                     | FF_CODEC_CAP_INIT_THREADSAFE
#endif
    ,
    .priv_data_size = sizeof(LibBSQDecoder),
    .init = decode_init,
    FF_CODEC_DECODE_CB(decode_frame),
    .flush = decode_flush,
    .close = decode_close,
};
