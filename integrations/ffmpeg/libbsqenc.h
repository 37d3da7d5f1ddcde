/* The BSQ encoder of libavcodec: its options and state. */
#ifndef AVCODEC_LIBBSQENC_H
#define AVCODEC_LIBBSQENC_H

#include <bsq/bsq.h>
#include <stddef.h>
#include <stdint.h>

#include "avcodec.h"
#include "libavutil/frame.h"
#include "libavutil/log.h"
#include "libavutil/opt.h"

#define FF_BSQ_MAX_CRF 63
#define FF_BSQ_NOT_GIVEN (-1)

typedef struct LibBSQEncoder {
  const AVClass* class;
  /* options */
  double crf;
  int qp;
  char* preset;
  char* tune;
  int lookahead;
  int temporal_filter;
  int screen_content;
  int chroma_crf_offset;
  int scene_cut;
  int sc_threshold;
  char* profile;
  char* level;
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

/* Static, as FFmpeg needs them; a test compares them with bsq_encoder_settings(). */
extern const AVOption ff_bsq_encoder_options[];

/* Makes an encoder's settings of the options. What is ignored is logged; returns an AVERROR for
 * what cannot be. The records of a first pass stay with the encoder. */
int ff_bsq_configure(AVCodecContext* avctx, bsq_encoder_config* config);

#endif /* AVCODEC_LIBBSQENC_H */
