/* The C API of libbsq: Binary Spherical Quantization video coding.
 *
 * Frames go into an encoder and packets come out; packets go into a decoder and frames come out.
 * Both follow the send / receive pattern of libavcodec: a call to receive answers BSQ_AGAIN when
 * more input is needed and BSQ_EOF after a flush has been drained. Handles are opaque and may be
 * moved between threads, but one handle serves one thread at a time; a bsq_model is immutable and
 * may be shared by any number of encoders and decoders in any threads.
 *
 * Structs end in `reserved` members, so that they can grow without a new layout. The library writes
 * 0 there; a config, a frame or a packet whose reserved members are not 0 is refused with
 * BSQ_ERROR_ARGUMENT, since it asks for what this library does not have. Begin with `= {0}` or with
 * the function that fills in defaults.
 *
 * The codestream that packets hold is defined in docs/bitstream.md, the arithmetic of the networks
 * in docs/numerics.md. This header is plain C11.
 */
#ifndef BSQ_BSQ_H
#define BSQ_BSQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(BSQ_SHARED)
#ifdef BSQ_BUILDING
#define BSQ_API __declspec(dllexport)
#else
#define BSQ_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define BSQ_API __attribute__((visibility("default")))
#else
#define BSQ_API
#endif

#define BSQ_VERSION_MAJOR 0
#define BSQ_VERSION_MINOR 1
#define BSQ_VERSION_PATCH 0

/* Status of a call. Negative values are errors; bsq_*_error() gives the sentence that belongs to
 * the last error of a handle: what was wrong, where (packet, byte) and what to do. */
typedef enum bsq_status {
  BSQ_OK = 0,
  BSQ_AGAIN = 1,                /* receive: send more input first */
  BSQ_EOF = 2,                  /* receive: everything has been returned */
  BSQ_ERROR_ARGUMENT = -1,      /* a parameter is out of range */
  BSQ_ERROR_BITSTREAM = -2,     /* the codestream is damaged or is not BSQ */
  BSQ_ERROR_UNSUPPORTED = -3,   /* a version, profile or level this library does not have */
  BSQ_ERROR_MODEL = -4,         /* a model file is damaged or does not fit */
  BSQ_ERROR_MODEL_MISSING = -5, /* the stream names a model that was not given */
  BSQ_ERROR_MEMORY = -6,
  BSQ_ERROR_STATE = -7 /* calls in the wrong order, e.g. send after flush */
} bsq_status;

/* How samples are stored in a frame. 8-bit samples are one byte, deeper ones two bytes in native
 * byte order with the value in the low bits. */
typedef enum bsq_chroma {
  BSQ_CHROMA_GRAY = 0, /* one plane */
  BSQ_CHROMA_420 = 1,  /* luma and two planes of half width and height, rounded up */
  BSQ_CHROMA_422 = 2,  /* luma and two planes of half width, rounded up */
  BSQ_CHROMA_444 = 3   /* luma and two planes of the same size */
} bsq_chroma;

#define BSQ_MAX_PLANES 4

/* ---- messages ---- */

typedef enum bsq_log_level {
  BSQ_LOG_WARNING = 1, /* what a user should know: concealed frames, underflows of the VBV buffer */
  BSQ_LOG_INFO = 2,    /* how it ended */
  BSQ_LOG_DEBUG = 3    /* kernels, threads, single frames */
} bsq_log_level;

/* Takes one line of an encoder or a decoder, without a newline; `opaque` is that of its config. It
 * is called in the thread that calls the handle's function, and must not call the handle itself.
 * Errors are not among the messages: the calls return them. */
typedef void (*bsq_log_callback)(void* opaque, bsq_log_level level, const char* message);

/* ---- models ---- */

typedef struct bsq_model bsq_model;

/* Length of a model id in bytes: the first half of the SHA-256 that closes the model file. */
#define BSQ_MODEL_ID_SIZE 16

