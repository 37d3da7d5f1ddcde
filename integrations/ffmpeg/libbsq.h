/* What the BSQ encoder and decoder of libavcodec share: pixel formats, models, errors.
 *
 * These files are written for FFmpeg 5.1 and newer; register.py puts them into a source tree.
 */
#ifndef AVCODEC_LIBBSQ_H
#define AVCODEC_LIBBSQ_H

#include <bsq/bsq.h>
#include <stdint.h>

#include "config.h"
#include "libavutil/pixfmt.h"

/* The folder of the released models; register.py makes configure write it into config.h. */
#ifndef BSQ_MODEL_DIR
#define BSQ_MODEL_DIR ""
#endif

#define FF_BSQ_MAX_THREADS 64
#define FF_BSQ_ERROR_SIZE 512

/* Every pixel format that is coded as it is: FFmpeg's name, bsq_chroma, bits per sample, whether
 * there is alpha. The first entry of each kind is what the decoder gives. */
#define FF_BSQ_FORMATS(FORMAT)              \
  FORMAT(YUV420P, BSQ_CHROMA_420, 8, 0)     \
  FORMAT(YUVJ420P, BSQ_CHROMA_420, 8, 0)    \
  FORMAT(YUV420P10, BSQ_CHROMA_420, 10, 0)  \
  FORMAT(YUV422P, BSQ_CHROMA_422, 8, 0)     \
  FORMAT(YUVJ422P, BSQ_CHROMA_422, 8, 0)    \
  FORMAT(YUV422P10, BSQ_CHROMA_422, 10, 0)  \
  FORMAT(YUV444P, BSQ_CHROMA_444, 8, 0)     \
  FORMAT(YUVJ444P, BSQ_CHROMA_444, 8, 0)    \
  FORMAT(YUV444P10, BSQ_CHROMA_444, 10, 0)  \
  FORMAT(YUVA420P, BSQ_CHROMA_420, 8, 1)    \
  FORMAT(YUVA420P10, BSQ_CHROMA_420, 10, 1) \
  FORMAT(YUVA422P, BSQ_CHROMA_422, 8, 1)    \
  FORMAT(YUVA422P10, BSQ_CHROMA_422, 10, 1) \
  FORMAT(YUVA444P, BSQ_CHROMA_444, 8, 1)    \
  FORMAT(YUVA444P10, BSQ_CHROMA_444, 10, 1) \
  FORMAT(GRAY8, BSQ_CHROMA_GRAY, 8, 0)      \
  FORMAT(GRAY10, BSQ_CHROMA_GRAY, 10, 0)

typedef struct FFBSQFormat {
  enum AVPixelFormat pix_fmt;
  int32_t chroma;
  int32_t bit_depth;
  int32_t alpha;
} FFBSQFormat;

/* NULL where libbsq does not code the format, or FFmpeg has none for these planes. */
const FFBSQFormat* ff_bsq_format(enum AVPixelFormat pix_fmt);
const FFBSQFormat* ff_bsq_format_of_planes(const bsq_sequence* sequence);

/* The AVERROR that belongs to a status. */
int ff_bsq_error(bsq_status status);

/* FFmpeg's number of threads as libbsq takes it: 0 for all processors. */
int32_t ff_bsq_threads(int thread_count);

/* Finds a model by name, id or path, the default one where `which` is NULL or empty. On failure
 * logs where it was looked for and returns an AVERROR. */
int ff_bsq_find_model(void* log, const char* which, bsq_model** model);

#endif /* AVCODEC_LIBBSQ_H */
