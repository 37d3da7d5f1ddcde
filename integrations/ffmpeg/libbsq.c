/* What the BSQ encoder and decoder of libavcodec share: pixel formats, models, errors. */
#include "libbsq.h"

#include <stddef.h>

#include "libavutil/common.h"
#include "libavutil/error.h"
#include "libavutil/log.h"
#include "libavutil/macros.h"

#define TABLE_ENTRY(name, chroma, bit_depth, alpha) {AV_PIX_FMT_##name, chroma, bit_depth, alpha},
static const FFBSQFormat formats[] = {FF_BSQ_FORMATS(TABLE_ENTRY)};
#undef TABLE_ENTRY

const FFBSQFormat* ff_bsq_format(enum AVPixelFormat pix_fmt) {
  for (size_t i = 0; i < FF_ARRAY_ELEMS(formats); ++i) {
    if (formats[i].pix_fmt == pix_fmt) return &formats[i];
  }
  return NULL;
}

const FFBSQFormat* ff_bsq_format_of_planes(const bsq_sequence* sequence) {
  for (size_t i = 0; i < FF_ARRAY_ELEMS(formats); ++i) {
    if (formats[i].chroma == sequence->chroma && formats[i].bit_depth == sequence->bit_depth &&
        formats[i].alpha == sequence->alpha) {
      return &formats[i];
    }
  }
  return NULL;
}

int ff_bsq_error(bsq_status status) {
  switch (status) {
    case BSQ_OK:
      return 0;
    case BSQ_AGAIN:
      return AVERROR(EAGAIN);
    case BSQ_EOF:
      return AVERROR_EOF;
    case BSQ_ERROR_ARGUMENT:
      return AVERROR(EINVAL);
    case BSQ_ERROR_BITSTREAM:
    case BSQ_ERROR_MODEL:
      return AVERROR_INVALIDDATA;
    case BSQ_ERROR_UNSUPPORTED:
      return AVERROR_PATCHWELCOME;
    case BSQ_ERROR_MODEL_MISSING:
      return AVERROR(ENOENT);
    case BSQ_ERROR_MEMORY:
      return AVERROR(ENOMEM);
    default:
      return AVERROR_EXTERNAL;
  }
}

int32_t ff_bsq_threads(int thread_count) { return av_clip(thread_count, 0, FF_BSQ_MAX_THREADS); }

int ff_bsq_find_model(void* log, const char* which, bsq_model** model) {
  char error[FF_BSQ_ERROR_SIZE] = "";
  const bsq_status status = bsq_model_find(which, BSQ_MODEL_DIR, model, error, sizeof(error));
  if (status != BSQ_OK) av_log(log, AV_LOG_ERROR, "%s\n", error);
  return ff_bsq_error(status);
}