/* Parses a model file held in memory. The bytes are copied. On failure *model is NULL and the
 * reason, when error is not NULL, is written there as a string of at most error_size bytes. */
BSQ_API bsq_status bsq_model_load(const uint8_t* data, size_t size, bsq_model** model, char* error,
                                  size_t error_size);
/* Finds a model file on this machine and loads it. `which` is a path, the name in the model file,
 * its id in hexadecimal or the beginning of the id (8 digits or more); NULL or "" for the default:
 * what the environment variable BSQAV_MODEL names, else the released model. Searched are the
 * folders of BSQAV_MODEL_PATH, then the user's ($XDG_DATA_HOME/bsqav/models,
 * ~/.local/share/bsqav/models without it), then `folders` (a list like PATH; may be NULL). The
 * released models are installed in the folder that `pkg-config --variable=modeldir bsq` prints,
 * bsq_MODEL_DIR in CMake. BSQ_ERROR_MODEL_MISSING: there is none such; the error says where it was
 * looked for. */
BSQ_API bsq_status bsq_model_find(const char* which, const char* folders, bsq_model** model,
                                  char* error, size_t error_size);
/* Models are counted by reference: encoders and decoders keep their own. */
BSQ_API void bsq_model_free(bsq_model* model);
BSQ_API void bsq_model_id(const bsq_model* model, uint8_t id[BSQ_MODEL_ID_SIZE]);
/* Name and JSON description as stored in the model file, UTF-8, owned by the model. */
BSQ_API const char* bsq_model_name(const bsq_model* model);
BSQ_API const char* bsq_model_json(const bsq_model* model);

/* ---- frames and packets ---- */

typedef struct bsq_frame {
  int32_t width;     /* luma samples, 1 .. 8192 */
  int32_t height;    /* luma samples, 1 .. 8192 */
  int32_t chroma;    /* bsq_chroma */
  int32_t bit_depth; /* 8 or 10 */
  /* Luma, chroma, and after these alpha where the sequence has it: of the size of luma, straight
   * (not multiplied into the other planes), 0 transparent. The others are NULL. */
  const void* planes[BSQ_MAX_PLANES];
  ptrdiff_t strides[BSQ_MAX_PLANES]; /* in bytes */
  int64_t pts;                       /* in units of the time base */
  int64_t duration;                  /* in units of the time base, 0 if unknown */
  int32_t keyframe;                  /* in: force a keyframe; out: decoded from a keyframe packet */
  int32_t b_frame;                   /* out: 1 if predicted from a frame shown after it */
  int32_t concealed;                 /* out: 1 if the frame replaces lost or damaged data */
  /* in: 1: the encoder analyses the frame as context and codes no packet of it. It is the frame
   * before the first that is coded, or one of those after the last: where several encoders share a
   * stream, each is sent the frames on either side of its own, and codes its own as one encoder of
   * all would. */
  int32_t context_only;
  int64_t reserved[4]; /* 0 */
} bsq_frame;

typedef struct bsq_packet {
  const uint8_t* data;
  size_t size;
  int64_t pts;
  int64_t duration;
  int32_t keyframe;
  int32_t disposable; /* out: 1 if no other packet needs the frames in this one: without it only the
                         frame that it shows is lost */
  int64_t reserved[4]; /* 0 */
} bsq_packet;

typedef struct bsq_rational {
  int32_t num;
  int32_t den;
} bsq_rational;

/* What the sequence header of a stream says. Colour fields hold the code points of ISO/IEC
 * 23091-2 (2 = unspecified). */
