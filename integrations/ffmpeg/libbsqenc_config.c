/* The settings of a BSQ encoder from FFmpeg's options: what is taken, what is said to be ignored.
 */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "avcodec.h"
#include "libavutil/avstring.h"
#include "libavutil/display.h"
#include "libavutil/error.h"
#include "libavutil/frame.h"
#include "libavutil/macros.h"
#include "libavutil/mem.h"
#include "libavutil/opt.h"
#include "libavutil/pixdesc.h"
#include "libbsq.h"
#include "libbsqenc.h"
#include "version.h"

#define UNSPECIFIED 2 /* a code point of ISO/IEC 23091-2 */

#define OFFSET(field) offsetof(LibBSQEncoder, field)
#define FLAGS (AV_OPT_FLAG_VIDEO_PARAM | AV_OPT_FLAG_ENCODING_PARAM)
#define NUMBER(name, help, field, preset, low, high) \
  {name, help, OFFSET(field), AV_OPT_TYPE_INT, {.i64 = preset}, low, high, FLAGS}
#define TEXT(name, help, field, preset) \
  {name, help, OFFSET(field), AV_OPT_TYPE_STRING, {.str = preset}, 0, 0, FLAGS}
#define CRF_HELP "Quality, 0 (finest) to 63 (coarsest); not with a bit rate"
#define PRESET_HELP "Effort: fast, medium or slow; x264's names and numbers are coded as these"
#define TUNE_HELP "What bits are spent on: balanced, psnr or perceptual; zerolatency: no lookahead"
#define LOOKAHEAD_HELP "Frames to look ahead; 0 with -flags low_delay"
#define ROTATION_HELP "Degrees clockwise for display, carried in the stream (0, 90, 180, 270)"
#define MODEL_HELP "The model to code with: a name, an id or a file"
const AVOption ff_bsq_encoder_options[] = {
    {"crf",
     CRF_HELP,
     OFFSET(crf),
     AV_OPT_TYPE_DOUBLE,
     {.dbl = FF_BSQ_NOT_GIVEN},
     FF_BSQ_NOT_GIVEN,
     FF_BSQ_MAX_CRF,
     FLAGS},
    TEXT("preset", PRESET_HELP, preset, NULL),
    TEXT("tune", TUNE_HELP, tune, NULL),
    NUMBER("lookahead", LOOKAHEAD_HELP, lookahead, FF_BSQ_NOT_GIVEN, FF_BSQ_NOT_GIVEN, 250),
    NUMBER("temporal_filter", "1: filter what many frames are predicted from, with a lookahead",
           temporal_filter, 1, 0, 1),
    NUMBER("screen_content", "1: code samples themselves where that costs less, as in text",
           screen_content, 1, 0, 1),
    NUMBER("chroma_crf_offset", "What is added to crf for chroma of 4:2:0, below 0 it is finer",
           chroma_crf_offset, -2, -7, 0),
    NUMBER("scene_cut", "1: also put keyframes at scene cuts", scene_cut, 1, 0, 1),
    NUMBER("rotation", ROTATION_HELP, rotation, FF_BSQ_NOT_GIVEN, FF_BSQ_NOT_GIVEN, 270),
    TEXT("model", MODEL_HELP, model_name, NULL),
    /* As x264's users write them. */
    NUMBER("rc-lookahead", "The same as lookahead", lookahead, FF_BSQ_NOT_GIVEN, FF_BSQ_NOT_GIVEN,
           250),
    NUMBER("sc_threshold", "0: the same as scene_cut 0", sc_threshold, FF_BSQ_NOT_GIVEN, INT_MIN,
           INT_MAX),
    NUMBER("qp", "Taken as crf", qp, FF_BSQ_NOT_GIVEN, FF_BSQ_NOT_GIVEN, FF_BSQ_MAX_CRF),
    TEXT("profile", "Ignored: a stream has no profile", profile, NULL),
    TEXT("level", "Ignored: the level follows from the size", level, NULL),
    {NULL},
};

