/* The CUDA backend of libbsq: decoding on a GPU to the very samples that bsq.h gives, encoding to
 * the very packets.
 *
 * It is a library of its own, libbsq_cuda, which hosts load where it is present (dlopen) and which
 * needs nothing but the NVIDIA driver. It exports one function; everything else is in the table
 * that the function returns. Handles follow the rules of bsq.h: opaque, one thread at a time.
 * Models are handed over as the bytes of their files, so that nothing passes between two libraries
 * but plain C data.
 *
 * All work of a decoder or an encoder goes to one stream, the caller's. What a call returns in the
 * device's memory is valid in the order of that stream: work queued there later sees it, other
 * streams must wait for an event. This header is plain C11.
 */
#ifndef BSQ_BSQ_CUDA_H
#define BSQ_BSQ_CUDA_H

#include <bsq/bsq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with every change to this header that breaks its users. */
#define BSQ_CUDA_ABI 5

typedef struct bsq_cuda_decoder bsq_cuda_decoder;
typedef struct bsq_cuda_encoder bsq_cuda_encoder;

typedef struct bsq_cuda_model {
  const uint8_t* data; /* a model file */
  size_t size;
} bsq_cuda_model;

typedef struct bsq_cuda_config {
  int32_t device;    /* ordinal as CUDA counts; default 0 */
  void* stream;      /* a cudaStream_t of that device that outlives the decoder; default NULL, the
                        default stream */
  int32_t threads;   /* of the host, for range decoding; 0 picks the number of processors; an
                        encoder has those of its settings */
  int32_t max_level; /* as in bsq_decoder_config */
  int32_t strict;
  bsq_log_callback log; /* of a decoder, as in bsq_decoder_config; an encoder has its settings' */
  void* log_opaque;
  int64_t reserved[4]; /* 0 */
} bsq_cuda_config;

typedef struct bsq_cuda_api {
  uint32_t abi; /* BSQ_CUDA_ABI */
  /* 1 where the device is emulated on the host, whose memory is then the device's. */
  int32_t emulated;
  const char* version; /* of the library, as bsq_version() */

  /* Devices that can be opened; 0 without a driver. */
  int32_t (*device_count)(void);

  void (*config_init)(bsq_cuda_config* config);
  /* The bytes of the models are copied. On failure *decoder is NULL and the reason, when error is
   * not NULL, is written there. BSQ_ERROR_UNSUPPORTED: no driver, or a device older than compute
   * capability 8.0. */
  bsq_status (*decoder_open)(const bsq_cuda_config* config, const bsq_cuda_model* models,
                             size_t model_count, bsq_cuda_decoder** decoder, char* error,
                             size_t error_size);
  void (*decoder_close)(bsq_cuda_decoder* decoder);
  const char* (*decoder_error)(const bsq_cuda_decoder* decoder);
  /* As the functions of bsq.h. Synthesis of the frame may still be under way on the stream when
   * send returns. */
  bsq_status (*decoder_send)(bsq_cuda_decoder* decoder, const bsq_packet* packet);
  bsq_status (*decoder_flush)(bsq_cuda_decoder* decoder);
  void (*decoder_reset)(bsq_cuda_decoder* decoder);
  bsq_status (*decoder_sequence)(const bsq_cuda_decoder* decoder, bsq_sequence* sequence);

  /* Planes are in the device's memory, in the order of the stream, until the next call on this
   * decoder; strides are multiples of 256. */
  bsq_status (*decoder_receive)(bsq_cuda_decoder* decoder, bsq_frame* frame);
  /* The same into the caller's memory of the device: `planes` with rows `strides` bytes apart, as
   * many as the sequence has, the others NULL, at least as large as its frames; for 10 bits
   * pointers and strides must be even. */
  bsq_status (*decoder_receive_into)(bsq_cuda_decoder* decoder, void* const planes[BSQ_MAX_PLANES],
                                     const ptrdiff_t strides[BSQ_MAX_PLANES], bsq_frame* frame);
  /* The same into memory of the host; waits for the stream. Valid until the next call. */
  bsq_status (*decoder_receive_host)(bsq_cuda_decoder* decoder, bsq_frame* frame);
  /* Until everything that was queued on the decoder's stream is done. */
  bsq_status (*decoder_wait)(bsq_cuda_decoder* decoder);

  /* Memory of the decoder's device, for receive_into. The decoder must outlive it. NULL: none was
   * left. */
  void* (*allocate)(bsq_cuda_decoder* decoder, size_t bytes);
  /* Waits for all work of the device first. */
  void (*release)(bsq_cuda_decoder* decoder, void* memory);

  /* An encoder of `settings`, on the device and the stream of `config`. The bytes of the model are
   * copied. Failures are those of decoder_open and of bsq_encoder_open. */
  bsq_status (*encoder_open)(const bsq_cuda_config* config, const bsq_encoder_config* settings,
                             const bsq_cuda_model* model, bsq_cuda_encoder** encoder, char* error,
                             size_t error_size);
  void (*encoder_close)(bsq_cuda_encoder* encoder);
  const char* (*encoder_error)(const bsq_cuda_encoder* encoder);
  /* As the functions of bsq.h; packets are the same. */
  bsq_status (*encoder_header)(const bsq_cuda_encoder* encoder, const uint8_t** data, size_t* size);
  bsq_status (*encoder_send)(bsq_cuda_encoder* encoder, const bsq_frame* frame);
  /* The same with planes in memory of the device, read in the order of the stream; strides are
   * positive. */
  bsq_status (*encoder_send_device)(bsq_cuda_encoder* encoder, const bsq_frame* frame);
  bsq_status (*encoder_flush)(bsq_cuda_encoder* encoder);
  bsq_status (*encoder_receive)(bsq_cuda_encoder* encoder, bsq_packet* packet);
  bsq_status (*encoder_stats)(const bsq_cuda_encoder* encoder, bsq_packet_stats* stats);
  bsq_status (*encoder_pass_record)(const bsq_cuda_encoder* encoder, bsq_pass_record* record);
  bsq_status (*encoder_rate)(const bsq_cuda_encoder* encoder, bsq_rate_report* report);
} bsq_cuda_api;

/* The table, which lives as long as the library; NULL where the library has another ABI. */
BSQ_API const bsq_cuda_api* bsq_cuda_get_api(uint32_t abi);

#ifdef __cplusplus
}
#endif
#endif /* BSQ_BSQ_CUDA_H */