typedef struct bsq_sequence {
  int32_t width;
  int32_t height;
  int32_t chroma;
  int32_t alpha; /* 1: there is an alpha plane after the others */
  int32_t bit_depth;
  bsq_rational time_base;     /* seconds per tick */
  bsq_rational frame_rate;    /* 0/1 when variable or unknown */
  bsq_rational sample_aspect; /* 0/1 when unknown */
  int32_t color_primaries;
  int32_t color_transfer;
  int32_t color_matrix;
  int32_t full_range;      /* 0 limited, 1 full, 2 unspecified */
  int32_t chroma_location; /* as FFmpeg's AVChromaLocation, 0 = unspecified */
  int32_t rotation; /* degrees clockwise for display: 0, 90, 180 or 270; reported, not applied */
  uint8_t model_id[BSQ_MODEL_ID_SIZE];
  int32_t version; /* version of the codestream */
  /* Log2 of the samples per frame that a decoder must hold, rounded up: those of luma, with alpha
   * and the chroma of 4:2:2 and 4:4:4, but without that of 4:2:0. */
  int32_t level;
  int32_t chroma_crf_offset; /* of 4:2:0, -7 .. 0: what is added to crf for chroma */
  int64_t reserved[4];       /* 0 */
} bsq_sequence;

/* ---- encoder ---- */

typedef struct bsq_encoder bsq_encoder;

typedef enum bsq_preset {
  BSQ_PRESET_FAST = 0,
  BSQ_PRESET_MEDIUM = 1,
  BSQ_PRESET_SLOW = 2
} bsq_preset;

/* What errors the encoder spends its bits on. */
typedef enum bsq_tune {
  BSQ_TUNE_BALANCED = 0,  /* between the other two */
  BSQ_TUNE_PSNR = 1,      /* the mean squared error alone */
  BSQ_TUNE_PERCEPTUAL = 2 /* coarse structure and flat areas: MS-SSIM, VMAF, eyes */
} bsq_tune;

/* What one pass over a video made of a frame, for a second pass over the same frames. */
typedef struct bsq_pass_record {
  double seconds; /* for which the frame shows */
  double bits;    /* of its packet */
  double crf;
  int32_t keyframe;
  int64_t reserved[4]; /* 0 */
} bsq_pass_record;

/* The settings below, crf to threads, are those that bsq_encoder_settings() lists with their ranges
 * and defaults. */
typedef struct bsq_encoder_config {
  /* model_id, version, level and chroma_crf_offset are filled in by the encoder. */
  bsq_sequence sequence;
  double crf;     /* quality, 0 (finest) .. 63 (coarsest), in steps of 1/8 */
  double bitrate; /* bits per second of the packets; 0: by crf. With a rate crf is ignored */
  /* VBV maxrate in bits per second; 0: bitrate, and with crf no limit. With crf it is a cap on the
   * rate: no frame is finer than crf asks for, and frames are coarser where the VBV buffer would
   * underflow; one that is never reached changes nothing. With a bitrate, which it must not be
   * below, it leaves more to the hard frames. */
  double maxrate;
  /* Size of the VBV buffer in seconds at maxrate, or at bitrate without one; it is 0.9 full when
   * the first frame is due. Groups of B frames are no longer than half of it. */
  double vbv_buffer_seconds;
  int32_t gop;       /* most frames from one keyframe to the next */
  int32_t scene_cut; /* 1: also place keyframes at scene cuts */
  /* Frames that the encoder looks ahead: what later frames are predicted from gets a lower q. So
   * many frames are sent before the first packet comes, and their samples are kept. 0: low delay,
   * every frame's packet can be received at once. */
  int32_t lookahead;
  /* The most B frames between two frames that are not; they are coded from the frames before and
   * after them. With a lookahead only, which bounds them too; 0: none. */
  int32_t bframes;
  /* 1: keyframes and the P frames of groups of B frames are filtered before they are coded: each is
   * averaged with the frames around it along the motion. With a lookahead only. */
  int32_t temporal_filter;
  /* 1: the samples of tokens are coded themselves where that costs less, as in text and what else
   * is drawn. */
  int32_t screen_content;
  /* What is added to crf for chroma of 4:2:0, -7 .. 0: below 0 it is finer, as by x264's
   * chroma_qp_offset. -5 is good for still pictures. */
  int32_t chroma_crf_offset;
  int32_t preset;  /* bsq_preset */
  int32_t tune;    /* bsq_tune */
  int32_t threads; /* 0 picks the number of processors */
  /* The records of a first pass over the same frames, copied, one for each frame in order; NULL
   * for one pass. Only with a bitrate. */
  const bsq_pass_record* first_pass;
  size_t first_pass_count;
  bsq_log_callback log; /* NULL (default): no messages */
  void* log_opaque;
  int64_t reserved[16]; /* 0 */
} bsq_encoder_config;