/* What the library says of a setting. */
static const bsq_setting* find_setting(const char* name) {
  size_t count = 0;
  const bsq_setting* const settings = bsq_encoder_settings(&count);
  size_t i = 0;
  while (i + 1 < count && strcmp(settings[i].name, name) != 0) ++i;
  return &settings[i];
}

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
  if (s->rotation == FF_BSQ_NOT_GIVEN && matrix != NULL) {
    const double turn = av_display_rotation_get((const int32_t*)matrix->data);
    const int clockwise = turn == turn ? (int)(360.5 - turn) % 360 : 0; /* NaN: no rotation */
    if (clockwise % 90 == 0) return clockwise;
    av_log(avctx, AV_LOG_WARNING, "a rotation of %d degrees is not carried in the stream\n",
           clockwise);
  }
#endif
  return s->rotation == FF_BSQ_NOT_GIVEN ? 0 : s->rotation;
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

/* The lines that a first pass gave out, one for each frame. */
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
    double values[4];
    const char* place = line;
    int count = 0;
    /* sscanf would look for the end of the whole log at every line. */
    for (; count < 4; ++count) {
      char* end = NULL;
      values[count] = strtod(place, &end);
      if (end == place) break;
      place = end;
    }
    if (count < 4) {
      av_log(avctx, AV_LOG_ERROR, "line %zu of the first pass's log is not of this encoder\n",
             s->first_pass_count + 1);
      return AVERROR_INVALIDDATA;
    }
    record->seconds = values[0];
    record->bits = values[1];
    record->crf = values[2];
    record->keyframe = values[3] != 0.0;
    line = strchr(line, '\n') + 1;
  }
  return 0;
}

/* Sets the buffer of a receiver that fetches at `rate` bits per second. */
static int configure_buffer(AVCodecContext* avctx, int64_t rate, bsq_encoder_config* config) {
  const bsq_setting* const range = find_setting("vbv_buffer");
  const double seconds = (double)avctx->rc_buffer_size / (double)rate;
  if (avctx->rc_buffer_size <= 0) return 0;
  if (seconds < range->minimum || seconds > range->maximum) {
    av_log(avctx, AV_LOG_ERROR,
           "bufsize %d is %.3g seconds of %lld b/s: give one of %g to %g seconds\n",
           avctx->rc_buffer_size, seconds, (long long)rate, range->minimum, range->maximum);
    return AVERROR(EINVAL);
  }
  config->vbv_buffer_seconds = seconds;
  return 0;
}

/* crf, and maxrate as a cap on what it takes. */
static int configure_quality(AVCodecContext* avctx, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  if (avctx->flags & (AV_CODEC_FLAG_PASS1 | AV_CODEC_FLAG_PASS2)) {
    av_log(avctx, AV_LOG_ERROR, "two passes share out a bit rate: give one with -b:v\n");
    return AVERROR(EINVAL);
  }
  if (s->crf < 0 && s->qp >= 0) {
    av_log(avctx, AV_LOG_WARNING,
           "-qp %d is taken as -crf %d: quantizers follow what frames need, none is lossless\n",
           s->qp, s->qp);
    s->crf = s->qp;
  }
  if (s->crf >= 0) config->crf = s->crf;
  if (avctx->rc_max_rate <= 0) {
    if (avctx->rc_buffer_size > 0) {
      av_log(avctx, AV_LOG_WARNING, "-bufsize is ignored: it goes with -maxrate or -b:v\n");
    }
    return 0;
  }
  config->maxrate = (double)avctx->rc_max_rate;
  return configure_buffer(avctx, avctx->rc_max_rate, config);
}

