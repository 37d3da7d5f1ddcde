/* The BSQ encoder of libavcodec, on the C API of libbsq.
 *
 * Pictures come out in the order in which they go in: dts is pts. With a look-ahead, packets come
 * so many pictures later; without one, each at once.
 */
#include <stdio.h>
#include <string.h>

#include "avcodec.h"
#include "codec_internal.h"
#include "encode.h"
#include "internal.h"
#include "libavutil/display.h"
#include "libavutil/frame.h"
#include "libavutil/mem.h"
#include "libavutil/opt.h"
#include "libavutil/pixdesc.h"
#include "libavutil/version.h"
#include "libbsq.h"
#include "version.h"

#define DEFAULT_CRF 32.0
#define DEFAULT_LOOKAHEAD 24
#define NOT_GIVEN (-1)
#define UNSPECIFIED 2 /* a code point of ISO/IEC 23091-2 */
#define RECORD_SIZE 128

typedef struct LibBSQEncoder {
  const AVClass* class;
  /* options */
  double crf;
  int preset;
  int tune;
  int lookahead;
  int scene_cut;
  int rotation;
  char* model_name;

  bsq_model* model;
  bsq_encoder* encoder;
  bsq_pass_record* first_pass;
  size_t first_pass_count;
  AVFrame* frame;
  int64_t last_pts;
  int has_last_pts;
  int flushed;
  int said_interlaced;
} LibBSQEncoder;

static int32_t code_point(int value) { return value >= 0 && value <= 255 ? value : UNSPECIFIED; }

/* 0 limited, 1 full, 2 unspecified. The formats called yuvj... are full by their names. */
static int32_t full_range(const AVCodecContext* avctx) {
  const char* const name = av_get_pix_fmt_name(avctx->pix_fmt);
  if (avctx->color_range == AVCOL_RANGE_JPEG) return 1;
  if (name != NULL && strncmp(name, "yuvj", 4) == 0) return 1;
  return avctx->color_range == AVCOL_RANGE_MPEG ? 0 : 2;
}

/* Degrees clockwise for display: the option, else what FFmpeg knows of the frames to come. */
static int32_t display_rotation(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 3, 100)
  const AVFrameSideData* const matrix = av_frame_side_data_get(
      avctx->decoded_side_data, avctx->nb_decoded_side_data, AV_FRAME_DATA_DISPLAYMATRIX);
  if (s->rotation == NOT_GIVEN && matrix != NULL) {
    const double turn = av_display_rotation_get((const int32_t*)matrix->data);
    const int clockwise = turn == turn ? (int)(360.5 - turn) % 360 : 0; /* NaN: no rotation */
    if (clockwise % 90 == 0) return clockwise;
    av_log(avctx, AV_LOG_WARNING, "a rotation of %d degrees is not carried in the stream\n",
           clockwise);
  }
#endif
  return s->rotation == NOT_GIVEN ? 0 : s->rotation;
}

static int describe_sequence(AVCodecContext* avctx, bsq_sequence* sequence) {
  const FFBSQFormat* const format = ff_bsq_format(avctx->pix_fmt);
  if (format == NULL) {
    av_log(avctx, AV_LOG_ERROR, "this pixel format is not coded as it is: convert the frames\n");
    return AVERROR(EINVAL);
  }
  sequence->width = avctx->width;
  sequence->height = avctx->height;
  sequence->chroma = format->chroma;
  sequence->alpha = format->alpha;
  sequence->bit_depth = format->bit_depth;
  sequence->time_base = (bsq_rational){avctx->time_base.num, avctx->time_base.den};
  if (avctx->framerate.num > 0 && avctx->framerate.den > 0) {
    sequence->frame_rate = (bsq_rational){avctx->framerate.num, avctx->framerate.den};
  }
  if (avctx->sample_aspect_ratio.num > 0 && avctx->sample_aspect_ratio.den > 0) {
    sequence->sample_aspect =
        (bsq_rational){avctx->sample_aspect_ratio.num, avctx->sample_aspect_ratio.den};
  }
  sequence->color_primaries = code_point(avctx->color_primaries);
  sequence->color_transfer = code_point(avctx->color_trc);
  sequence->color_matrix = code_point(avctx->colorspace);
  sequence->full_range = full_range(avctx);
  sequence->chroma_location = (int32_t)avctx->chroma_sample_location;
  sequence->rotation = display_rotation(avctx);
  return 0;
}