/* Fills in defaults: 8-bit 4:2:0, time base 1/90000, everything unknown left unspecified. Width
 * and height stay 0 and must be set. */
BSQ_API void bsq_encoder_config_init(bsq_encoder_config* config);

typedef enum bsq_setting_type {
  BSQ_SETTING_INTEGER = 0,
  BSQ_SETTING_NUMBER = 1,
  BSQ_SETTING_BOOLEAN = 2, /* 0 or 1 */
  BSQ_SETTING_CHOICE = 3   /* one of `choices` */
} bsq_setting_type;

/* A setting of an encoder: what programs need to offer it. */
typedef struct bsq_setting {
  const char* name;
  bsq_setting_type type;
  int32_t zero_is_none; /* 1: 0 is allowed beside minimum .. maximum, and means none */
  double minimum;
  double maximum;
  double default_value;
  double file_default;        /* for programs that write files, where nobody waits for packets */
  const char* const* choices; /* names of the values 0 .. maximum; NULL for other types */
  const char* unit;           /* "" where it has none */
  const char* help;           /* a phrase without a full stop */
  int64_t reserved[4];        /* 0 */
} bsq_setting;

/* All settings, in the order in which programs show them. */
BSQ_API const bsq_setting* bsq_encoder_settings(size_t* count);
/* Sets one by its name, to a number or to the name of a choice in text. */
BSQ_API bsq_status bsq_encoder_config_set(bsq_encoder_config* config, const char* name,
                                          const char* value, char* error, size_t error_size);
/* Writes the value of one as text that bsq_encoder_config_set() takes; 32 bytes are enough. */
BSQ_API bsq_status bsq_encoder_config_get(const bsq_encoder_config* config, const char* name,
                                          char* value, size_t value_size, char* error,
                                          size_t error_size);

BSQ_API bsq_status bsq_encoder_open(const bsq_encoder_config* config, const bsq_model* model,
                                    bsq_encoder** encoder, char* error, size_t error_size);
BSQ_API void bsq_encoder_close(bsq_encoder* encoder);
BSQ_API const char* bsq_encoder_error(const bsq_encoder* encoder);
/* The sequence header as it is in keyframe packets, for a container's codec private data. */
BSQ_API bsq_status bsq_encoder_header(const bsq_encoder* encoder, const uint8_t** data,
                                      size_t* size);
/* Takes one frame; its samples are copied. pts must rise strictly. BSQ_AGAIN: receive first. */
BSQ_API bsq_status bsq_encoder_send(bsq_encoder* encoder, const bsq_frame* frame);
/* Announces the end of the input: receive then gives the packets of all frames that wait. */
BSQ_API bsq_status bsq_encoder_flush(bsq_encoder* encoder);
/* The packet's bytes stay valid until the next call on this encoder. */
BSQ_API bsq_status bsq_encoder_receive(bsq_encoder* encoder, bsq_packet* packet);

/* What the last packet received from the encoder was made of, in bits, and how it compares with
 * the ideal code length under the probabilities used. */