static int configure_rate(AVCodecContext* avctx, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  if (avctx->bit_rate <= 0) return configure_quality(avctx, config);
  if (s->crf >= 0) {
    av_log(
        avctx, AV_LOG_ERROR,
        "-crf and -b:v exclude each other: give one of them (-crf with -maxrate caps the rate)\n");
    return AVERROR(EINVAL);
  }
  if (s->qp >= 0) av_log(avctx, AV_LOG_WARNING, "-qp is ignored with -b:v\n");
  config->bitrate = (double)avctx->bit_rate;
  if (avctx->rc_max_rate > 0 && avctx->rc_max_rate < avctx->bit_rate) {
    av_log(avctx, AV_LOG_WARNING, "-maxrate is below -b:v: the bit rate is %lld b/s\n",
           (long long)avctx->rc_max_rate);
    config->bitrate = (double)avctx->rc_max_rate;
  } else if (avctx->rc_max_rate > 0) {
    config->maxrate = (double)avctx->rc_max_rate;
  }
  if (avctx->flags & AV_CODEC_FLAG_PASS2) {
    const int ret = parse_first_pass(avctx);
    if (ret < 0) return ret;
    config->first_pass = s->first_pass;
    config->first_pass_count = s->first_pass_count;
  }
  return configure_buffer(avctx, (int64_t)(config->maxrate > 0 ? config->maxrate : config->bitrate),
                          config);
}

/* BSQ's names and x264's, whose numbers are their places here. */
static int configure_preset(AVCodecContext* avctx, bsq_encoder_config* config) {
  static const struct {
    const char* name;
    int32_t preset;
  } presets[] = {
      {"ultrafast", BSQ_PRESET_FAST}, {"superfast", BSQ_PRESET_FAST}, {"veryfast", BSQ_PRESET_FAST},
      {"faster", BSQ_PRESET_FAST},    {"fast", BSQ_PRESET_FAST},      {"medium", BSQ_PRESET_MEDIUM},
      {"slow", BSQ_PRESET_SLOW},      {"slower", BSQ_PRESET_SLOW},    {"veryslow", BSQ_PRESET_SLOW},
      {"placebo", BSQ_PRESET_SLOW},
  };
  const char* const* const own = find_setting("preset")->choices;
  const char* const wanted = ((LibBSQEncoder*)avctx->priv_data)->preset;
  if (wanted == NULL) return 0;
  for (size_t i = 0; i < FF_ARRAY_ELEMS(presets); ++i) {
    const char number[] = {(char)('0' + i), '\0'};
    if (strcmp(wanted, presets[i].name) != 0 && strcmp(wanted, number) != 0) continue;
    config->preset = presets[i].preset;
    if (strcmp(wanted, own[config->preset]) != 0) {
      av_log(avctx, AV_LOG_INFO, "preset %s is coded as %s: there are fast, medium and slow\n",
             wanted, own[config->preset]);
    }
    return 0;
  }
  av_log(avctx, AV_LOG_ERROR,
         "there is no preset %s: fast, medium and slow, or x264's names and numbers, ultrafast (0) "
         "to placebo (9)\n",
         wanted);
  return AVERROR(EINVAL);
}

/* One name of -tune; what is not known is said and left out, since it is a wish at most. */
static void take_tune(AVCodecContext* avctx, const char* name, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  if (bsq_encoder_config_set(config, "tune", name, NULL, 0) == BSQ_OK) return;
  if (strcmp(name, "ssim") == 0) {
    config->tune = BSQ_TUNE_PERCEPTUAL;
    av_log(avctx, AV_LOG_INFO, "tune ssim is coded as perceptual\n");
  } else if (strcmp(name, "zerolatency") == 0) {
    if (s->lookahead == FF_BSQ_NOT_GIVEN) s->lookahead = 0;
  } else {
    av_log(avctx, AV_LOG_WARNING,
           "-tune %s is ignored: there are balanced, psnr, perceptual and zerolatency\n", name);
  }
}

static int configure_tune(AVCodecContext* avctx, bsq_encoder_config* config) {
  const LibBSQEncoder* const s = avctx->priv_data;
  char* rest = NULL;
  char* names;
  if (s->tune == NULL) return 0;
  names = av_strdup(s->tune);
  if (names == NULL) return AVERROR(ENOMEM);
  for (const char* name = av_strtok(names, ",", &rest); name != NULL;
       name = av_strtok(NULL, ",", &rest)) {
    take_tune(avctx, name, config);
  }
  av_free(names);
  return 0;
}