/* The lines that a first pass gave out, one for each picture. */
static int parse_first_pass(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  const char* line = avctx->stats_in;
  size_t lines = 0;
  for (const char* p = line; p != NULL && *p != '\0'; ++p) lines += *p == '\n';
  if (lines == 0) {
    av_log(avctx, AV_LOG_ERROR, "there is no log of a first pass: run with -pass 1 before\n");
    return AVERROR(EINVAL);
  }
  s->first_pass = av_calloc(lines, sizeof(*s->first_pass));
  if (s->first_pass == NULL) return AVERROR(ENOMEM);
  for (; s->first_pass_count < lines; ++s->first_pass_count) {
    bsq_pass_record* const record = &s->first_pass[s->first_pass_count];
    int keyframe = 0;
    if (sscanf(line, "%lf %lf %lf %d", &record->seconds, &record->bits, &record->crf, &keyframe) !=
        4) {
      av_log(avctx, AV_LOG_ERROR, "line %zu of the first pass's log is not of this encoder\n",
             s->first_pass_count + 1);
      return AVERROR_INVALIDDATA;
    }
    record->keyframe = keyframe;
    line = strchr(line, '\n') + 1;
  }
  return 0;
}

static int configure_rate(AVCodecContext* avctx, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  const int passes = avctx->flags & (AV_CODEC_FLAG_PASS1 | AV_CODEC_FLAG_PASS2);
  config->crf = s->crf < 0 ? DEFAULT_CRF : s->crf;
  if (avctx->bit_rate <= 0) {
    if (passes || avctx->rc_buffer_size > 0) {
      av_log(avctx, AV_LOG_ERROR, "two passes and bufsize are of use with a bit rate (b) only\n");
      return AVERROR(EINVAL);
    }
    return 0;
  }
  if (s->crf >= 0) {
    av_log(avctx, AV_LOG_ERROR, "crf and a bit rate (b) exclude each other: give one of them\n");
    return AVERROR(EINVAL);
  }
  config->bitrate = (double)avctx->bit_rate;
  if (avctx->rc_buffer_size > 0) {
    config->buffer_seconds = (double)avctx->rc_buffer_size / (double)avctx->bit_rate;
  }
  if (avctx->rc_max_rate > 0 && avctx->rc_max_rate != avctx->bit_rate) {
    av_log(avctx, AV_LOG_WARNING,
           "maxrate is not looked at: a receiver that fetches at b has every picture in time\n");
  }
  if (passes & AV_CODEC_FLAG_PASS2) {
    const int ret = parse_first_pass(avctx);
    if (ret < 0) return ret;
    config->first_pass = s->first_pass;
    config->first_pass_count = s->first_pass_count;
  }
  return 0;
}

static int configure(AVCodecContext* avctx, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  int ret;
  bsq_encoder_config_init(config);
  ret = describe_sequence(avctx, &config->sequence);
  if (ret < 0) return ret;
  if (avctx->gop_size == 0) avctx->gop_size = 1; /* FFmpeg's word for keyframes alone */
  config->gop = avctx->gop_size;
  config->scene_cut = s->scene_cut;
  config->threads = ff_bsq_threads(avctx->thread_count);
  config->preset = s->preset;
  config->tune = s->tune;
  config->lookahead = s->lookahead;
  if (s->lookahead == NOT_GIVEN) {
    config->lookahead = avctx->flags & AV_CODEC_FLAG_LOW_DELAY ? 0 : DEFAULT_LOOKAHEAD;
  }
  return configure_rate(avctx, config);
}