typedef struct bsq_packet_stats {
  double motion_bits;
  double flag_bits;    /* active flags of superblocks, stage counts of tokens, loop filter */
  double delta_q_bits; /* of superblocks */
  double sample_bits;  /* of sample-coded tokens */
  double token_bits;
  double ideal_bits;    /* sum of -log2 p over all coded symbols */
  double psnr_y;        /* of the frame shown, dB against its source, 100 where identical */
  double level_bits[5]; /* of the coded frames by level in their group of B frames: 0 for P frames,
                           1 for the frame in the middle, and so on; what the packet has besides its
                           frames is counted with the first one. All 0 in a keyframe */
  int64_t tokens;       /* in the packet's frames, all layers */
  int64_t coded_tokens; /* tokens with at least one stage */
  int64_t coded_stages;
  int64_t reserved[4]; /* 0 */
} bsq_packet_stats;
BSQ_API bsq_status bsq_encoder_stats(const bsq_encoder* encoder, bsq_packet_stats* stats);
/* Of the last packet received. The time that a frame shows for is what its duration says; where
 * that is unknown, as long as the one before it, and for the first what the frame rate says. */
BSQ_API bsq_status bsq_encoder_pass_record(const bsq_encoder* encoder, bsq_pass_record* record);

/* How a bit rate or a cap on it was kept, over the frames sent so far. */
typedef struct bsq_rate_report {
  double bitrate;          /* that was asked for; 0: none */
  double maxrate;          /* of the VBV; 0: no rate to keep, and all the others are 0 too */
  double actual_bitrate;   /* bits per second, of packets without their container */
  double vbv_buffer_bits;  /* size of the VBV buffer */
  double vbv_min_fullness; /* bits in it when it was emptiest; negative after an underflow */
  int64_t underflows;      /* frames whose bits were not complete when they were due */
  int64_t frames_at_max_q; /* frames coded at the largest q, that of crf 63 */
  int64_t frames_capped;   /* frames that maxrate made coarser than crf asks for */
  int64_t reserved[4];     /* 0 */
} bsq_rate_report;
BSQ_API bsq_status bsq_encoder_rate(const bsq_encoder* encoder, bsq_rate_report* report);

/* ---- decoder ---- */

typedef struct bsq_decoder bsq_decoder;

typedef struct bsq_decoder_config {
  int32_t threads;     /* 0 picks the number of processors */
  int32_t max_level;   /* refuse streams above it; default 28, which none is; 8192 x 8192 in gray or
                          4:2:0 is 26 */
  int32_t strict;      /* 1: damage is an error instead of a concealed frame */
  int32_t keep_layers; /* 1: keep the tokens of all layers for bsq_decoder_tokens */
  bsq_log_callback log; /* NULL (default): no messages */
  void* log_opaque;
  int64_t reserved[4]; /* 0 */
} bsq_decoder_config;

BSQ_API void bsq_decoder_config_init(bsq_decoder_config* config);
/* models: every model the stream may name; they are kept by reference count. */
BSQ_API bsq_status bsq_decoder_open(const bsq_decoder_config* config,
                                    const bsq_model* const* models, size_t model_count,
                                    bsq_decoder** decoder, char* error, size_t error_size);
BSQ_API void bsq_decoder_close(bsq_decoder* decoder);
BSQ_API const char* bsq_decoder_error(const bsq_decoder* decoder);
/* One packet is one frame. After an error the decoder goes on with the next keyframe. */
BSQ_API bsq_status bsq_decoder_send(bsq_decoder* decoder, const bsq_packet* packet);
BSQ_API bsq_status bsq_decoder_flush(bsq_decoder* decoder);
/* The frame's samples stay valid until the next call on this decoder. */
BSQ_API bsq_status bsq_decoder_receive(bsq_decoder* decoder, bsq_frame* frame);
/* Forgets all state, as before a seek. */
BSQ_API void bsq_decoder_reset(bsq_decoder* decoder);
/* The sequence header of the last keyframe; BSQ_AGAIN before the first. */
BSQ_API bsq_status bsq_decoder_sequence(const bsq_decoder* decoder, bsq_sequence* sequence);