static void warn_of(AVCodecContext* avctx, const char* name, const char* why) {
  av_log(avctx, AV_LOG_WARNING, "-%s is ignored%s%s\n", name, why == NULL ? "" : ": ",
         why == NULL ? "" : why);
}

/* Options of FFmpeg's for encoders that this one has no use for: where one is given, it is said. */
static void warn_of_ignored(AVCodecContext* avctx) {
  const LibBSQEncoder* const s = avctx->priv_data;
  static const struct {
    const char* name;
    const char* why;
  } ignored[] = {
      {"refs", "references follow from the B frames"},
      {"minrate", "a rate has no lower bound"},
      {"slices", "blocks follow from the size"},
      {"qmin", NULL},
      {"qmax", NULL},
      {"qdiff", NULL},
      {"qcomp", NULL},
      {"qblur", NULL},
      {"i_qfactor", NULL},
      {"b_qfactor", NULL},
      {"trellis", NULL},
      {"me_range", NULL},
      {"subq", NULL},
      {"cmp", NULL},
      {"nr", NULL},
      {"compression_level", "-preset sets the effort"},
  };
  for (size_t i = 0; i < FF_ARRAY_ELEMS(ignored); ++i) {
    if (av_opt_is_set_to_default_by_name(avctx, ignored[i].name, 0) != 0) continue;
    warn_of(avctx, ignored[i].name, ignored[i].why);
  }
  if (s->profile != NULL) warn_of(avctx, "profile", "a stream has no profile");
  if (s->level != NULL) warn_of(avctx, "level", "the level follows from the size");
  if (avctx->global_quality > 0 || (avctx->flags & AV_CODEC_FLAG_QSCALE)) {
    warn_of(avctx, "q:v", "-crf sets the quality, 0 (finest) to 63 (coarsest)");
  }
  if (avctx->flags & (AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME)) {
    warn_of(avctx, "flags ildct, ilme", "frames are progressive");
  }
}

static void configure_groups(AVCodecContext* avctx, bsq_encoder_config* config) {
  const LibBSQEncoder* const s = avctx->priv_data;
  if (avctx->gop_size == 0) avctx->gop_size = 1; /* FFmpeg's word for keyframes alone */
  config->gop = avctx->gop_size;
  config->scene_cut = s->scene_cut && s->sc_threshold != 0;
  if (avctx->max_b_frames >= 0) config->bframes = avctx->max_b_frames;
  if (avctx->keyint_min >= avctx->gop_size) {
    config->scene_cut = 0; /* none fits between the regular ones */
  } else if (avctx->keyint_min > 1 && config->scene_cut) {
    av_log(avctx, AV_LOG_WARNING,
           "-keyint_min %d is ignored: a scene cut gets its keyframe where it is; -scene_cut 0, or "
           "-keyint_min %d, leaves those out\n",
           avctx->keyint_min, avctx->gop_size);
  }
}

int ff_bsq_configure(AVCodecContext* avctx, bsq_encoder_config* config) {
  LibBSQEncoder* const s = avctx->priv_data;
  int ret;
  bsq_encoder_config_init(config);
  ret = describe_sequence(avctx, &config->sequence);
  if (ret < 0) return ret;
  warn_of_ignored(avctx);
  ret = configure_preset(avctx, config);
  if (ret < 0) return ret;
  ret = configure_tune(avctx, config);
  if (ret < 0) return ret;
  configure_groups(avctx, config);
  config->threads = ff_bsq_threads(avctx->thread_count);
  config->temporal_filter = s->temporal_filter;
  config->screen_content = s->screen_content;
  config->chroma_crf_offset = s->chroma_crf_offset;
  config->lookahead = s->lookahead;
  if (s->lookahead == FF_BSQ_NOT_GIVEN) {
    config->lookahead = avctx->flags & AV_CODEC_FLAG_LOW_DELAY
                            ? 0
                            : (int32_t)find_setting("lookahead")->file_default;
  }
  return configure_rate(avctx, config);
}
