/* The BSQ encoder of libavcodec, on the C API of libbsq.
 *
 * Frames come out in the order in which they go in: dts is pts. With a lookahead, packets come
 * so many frames later; without one, each at once.
 */
#include "libbsqenc.h"

#include <stdio.h>
#include <string.h>

#include "avcodec.h"
#include "codec_internal.h"
#include "encode.h"
#include "internal.h"
#include "libavutil/frame.h"
#include "libavutil/mem.h"
#include "libavutil/version.h"
#include "libbsq.h"
#include "version.h"

#define RECORD_SIZE 128

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
  int ret = ff_bsq_configure(avctx, &config);
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

/* Says how a bit rate or a cap was kept, and where it was not. */
static void report_rate(AVCodecContext* avctx) {
  LibBSQEncoder* const s = avctx->priv_data;
  bsq_rate_report report;
  if (bsq_encoder_rate(s->encoder, &report) != BSQ_OK || report.maxrate <= 0) return;
  if (report.bitrate > 0) {
    av_log(avctx, AV_LOG_INFO, "%.0f b/s of %.0f b/s\n", report.actual_bitrate, report.bitrate);
  } else {
    av_log(avctx, AV_LOG_INFO,
           "%.0f b/s within maxrate %.0f b/s and a buffer of %.0f bits: %lld frames are coarser "
           "than crf asks\n",
           report.actual_bitrate, report.maxrate, report.vbv_buffer_bits,
           (long long)report.frames_capped);
  }
  /* Under a cap that holds, frames may be as coarse as crf and the lookahead ask. */
  if (report.frames_at_max_q > 0 && (report.bitrate > 0 || report.underflows > 0)) {
    av_log(avctx, AV_LOG_WARNING, "%lld frames were coded at crf 63: no coarser step is left\n",
           (long long)report.frames_at_max_q);
  }
  if (report.underflows > 0) {
    av_log(avctx, AV_LOG_WARNING, "the bits of %lld frames come late at this rate and bufsize\n",
           (long long)report.underflows);
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
  bsq_frame input = {.width = frame->width, .height = frame->height};
  const FFBSQFormat* const format = ff_bsq_format(frame->format);
  bsq_status status;
  if (format == NULL || frame->format != avctx->pix_fmt || frame->width != avctx->width ||
      frame->height != avctx->height) {
    av_log(avctx, AV_LOG_ERROR, "a frame of %dx%d has another size or format than the stream\n",
           frame->width, frame->height);
    return AVERROR(EINVAL);
  }
  input.chroma = format->chroma;
  input.bit_depth = format->bit_depth;
  for (size_t i = 0; i < FF_ARRAY_ELEMS(input.planes); ++i) {
    input.planes[i] = frame->data[i];
    input.strides[i] = frame->linesize[i];
  }
  input.pts = frame->pts;
  if (frame->pts == AV_NOPTS_VALUE) input.pts = s->has_last_pts ? s->last_pts + 1 : 0;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  input.duration = FFMAX(frame->duration, 0);
#endif
  input.keyframe = frame->pict_type == AV_PICTURE_TYPE_I;
#ifdef AV_FRAME_FLAG_INTERLACED
  if ((frame->flags & AV_FRAME_FLAG_INTERLACED) && !s->said_interlaced) {
#else
  if (frame->interlaced_frame && !s->said_interlaced) {
#endif
    s->said_interlaced = 1;
    av_log(avctx, AV_LOG_WARNING,
           "interlaced frames are coded as progressive ones: deinterlace them (yadif)\n");
  }
  status = bsq_encoder_send(s->encoder, &input);
  if (status != BSQ_OK) {
    av_log(avctx, AV_LOG_ERROR, "%s\n", bsq_encoder_error(s->encoder));
    return status < 0 ? ff_bsq_error(status) : AVERROR_EXTERNAL;
  }
  s->last_pts = input.pts;
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
  if (packet->disposable) avpkt->flags |= AV_PKT_FLAG_DISPOSABLE;
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

static const FFCodecDefault defaults[] = {
    {"b", "0"}, {"bf", "-1"}, {"g", "250"}, {"keyint_min", "-1"}, {NULL}};

#define PIX_FMT(name, chroma, bit_depth, alpha) AV_PIX_FMT_##name,
static const enum AVPixelFormat pix_fmts[] = {FF_BSQ_FORMATS(PIX_FMT) AV_PIX_FMT_NONE};
#undef PIX_FMT

static const AVClass libbsq_encoder_class = {
    .class_name = "libbsq encoder",
    .item_name = av_default_item_name,
    .option = ff_bsq_encoder_options,
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
