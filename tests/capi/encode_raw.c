/* Encodes raw planar samples to an IVF file, to compare what different machines make of them.
 *
 *     encode_raw MODEL.bsqm IN.yuv OUT.ivf WIDTH HEIGHT gray|420|422|444 8|10 LOOKAHEAD BITRATE
 *
 * 25 frames a second with ticks of 1/100 second; a bit rate of 0 means crf 32. Samples of 10 bits
 * take two bytes, in the machine's order.
 */
#include <bsq/bsq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char* what, const char* why) {
  fprintf(stderr, "encode_raw: %s: %s\n", what, why);
  exit(1);
}

static void* allocate(size_t size) {
  void* memory = malloc(size);
  if (memory == NULL) fail("memory", "there is not enough");
  return memory;
}

static bsq_model* load(const char* path) {
  enum { LIMIT = 1 << 20 };
  uint8_t* data = allocate(LIMIT);
  char error[256] = "";
  bsq_model* model = NULL;
  FILE* file = fopen(path, "rb");
  if (file == NULL) fail(path, "cannot be opened");
  if (bsq_model_load(data, fread(data, 1, LIMIT, file), &model, error, sizeof error) != BSQ_OK) {
    fail(path, error);
  }
  fclose(file);
  free(data);
  return model;
}

static void put_little_endian(FILE* file, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) fputc((int)(value >> (8 * i) & 0xFF), file);
}

static void write_header(FILE* out, const bsq_sequence* sequence) {
  fputs("DKIF", out);
  put_little_endian(out, 32 << 16, 4); /* version 0, size of the header */
  fputs("BSQ1", out);
  put_little_endian(out, (uint64_t)sequence->width, 2);
  put_little_endian(out, (uint64_t)sequence->height, 2);
  put_little_endian(out, (uint64_t)sequence->time_base.den, 4);
  put_little_endian(out, (uint64_t)sequence->time_base.num, 4);
  put_little_endian(out, 0, 8); /* number of packets: not known */
}

/* Writes the packets that are ready. */
static void drain(bsq_encoder* encoder, FILE* out) {
  bsq_packet packet;
  bsq_status status;
  while ((status = bsq_encoder_receive(encoder, &packet)) == BSQ_OK) {
    put_little_endian(out, packet.size, 4);
    put_little_endian(out, (uint64_t)packet.pts, 8);
    if (fwrite(packet.data, 1, packet.size, out) != packet.size) fail("output", "is full");
  }
  if (status != BSQ_AGAIN && status != BSQ_EOF) fail("encoding", bsq_encoder_error(encoder));
}

/* Where the planes of a frame stand in `samples`; returns its size in bytes. */
static size_t lay_out(bsq_frame* frame, const bsq_sequence* sequence, const uint8_t* samples) {
  const int planes = sequence->chroma == BSQ_CHROMA_GRAY ? 1 : 3;
  size_t size = 0;
  memset(frame, 0, sizeof *frame);
  frame->width = sequence->width;
  frame->height = sequence->height;
  frame->chroma = sequence->chroma;
  frame->bit_depth = sequence->bit_depth;
  for (int p = 0; p < planes; ++p) {
    const int full = p == 0 || sequence->chroma == BSQ_CHROMA_444;
    const int tall = full || sequence->chroma == BSQ_CHROMA_422;
    const int width = full ? sequence->width : (sequence->width + 1) / 2;
    const int height = tall ? sequence->height : (sequence->height + 1) / 2;
    frame->strides[p] = width * (sequence->bit_depth > 8 ? 2 : 1);
    if (samples != NULL) frame->planes[p] = samples + size;
    size += (size_t)frame->strides[p] * (size_t)height;
  }
  return size;
}

static void encode(bsq_encoder* encoder, const bsq_sequence* sequence, FILE* in, FILE* out) {
  bsq_frame frame;
  const size_t size = lay_out(&frame, sequence, NULL);
  uint8_t* samples = allocate(size);
  for (int64_t i = 0; fread(samples, 1, size, in) == size; ++i) {
    lay_out(&frame, sequence, samples);
    frame.pts = 4 * i;
    if (bsq_encoder_send(encoder, &frame) != BSQ_OK) fail("input", bsq_encoder_error(encoder));
    drain(encoder, out);
  }
  if (bsq_encoder_flush(encoder) != BSQ_OK) fail("encoding", bsq_encoder_error(encoder));
  drain(encoder, out);
  free(samples);
}

static int chroma_of(const char* name) {
  static const char* const names[] = {"gray", "420", "422", "444"};
  for (int i = BSQ_CHROMA_GRAY; i <= BSQ_CHROMA_444; ++i) {
    if (strcmp(name, names[i]) == 0) return i;
  }
  fail(name, "is no chroma format");
  return -1;
}

int main(int argc, char** argv) {
  bsq_encoder_config config;
  bsq_encoder* encoder = NULL;
  char error[256] = "";
  if (argc != 10) {
    fputs("usage: encode_raw MODEL IN OUT WIDTH HEIGHT gray|420|422|444 8|10 LOOKAHEAD BITRATE\n",
          stderr);
    return 2;
  }
  bsq_model* model = load(argv[1]);
  FILE* in = fopen(argv[2], "rb");
  FILE* out = fopen(argv[3], "wb");
  if (in == NULL || out == NULL) fail("files", "cannot be opened");
  bsq_encoder_config_init(&config);
  config.sequence.width = atoi(argv[4]);
  config.sequence.height = atoi(argv[5]);
  config.sequence.chroma = chroma_of(argv[6]);
  config.sequence.bit_depth = atoi(argv[7]);
  config.sequence.time_base = (bsq_rational){1, 100};
  config.sequence.frame_rate = (bsq_rational){25, 1};
  config.lookahead = atoi(argv[8]);
  config.bitrate = atof(argv[9]);
  if (bsq_encoder_open(&config, model, &encoder, error, sizeof error) != BSQ_OK) {
    fail("encoder", error);
  }
  write_header(out, &config.sequence);
  encode(encoder, &config.sequence, in, out);
  bsq_encoder_close(encoder);
  bsq_model_free(model);
  fclose(in);
  if (fclose(out) != 0) fail(argv[3], "cannot be written");
  return 0;
}
