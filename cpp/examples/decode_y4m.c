/* Decodes a BSQ codestream in an IVF file to YUV4MPEG2: how a C program uses libbsq.
 *
 *     decode_y4m IN.ivf OUT.y4m MODEL.bsqm [MODEL.bsqm ...]
 *
 * IVF is a file header of 32 bytes and, before every packet, its size (4 bytes) and timestamp (8
 * bytes), all little-endian. The FourCC is BSQ1. OUT may be "-" for standard output.
 */
#include <bsq/bsq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IVF_HEADER = 32, IVF_FRAME_HEADER = 12, MAX_MODELS = 16, MAX_PACKET = 1 << 28 };

static int fail(const char* what, const char* why) {
  fprintf(stderr, "decode_y4m: %s: %s\n", what, why);
  return 1;
}

static uint64_t little_endian(const unsigned char* bytes, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

/* The whole file, or NULL. The caller frees it. */
static uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  uint8_t* data = NULL;
  if (file == NULL) return NULL;
  if (fseek(file, 0, SEEK_END) == 0) {
    const long end = ftell(file);
    if (end >= 0 && fseek(file, 0, SEEK_SET) == 0) {
      data = malloc((size_t)end + 1);
      if (data != NULL) *size = fread(data, 1, (size_t)end, file);
    }
  }
  fclose(file);
  return data;
}

static bsq_model* load_model(const char* path) {
  char error[256] = "cannot be read";
  size_t size = 0;
  bsq_model* model = NULL;
  uint8_t* data = read_file(path, &size);
  if (data != NULL) bsq_model_load(data, size, &model, error, sizeof error);
  free(data);
  if (model == NULL) fail(path, error);
  return model;
}

static void write_header(FILE* out, const bsq_frame* frame, const bsq_sequence* sequence) {
  static const char* const colours[] = {"mono", "420", "422", "444"};
  const char* depth = "";
  bsq_rational rate = sequence->frame_rate;
  if (rate.num == 0) rate = (bsq_rational){25, 1};
  if (frame->bit_depth > 8) depth = frame->chroma == BSQ_CHROMA_GRAY ? "10" : "p10";
  /* Others than 444alpha are this program's own words: the format has no more of them. */
  fprintf(out, "YUV4MPEG2 W%d H%d F%d:%d Ip A%d:%d C%s%s%s\n", (int)frame->width,
          (int)frame->height, (int)rate.num, (int)rate.den, (int)sequence->sample_aspect.num,
          (int)(sequence->sample_aspect.num ? sequence->sample_aspect.den : 0),
          colours[frame->chroma], sequence->alpha ? "alpha" : "", depth);
}

static int write_frame(FILE* out, const bsq_frame* frame) {
  const size_t sample = frame->bit_depth > 8 ? 2 : 1; /* y4m is little-endian, as most hosts */
  fputs("FRAME\n", out);
  for (int p = 0; p < BSQ_MAX_PLANES && frame->planes[p] != NULL; ++p) {
    const int chroma = frame->chroma == BSQ_CHROMA_GRAY || p == 0 || p == 3 ? -1 : frame->chroma;
    const int narrow = chroma == BSQ_CHROMA_420 || chroma == BSQ_CHROMA_422;
    const int width = narrow ? (frame->width + 1) / 2 : frame->width;
    const int height = chroma == BSQ_CHROMA_420 ? (frame->height + 1) / 2 : frame->height;
    for (int y = 0; y < height; ++y) {
      const char* row = (const char*)frame->planes[p] + y * frame->strides[p];
      if (fwrite(row, sample, (size_t)width, out) != (size_t)width) return 0;
    }
  }
  return 1;
}

/* What the decoder has to say, of concealed frames above all. */
static void print_message(void* opaque, bsq_log_level level, const char* message) {
  (void)opaque;
  if (level != BSQ_LOG_DEBUG) fprintf(stderr, "decode_y4m: %s\n", message);
}

/* Writes the frames that are ready. Returns 0, or 1 after an error. */
static int drain(bsq_decoder* decoder, FILE* out, long* frames) {
  bsq_frame frame;
  bsq_sequence sequence;
  for (;;) {
    const bsq_status status = bsq_decoder_receive(decoder, &frame);
    if (status == BSQ_AGAIN || status == BSQ_EOF) return 0;
    if (status != BSQ_OK) return fail("decoding", bsq_decoder_error(decoder));
    if (*frames == 0) {
      bsq_decoder_sequence(decoder, &sequence);
      write_header(out, &frame, &sequence);
    }
    if (!write_frame(out, &frame)) return fail("output", "cannot be written");
    ++*frames;
  }
}

static int decode_file(FILE* in, FILE* out, bsq_decoder* decoder) {
  unsigned char header[IVF_HEADER];
  long frames = 0;
  uint8_t* data = NULL;
  int result = 0;
  if (fread(header, 1, IVF_HEADER, in) != IVF_HEADER || memcmp(header, "DKIF", 4) != 0 ||
      memcmp(header + 8, "BSQ1", 4) != 0) {
    return fail("input", "is not an IVF file with a BSQ1 stream");
  }
  while (result == 0 && fread(header, 1, IVF_FRAME_HEADER, in) == IVF_FRAME_HEADER) {
    bsq_packet packet = {0};
    uint8_t* grown;
    packet.size = (size_t)little_endian(header, 4);
    packet.pts = (int64_t)little_endian(header + 4, 8);
    if (packet.size > MAX_PACKET) {
      result = fail("input", "a packet has an impossible size");
      break;
    }
    grown = realloc(data, packet.size + 1);
    if (grown == NULL) {
      result = fail("input", "out of memory");
      break;
    }
    data = grown;
    packet.data = data;
    if (fread(data, 1, packet.size, in) != packet.size) {
      result = fail("input", "ends inside a packet");
    } else if (bsq_decoder_send(decoder, &packet) != BSQ_OK) {
      result = fail("decoding", bsq_decoder_error(decoder));
    } else {
      result = drain(decoder, out, &frames);
    }
  }
  free(data);
  fprintf(stderr, "decode_y4m: %ld frames\n", frames);
  return result;
}

int main(int argc, char** argv) {
  bsq_model* models[MAX_MODELS];
  bsq_decoder_config config;
  bsq_decoder* decoder = NULL;
  char error[256] = "";
  int count = 0;
  int result = 1;
  FILE* in;
  FILE* out;
  if (argc < 4 || argc - 3 > MAX_MODELS) {
    fputs("usage: decode_y4m IN.ivf OUT.y4m MODEL.bsqm [MODEL.bsqm ...]\n", stderr);
    return 2;
  }
  in = fopen(argv[1], "rb");
  out = strcmp(argv[2], "-") == 0 ? stdout : fopen(argv[2], "wb");
  while (count < argc - 3 && (models[count] = load_model(argv[3 + count])) != NULL) ++count;
  bsq_decoder_config_init(&config);
  config.log = print_message;
  if (in == NULL) {
    fail(argv[1], "cannot be opened");
  } else if (out == NULL) {
    fail(argv[2], "cannot be created");
  } else if (count == argc - 3) {
    if (bsq_decoder_open(&config, (const bsq_model* const*)models, (size_t)count, &decoder, error,
                         sizeof error) == BSQ_OK) {
      result = decode_file(in, out, decoder);
    } else {
      fail("decoder", error);
    }
  }
  bsq_decoder_close(decoder);
  while (count > 0) bsq_model_free(models[--count]);
  if (in != NULL) fclose(in);
  if (out != NULL && fclose(out) != 0) result = fail(argv[2], "cannot be written");
  return result;
}