static int set_extradata(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  const uint8_t* header = NULL;
  size_t size = 0;
  const bsq_status status = bsq_encoder_header(s->encoder, &header, &size);
  if (status != BSQ_OK) return ff_bsq_error(status);
  avctx->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (avctx->extradata == NULL) return AVERROR(ENOMEM);
  memcpy(avctx->extradata, header, size);
  avctx->extradata_size = (int)size;
  return 0;
}

static av_cold int encode_init(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  char error[FF_BSQ_ERROR_SIZE] = "";
  bsq_encoder_config config;
  bsq_status status;
  int ret = configure(avctx, &config);
  if (ret < 0) return ret;
  s->frame = av_frame_alloc();
  if (s->frame == NULL) return AVERROR(ENOMEM);
  ret = ff_bsq_find_model(avctx, s->model_name, &s->model);
  if (ret < 0) return ret;
  status = bsq_encoder_open(&config, s->model, &s->encoder, error, sizeof(error));
  if (status != BSQ_OK) {
    av_log(avctx, AV_LOG_ERROR, "%s\n", error);
    return ff_bsq_error(status);
  }
  av_log(avctx, AV_LOG_VERBOSE, "model %s, kernels %s\n", bsq_model_name(s->model),
         bsq_current_kernels());
  avctx->has_b_frames = 0;
  return set_extradata(avctx);
}

/* Says how a bit rate was kept, where it was not. */
static void report_rate(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  bsq_rate_report report;
  if (avctx->bit_rate <= 0 || bsq_encoder_rate(s->encoder, &report) != BSQ_OK) return;
  av_log(avctx, AV_LOG_INFO, "%.0f b/s of %.0f b/s\n", report.reached, report.bitrate);
  if (report.coarsest > 0) {
    av_log(avctx, AV_LOG_WARNING, "%lld pictures were coded at crf 63: no coarser step is left\n",
           (long long)report.coarsest);
  }
  if (report.late > 0) {
    av_log(avctx, AV_LOG_WARNING, "the bits of %lld pictures come late at this rate and bufsize\n",
           (long long)report.late);
  }
}

static av_cold int encode_close(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  if (s->encoder != NULL && s->flushed) report_rate(avctx);
  bsq_encoder_close(s->encoder);
  bsq_model_free(s->model);
  av_frame_free(&s->frame);
  av_freep(&s->first_pass);
  av_freep(&avctx->stats_out);
  return 0;
}