/* Tokens of 8x8 luma samples in raster order, as one layer of the frame shown last decoded them. */
typedef struct bsq_tokens {
  int32_t width; /* tokens in a row */
  int32_t height;
  int32_t max_stages;    /* of the model: 1 .. 8 */
  const uint8_t* stages; /* [height, width]: stages of each token, 0 (skipped) .. max_stages */
  const uint32_t* bits;  /* [height, width, max_stages]: bit i of word s is bit i of stage s; words
                            of stages that a token does not have mean nothing */
  int64_t reserved[4];   /* 0 */
} bsq_tokens;
/* For analysis. `layer` counts from 0, or from -1 for the last one backwards; without keep_layers
 * there is only the last one, and none of a frame that an earlier packet held. Of frames with
 * 4:2:2, 4:4:4 or alpha they are those of the first component, luma or the frame without its alpha.
 * The arrays stay valid until the next call on this decoder. BSQ_AGAIN before the first frame and
 * where there is none, as while frames are concealed, BSQ_ERROR_ARGUMENT for a layer that is not
 * there. */
BSQ_API bsq_status bsq_decoder_tokens(const bsq_decoder* decoder, int32_t layer,
                                      bsq_tokens* tokens);

/* ---- streams without decoding ---- */

typedef struct bsq_packet_info {
  int32_t keyframe;
  int32_t index_in_group; /* 0 at a keyframe */
  int32_t frames; /* coded in the packet: 0 where it shows a frame that an earlier one coded */
  /* Of these, those that others may refer to. A packet with frames, but none of these, is
   * disposable: without it only the frame that it shows is lost. */
  int32_t held_frames;
  int32_t b_frames; /* of the coded frames, those that refer to a later one */
  int32_t layers;   /* of the frame shown; 0 without coded frames */
  double crf;    /* of the first component's last layer of the frame shown; -1 where the packet does
                    not say */
  int32_t tiles; /* entropy-coded tiles per layer; 0 between keyframes */
  int64_t pts;   /* at a keyframe its tick; otherwise the deviation from that keyframe's
                    tick + index_in_group * ticks_per_frame */
  int32_t ticks_per_frame; /* of the sequence header; 0 between keyframes or when unknown */
  int32_t group_counter;   /* 0..3, the same in a whole group; rises from group to group, to 0 after
                              3 */
  int64_t duration;        /* in ticks; -1 where the packet states none: ticks_per_frame holds */
  int64_t reserved[4];     /* 0 */
} bsq_packet_info;

/* Reads the headers of a packet and verifies its checksum. sequence may be NULL; it is written
 * only for keyframes. */
BSQ_API bsq_status bsq_packet_probe(const uint8_t* data, size_t size, bsq_packet_info* info,
                                    bsq_sequence* sequence, char* error, size_t error_size);

/* Reads a sequence header that stands alone, as the private data of a container (docs/bitstream.md
 * section 2.2); bytes after it are passed over, since some containers pad. */
BSQ_API bsq_status bsq_sequence_probe(const uint8_t* data, size_t size, bsq_sequence* sequence,
                                      char* error, size_t error_size);

/* Changes the group counter of a packet (docs/bitstream.md section 2.1), 0 to 3, and its checksum.
 * Groups of pictures that are joined into a stream need counters that rise by one from group to
 * group, to 0 after 3; every packet of a group has the same. The packet must be whole and
 * undamaged. */
BSQ_API bsq_status bsq_packet_set_group_counter(uint8_t* data, size_t size, int32_t group_counter,
                                                char* error, size_t error_size);

/* ---- the library ---- */

BSQ_API const char* bsq_version(void);
/* Names of the kernel sets this processor can run, best first, separated by commas, e.g.
 * "avx512vnni,avx2,scalar". */
BSQ_API const char* bsq_kernel_sets(void);
/* Makes encoders and decoders opened from now on use the named set; NULL for the best. The
 * environment variable BSQ_KERNELS does the same. */
BSQ_API bsq_status bsq_set_kernels(const char* name);
BSQ_API const char* bsq_current_kernels(void);

#ifdef __cplusplus
}
#endif
#endif /* BSQ_BSQ_H */