static int send_frame(AVCodecContext* avctx, const AVFrame* frame) {
  LibBSQEncoder* const s = avctx->priv_data;
  bsq_picture picture = {.width = frame->width, .height = frame->height};
  const FFBSQFormat* const format = ff_bsq_format(frame->format);
  bsq_status status;
  if (format == NULL || frame->format != avctx->pix_fmt || frame->width != avctx->width ||
      frame->height != avctx->height) {
    av_log(avctx, AV_LOG_ERROR, "a frame of %dx%d has another size or format than the stream\n",
           frame->width, frame->height);
    return AVERROR(EINVAL);
  }
  picture.chroma = format->chroma;
  picture.bit_depth = format->bit_depth;
  for (size_t i = 0; i < FF_ARRAY_ELEMS(picture.planes); ++i) {
    picture.planes[i] = frame->data[i];
    picture.strides[i] = frame->linesize[i];
  }
  picture.pts = frame->pts;
  if (frame->pts == AV_NOPTS_VALUE) picture.pts = s->has_last_pts ? s->last_pts + 1 : 0;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  picture.duration = FFMAX(frame->duration, 0);
#endif
  picture.keyframe = frame->pict_type == AV_PICTURE_TYPE_I;
#ifdef AV_FRAME_FLAG_INTERLACED
  if ((frame->flags & AV_FRAME_FLAG_INTERLACED) && !s->said_interlaced) {
#else
  if (frame->interlaced_frame && !s->said_interlaced) {
#endif
    s->said_interlaced = 1;
    av_log(avctx, AV_LOG_WARNING,
           "interlaced pictures are coded as progressive ones: deinterlace them (yadif)\n");
  }
  status = bsq_encoder_send(s->encoder, &picture);
  if (status != BSQ_OK) {
    av_log(avctx, AV_LOG_ERROR, "%s\n", bsq_encoder_error(s->encoder));
    return status < 0 ? ff_bsq_error(status) : AVERROR_EXTERNAL;
  }
  s->last_pts = picture.pts;
  s->has_last_pts = 1;
  return 0;
}

/* A line of the first pass's log, which FFmpeg's users keep and give back as stats_in. */
static int write_record(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  bsq_pass_record record;
  bsq_status status;
  if (!(avctx->flags & AV_CODEC_FLAG_PASS1)) return 0;
  status = bsq_encoder_pass_record(s->encoder, &record);
  if (status != BSQ_OK) return ff_bsq_error(status);
  avctx->stats_out = av_malloc(RECORD_SIZE);
  if (avctx->stats_out == NULL) return AVERROR(ENOMEM);
  snprintf(avctx->stats_out, RECORD_SIZE, "%.17g %.17g %.17g %d\n", record.seconds, record.bits,
           record.crf, (int)record.keyframe);
  return 0;
}

static int write_packet(AVCodecContext* avctx, AVPacket* avpkt, const bsq_packet* packet) {
  const int ret = ff_get_encode_buffer(avctx, avpkt, (int64_t)packet->size, 0);
  if (ret < 0) return ret;
  memcpy(avpkt->data, packet->data, packet->size);
  avpkt->pts = packet->pts;
  avpkt->dts = packet->pts;
  avpkt->duration = packet->duration;
  if (packet->keyframe) avpkt->flags |= AV_PKT_FLAG_KEY;
  return write_record(avctx);
}

static int next_frame(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  int ret = ff_encode_get_frame(avctx, s->frame);
  if (ret == AVERROR_EOF) {
    s->flushed = 1;
    return ff_bsq_error(bsq_encoder_flush(s->encoder));
  }
  if (ret < 0) return ret;
  ret = send_frame(avctx, s->frame);
  av_frame_unref(s->frame);
  return ret;
}

static int encode_receive(AVCodecContext* avctx, AVPacket* avpkt) {
  LibBSQEncoder* const s = avctx->priv_data;
  av_freep(&avctx->stats_out);
  for (;;) {
    bsq_packet packet;
    const bsq_status status = bsq_encoder_receive(s->encoder, &packet);
    int ret;
    if (status == BSQ_OK) return write_packet(avctx, avpkt, &packet);
    if (status == BSQ_EOF) return AVERROR_EOF;
    if (status != BSQ_AGAIN) {
      av_log(avctx, AV_LOG_ERROR, "%s\n", bsq_encoder_error(s->encoder));
      return ff_bsq_error(status);
    }
    ret = next_frame(avctx);
    if (ret < 0) return ret;
  }
}

#define OFFSET(field) offsetof(LibBSQEncoder, field)
#define FLAGS (AV_OPT_FLAG_VIDEO_PARAM | AV_OPT_FLAG_ENCODING_PARAM)
#define NUMBER(name, help, field, preset, low, high) \
  {name, help, OFFSET(field), AV_OPT_TYPE_INT, {.i64 = preset}, low, high, FLAGS}
#define NAMED(name, help, field, preset, last) \
  {name, help, OFFSET(field), AV_OPT_TYPE_INT, {.i64 = preset}, 0, last, FLAGS, .unit = name}
#define NAME(of, name, help, value) \
  {name, help, 0, AV_OPT_TYPE_CONST, {.i64 = value}, 0, 0, FLAGS, .unit = of}
#define CRF_HELP "Quality, 0 (finest) to 63 (coarsest), 32 without it and without a bit rate"
#define LOOKAHEAD_HELP "Pictures to look ahead; 24 without it, 0 with -flags low_delay"
#define ROTATION_HELP "Degrees clockwise for display, carried in the stream (0, 90, 180, 270)"
#define MODEL_HELP "The model to code with: a name, an id or a file"
static const AVOption options[] = {
    {"crf", CRF_HELP, OFFSET(crf), AV_OPT_TYPE_DOUBLE, {.dbl = NOT_GIVEN}, NOT_GIVEN, 63, FLAGS},
    NAMED("preset", "Effort of coding", preset, BSQ_PRESET_MEDIUM, BSQ_PRESET_SLOW),
    NAME("preset", "fast", "Less search", BSQ_PRESET_FAST),
    NAME("preset", "medium", "The usual one", BSQ_PRESET_MEDIUM),
    NAME("preset", "slow", "Bits tried at several prices", BSQ_PRESET_SLOW),
    NAMED("tune", "What bits are spent on", tune, BSQ_TUNE_BALANCED, BSQ_TUNE_PERCEPTUAL),
    NAME("tune", "balanced", "Between the other two", BSQ_TUNE_BALANCED),
    NAME("tune", "psnr", "The mean squared error alone", BSQ_TUNE_PSNR),
    NAME("tune", "perceptual", "Coarse structure and flat areas", BSQ_TUNE_PERCEPTUAL),
    NUMBER("lookahead", LOOKAHEAD_HELP, lookahead, NOT_GIVEN, NOT_GIVEN, 250),
    NUMBER("scene_cut", "1: also put keyframes at scene cuts", scene_cut, 1, 0, 1),
    NUMBER("rotation", ROTATION_HELP, rotation, NOT_GIVEN, NOT_GIVEN, 270),
    {"model", MODEL_HELP, OFFSET(model_name), AV_OPT_TYPE_STRING, {.str = NULL}, 0, 0, FLAGS},
    {NULL},
};

static const FFCodecDefault defaults[] = {{"b", "0"}, {"g", "250"}, {NULL}};

#define PIX_FMT(name, chroma, bit_depth, alpha) AV_PIX_FMT_##name,
static const enum AVPixelFormat pix_fmts[] = {FF_BSQ_FORMATS(PIX_FMT) AV_PIX_FMT_NONE};
#undef PIX_FMT

static const AVClass libbsq_encoder_class = {
    .class_name = "libbsq encoder",
    .item_name = av_default_item_name,
    .option = options,
    .version = LIBAVUTIL_VERSION_INT,
};

const FFCodec ff_libbsq_encoder = {
    .p.name = "libbsq",
    .p.long_name = "BSQ (Binary Spherical Quantization)",
    .p.type = AVMEDIA_TYPE_VIDEO,
    .p.id = AV_CODEC_ID_BSQ,
    .p.priv_class = &libbsq_encoder_class,
    .p.capabilities = AV_CODEC_CAP_DR1 | AV_CODEC_CAP_DELAY | AV_CODEC_CAP_OTHER_THREADS,
    .p.wrapper_name = "libbsq",
#ifdef CODEC_PIXFMTS_ARRAY
    CODEC_PIXFMTS_ARRAY(pix_fmts),
    .color_ranges = AVCOL_RANGE_MPEG | AVCOL_RANGE_JPEG,
#else
    .p.pix_fmts = pix_fmts,
#endif
    .caps_internal = FF_CODEC_CAP_AUTO_THREADS | FF_CODEC_CAP_INIT_CLEANUP
#ifdef FF_CODEC_CAP_INIT_THREADSAFE
                     | FF_CODEC_CAP_INIT_THREADSAFE
#endif
    ,
    .defaults = defaults,
    .priv_data_size = sizeof(LibBSQEncoder),
    .init = encode_init,
    FF_CODEC_RECEIVE_PACKET_CB(encode_receive),
    .close = encode_close,
};
