/* The C API from C11: a round trip, NULL in every place, calls in the wrong order.
 *
 *     api_test MODEL.bsqm FOLDER        prints "all passed"
 *
 * FOLDER holds MODEL.bsqm and others; the environment variables of the model search are not set.
 */
#include <bsq/bsq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) {                                       \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      exit(1);                                                \
    }                                                         \
  } while (0)

enum { WIDTH = 50, HEIGHT = 36, FRAMES = 5 };

static uint8_t luma[FRAMES][HEIGHT][WIDTH];

static bsq_model* load(const char* path) {
  static uint8_t data[1 << 20];
  char error[100] = "";
  bsq_model* model = NULL;
  FILE* file = fopen(path, "rb");
  CHECK(file != NULL);
  const size_t size = fread(data, 1, sizeof data, file);
  fclose(file);
  CHECK(bsq_model_load(data, size, &model, error, sizeof error) == BSQ_OK);
  CHECK(error[0] == '\0');
  return model;
}

static void test_null(void) {
  char error[12];
  bsq_model* model = NULL;
  bsq_encoder* encoder = NULL;
  bsq_decoder* decoder = NULL;
  bsq_packet_info info;
  memset(error, 'x', sizeof error);
  CHECK(bsq_model_load(NULL, 5, &model, error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strlen(error) < sizeof error);
  CHECK(bsq_model_load((const uint8_t*)"text", 4, NULL, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_model_load((const uint8_t*)"text", 4, &model, error, sizeof error) == BSQ_ERROR_MODEL);
  CHECK(model == NULL && strlen(error) == sizeof error - 1);
  CHECK(bsq_encoder_open(NULL, NULL, &encoder, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_open(NULL, NULL, 0, &decoder, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(encoder == NULL && decoder == NULL);
  CHECK(bsq_encoder_send(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_flush(NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_receive(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_header(NULL, NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_stats(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_send(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_flush(NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_receive(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_sequence(NULL, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_packet_probe(NULL, 3, &info, NULL, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_packet_probe(NULL, 0, &info, NULL, NULL, 0) == BSQ_ERROR_BITSTREAM);
  CHECK(bsq_encoder_error(NULL)[0] != '\0' && bsq_decoder_error(NULL)[0] != '\0');
  CHECK(bsq_model_name(NULL)[0] == '\0' && bsq_model_json(NULL)[0] == '\0');
  bsq_model_id(NULL, NULL);
  bsq_encoder_config_init(NULL);
  bsq_decoder_config_init(NULL);
  bsq_decoder_reset(NULL);
  bsq_encoder_close(NULL);
  bsq_decoder_close(NULL);
  bsq_model_free(NULL);
}

static void test_library(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", BSQ_VERSION_MAJOR, BSQ_VERSION_MINOR,
           BSQ_VERSION_PATCH);
  CHECK(strcmp(bsq_version(), version) == 0);
  CHECK(strstr(bsq_kernel_sets(), "scalar") != NULL);
  CHECK(bsq_set_kernels("abacus") == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_set_kernels("scalar") == BSQ_OK);
  CHECK(strcmp(bsq_current_kernels(), "scalar") == 0);
  CHECK(bsq_set_kernels(NULL) == BSQ_OK);
}

static bsq_encoder* open_encoder(const bsq_model* model) {
  bsq_encoder_config config;
  bsq_encoder* encoder = NULL;
  char error[200];
  bsq_encoder_config_init(&config);
  CHECK(config.crf == 32.0 && config.gop == 250 && config.scene_cut == 1);
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strstr(error, "width") != NULL);
  config.sequence.width = WIDTH;
  config.sequence.height = HEIGHT;
  config.sequence.chroma = BSQ_CHROMA_GRAY;
  config.threads = 1;
  CHECK(bsq_encoder_open(&config, NULL, &encoder, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_open(&config, model, NULL, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_OK);
  CHECK(error[0] == '\0');
  return encoder;
}

/* Every layer by its number from either end, and none beyond. */
static void check_tokens(const bsq_decoder* decoder, int32_t layers) {
  bsq_tokens front;
  bsq_tokens back;
  for (int32_t i = 0; i < layers; ++i) {
    CHECK(bsq_decoder_tokens(decoder, i, &front) == BSQ_OK);
    CHECK(bsq_decoder_tokens(decoder, i - layers, &back) == BSQ_OK);
    CHECK(front.stages == back.stages && front.bits == back.bits);
    CHECK(front.width == (WIDTH + 7) / 8 && front.height == (HEIGHT + 7) / 8);
    CHECK(front.max_stages >= 1 && front.stages[0] <= front.max_stages);
  }
  CHECK(bsq_decoder_tokens(decoder, layers, &front) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_decoder_tokens(decoder, -layers - 1, &front) == BSQ_ERROR_ARGUMENT);
}

/* An 8-bit gray frame without samples. */
static bsq_frame gray_frame(void) {
  bsq_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.width = WIDTH;
  frame.height = HEIGHT;
  frame.chroma = BSQ_CHROMA_GRAY;
  frame.bit_depth = 8;
  return frame;
}

static void test_round_trip(const bsq_model* model) {
  bsq_encoder* encoder = open_encoder(model);
  bsq_decoder_config config;
  bsq_decoder* decoder = NULL;
  bsq_sequence sequence;
  bsq_packet packet;
  bsq_frame frame;
  bsq_packet_stats stats;
  bsq_packet_info info;
  bsq_tokens tokens;
  bsq_decoder_config_init(&config);
  CHECK(config.max_level == 28 && config.keep_layers == 0);
  config.keep_layers = 1;
  CHECK(bsq_decoder_open(&config, &model, 1, &decoder, NULL, 0) == BSQ_OK);
  CHECK(bsq_decoder_sequence(decoder, &sequence) == BSQ_AGAIN);
  CHECK(bsq_decoder_tokens(decoder, 0, &tokens) == BSQ_AGAIN);
  CHECK(bsq_encoder_send(encoder, NULL) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_error(encoder)[0] != '\0');
  CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_AGAIN);
  for (int i = 0; i < FRAMES; ++i) {
    bsq_frame in = gray_frame();
    in.pts = 100 * i;
    CHECK(bsq_encoder_send(encoder, &in) == BSQ_ERROR_ARGUMENT); /* no plane */
    in.planes[0] = luma[i];
    in.strides[0] = WIDTH - 1;
    CHECK(bsq_encoder_send(encoder, &in) == BSQ_ERROR_ARGUMENT);
    in.strides[0] = WIDTH;
    CHECK(bsq_encoder_send(encoder, &in) == BSQ_OK);
    CHECK(bsq_encoder_send(encoder, &in) == BSQ_AGAIN);
    CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_OK);
    CHECK(bsq_encoder_stats(encoder, &stats) == BSQ_OK);
    CHECK(stats.ideal_bits > 0 && stats.ideal_bits < 8.0 * (double)packet.size);
    CHECK(packet.pts == 100 * i && packet.keyframe == (i == 0));
    CHECK(bsq_decoder_send(decoder, &packet) == BSQ_OK);
    CHECK(bsq_decoder_send(decoder, &packet) == BSQ_AGAIN);
    CHECK(bsq_decoder_receive(decoder, &frame) == BSQ_OK);
    CHECK(frame.pts == 100 * i && !frame.concealed && frame.planes[1] == NULL);
    CHECK(bsq_packet_probe(packet.data, packet.size, &info, NULL, NULL, 0) == BSQ_OK);
    check_tokens(decoder, info.layers);
    CHECK(frame.width == WIDTH && frame.height == HEIGHT && frame.bit_depth == 8);
  }
  CHECK(bsq_encoder_flush(encoder) == BSQ_OK);
  CHECK(bsq_encoder_flush(encoder) == BSQ_ERROR_STATE);
  CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_EOF);
  CHECK(bsq_decoder_flush(decoder) == BSQ_OK);
  CHECK(bsq_decoder_receive(decoder, &frame) == BSQ_EOF);
  CHECK(bsq_decoder_sequence(decoder, &sequence) == BSQ_OK);
  CHECK(sequence.width == WIDTH && sequence.version == 1);
  bsq_encoder_close(encoder);
  bsq_decoder_close(decoder);
}

static bsq_encoder* open_b_encoder(const bsq_model* model) {
  bsq_encoder_config config;
  bsq_encoder* encoder = NULL;
  bsq_encoder_config_init(&config);
  CHECK(config.bframes == 7 && config.lookahead == 0);
  config.sequence.width = WIDTH;
  config.sequence.height = HEIGHT;
  config.sequence.chroma = BSQ_CHROMA_GRAY;
  config.lookahead = FRAMES - 1;
  config.bframes = 3;
  config.scene_cut = 0;
  CHECK(bsq_encoder_open(&config, model, &encoder, NULL, 0) == BSQ_OK);
  return encoder;
}

/* A keyframe and a group of four: packets in order of time, of several frames or none. One whose
 * frames are not held is not missed. */
static void test_b_frames(const bsq_model* model) {
  static const int32_t coded[FRAMES] = {1, 3, 0, 1, 0};
  static const int32_t held[FRAMES] = {1, 2, 0, 0, 0};
  static const int32_t b_frames[FRAMES] = {0, 2, 0, 1, 0};
  bsq_encoder* encoder = open_b_encoder(model);
  bsq_decoder_config config;
  bsq_decoder* decoder = NULL;
  bsq_packet packet;
  bsq_packet_info info;
  bsq_tokens tokens;
  bsq_frame frame;
  bsq_decoder_config_init(&config);
  CHECK(bsq_decoder_open(&config, &model, 1, &decoder, NULL, 0) == BSQ_OK);
  for (int i = 0; i < FRAMES; ++i) {
    bsq_frame in = gray_frame();
    in.pts = i;
    in.planes[0] = luma[i];
    in.strides[0] = WIDTH;
    CHECK(bsq_encoder_send(encoder, &in) == BSQ_OK);
  }
  CHECK(bsq_encoder_flush(encoder) == BSQ_OK);
  for (int i = 0; i < FRAMES; ++i) {
    CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_OK);
    CHECK(packet.pts == i && packet.keyframe == (i == 0));
    CHECK(bsq_packet_probe(packet.data, packet.size, &info, NULL, NULL, 0) == BSQ_OK);
    CHECK(info.index_in_group == i && info.frames == coded[i] && info.held_frames == held[i]);
    CHECK(info.b_frames == b_frames[i] && info.group_counter == 0);
    CHECK(packet.disposable == (info.frames > 0 && info.held_frames == 0));
    if (packet.disposable) continue;
    CHECK(bsq_decoder_send(decoder, &packet) == BSQ_OK);
    CHECK(bsq_decoder_tokens(decoder, 0, &tokens) == (info.frames > 0 ? BSQ_OK : BSQ_AGAIN));
    CHECK(bsq_decoder_receive(decoder, &frame) == BSQ_OK);
    CHECK(frame.pts == i && !frame.concealed);
    CHECK(frame.keyframe == (i == 0) && frame.b_frame == (i == 1 || i == 2));
  }
  CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_EOF);
  bsq_encoder_close(encoder);
  bsq_decoder_close(decoder);
}

/* Four planes of one size; without the last one they are refused. */
static void test_alpha(const bsq_model* model) {
  bsq_encoder_config config;
  bsq_decoder_config decoding;
  bsq_encoder* encoder = NULL;
  bsq_decoder* decoder = NULL;
  bsq_packet packet;
  bsq_frame frame;
  bsq_sequence sequence;
  bsq_encoder_config_init(&config);
  config.sequence.width = WIDTH;
  config.sequence.height = HEIGHT;
  config.sequence.chroma = BSQ_CHROMA_444;
  config.sequence.alpha = 1;
  config.crf = 8;
  bsq_decoder_config_init(&decoding);
  CHECK(bsq_encoder_open(&config, model, &encoder, NULL, 0) == BSQ_OK);
  CHECK(bsq_decoder_open(&decoding, &model, 1, &decoder, NULL, 0) == BSQ_OK);
  memset(&frame, 0, sizeof frame);
  frame.width = WIDTH;
  frame.height = HEIGHT;
  frame.chroma = BSQ_CHROMA_444;
  frame.bit_depth = 8;
  for (int p = 0; p < BSQ_MAX_PLANES; ++p) {
    CHECK(bsq_encoder_send(encoder, &frame) == BSQ_ERROR_ARGUMENT);
    frame.planes[p] = luma[p];
    frame.strides[p] = WIDTH;
  }
  CHECK(bsq_encoder_send(encoder, &frame) == BSQ_OK);
  CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_OK);
  CHECK(bsq_decoder_send(decoder, &packet) == BSQ_OK);
  CHECK(bsq_decoder_receive(decoder, &frame) == BSQ_OK);
  CHECK(bsq_decoder_sequence(decoder, &sequence) == BSQ_OK);
  CHECK(sequence.version == 1 && sequence.alpha == 1 && sequence.level == 13);
  for (int p = 0; p < BSQ_MAX_PLANES; ++p) {
    const uint8_t* row = (const uint8_t*)frame.planes[p] + 9 * frame.strides[p];
    CHECK(frame.planes[p] != NULL && abs(row[20] - luma[p][9][20]) < 30);
  }
  bsq_encoder_close(encoder);
  bsq_decoder_close(decoder);
}

/* A frame that is looked at gives no packet; a packet may change its group counter. */
static void test_joints(const bsq_model* model) {
  bsq_encoder* encoder = open_encoder(model);
  bsq_packet packet;
  bsq_packet_info info;
  uint8_t copy[20000];
  bsq_frame frame = gray_frame();
  frame.strides[0] = WIDTH;
  for (int i = 0; i < 3; ++i) {
    frame.planes[0] = luma[i];
    frame.pts = i;
    frame.context_only = i != 1;
    CHECK(bsq_encoder_send(encoder, &frame) == BSQ_OK);
    CHECK(bsq_encoder_receive(encoder, &packet) == (i == 1 ? BSQ_OK : BSQ_AGAIN));
    if (i == 1) {
      CHECK(packet.keyframe && packet.pts == 1 && packet.size <= sizeof copy);
      memcpy(copy, packet.data, packet.size);
    }
  }
  CHECK(bsq_encoder_flush(encoder) == BSQ_OK);
  const size_t size = packet.size;
  CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_EOF);
  CHECK(bsq_packet_set_group_counter(copy, size, 3, NULL, 0) == BSQ_OK && (copy[0] & 3) == 3);
  CHECK(bsq_packet_probe(copy, size, &info, NULL, NULL, 0) == BSQ_OK && info.keyframe);
  CHECK(bsq_packet_set_group_counter(copy, size, 4, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_packet_set_group_counter(NULL, 1, 0, NULL, 0) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_packet_set_group_counter(copy, size - 1, 0, NULL, 0) == BSQ_ERROR_BITSTREAM);
  bsq_encoder_close(encoder);
}

/* By path, name, id and the beginning of an id; nothing where there is none. */
static void test_find(const char* path, const char* folder) {
  char error[300];
  char id[2 * BSQ_MODEL_ID_SIZE + 1];
  uint8_t bytes[BSQ_MODEL_ID_SIZE];
  char list[1000];
  bsq_model* model = NULL;
  bsq_model* found = NULL;
  CHECK(bsq_model_find(path, NULL, &model, error, sizeof error) == BSQ_OK);
  bsq_model_id(model, bytes);
  for (int i = 0; i < BSQ_MODEL_ID_SIZE; ++i) snprintf(id + 2 * i, 3, "%02x", (unsigned)bytes[i]);
  snprintf(list, sizeof list, "/nowhere::%s", folder);
  for (int i = 0; i < 3; ++i) {
    const char* which = i == 0 ? bsq_model_name(model) : id;
    if (i == 2) id[8] = '\0';
    CHECK(bsq_model_find(which, list, &found, error, sizeof error) == BSQ_OK);
    CHECK(strcmp(bsq_model_name(found), bsq_model_name(model)) == 0);
    bsq_model_free(found);
  }
  CHECK(bsq_model_find(id, NULL, &found, error, sizeof error) == BSQ_ERROR_MODEL_MISSING);
  CHECK(found == NULL && strstr(error, id) != NULL);
  CHECK(bsq_model_find("01234567", list, &found, error, sizeof error) == BSQ_ERROR_MODEL_MISSING);
  CHECK(strstr(error, folder) != NULL);
  CHECK(bsq_model_find("no/such.bsqm", list, &found, NULL, 0) == BSQ_ERROR_MODEL_MISSING);
  CHECK(bsq_model_find(folder, list, &found, NULL, 0) == BSQ_ERROR_MODEL);
  CHECK(bsq_model_find(NULL, list, &found, error, sizeof error) == BSQ_ERROR_MODEL_MISSING);
  CHECK(strstr(error, "default") != NULL);
  CHECK(bsq_model_find(path, list, NULL, NULL, 0) == BSQ_ERROR_ARGUMENT);
  bsq_model_free(model);
}

/* crf under a cap: the report tells of it, and a bit rate above the cap is refused. */
static void test_cap(const bsq_model* model) {
  bsq_encoder_config config;
  bsq_encoder* encoder = NULL;
  bsq_rate_report report;
  bsq_packet packet;
  char error[200];
  bsq_encoder_config_init(&config);
  CHECK(config.maxrate == 0.0 && config.vbv_buffer_seconds == 1.5);
  config.sequence.width = WIDTH;
  config.sequence.height = HEIGHT;
  config.sequence.chroma = BSQ_CHROMA_GRAY;
  config.sequence.time_base = (bsq_rational){1, 25};
  config.bitrate = 4000;
  config.maxrate = 2000;
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strstr(error, "maxrate") != NULL);
  config.bitrate = 0;
  config.crf = 8;
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_OK);
  for (int i = 0; i < FRAMES; ++i) {
    bsq_frame frame = {.width = WIDTH, .height = HEIGHT, .chroma = BSQ_CHROMA_GRAY};
    frame.bit_depth = 8;
    frame.planes[0] = luma[i];
    frame.strides[0] = WIDTH;
    frame.pts = i;
    CHECK(bsq_encoder_send(encoder, &frame) == BSQ_OK);
    CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_OK);
  }
  CHECK(bsq_encoder_rate(encoder, &report) == BSQ_OK);
  CHECK(report.bitrate == 0 && report.maxrate == 2000 && report.vbv_buffer_bits == 3000);
  CHECK(report.frames_capped > 0 && report.underflows == 0 && report.vbv_min_fullness >= 0);
  bsq_encoder_close(encoder);
}

/* What init sets is what the list says, and every value goes in and out as text. */
static void test_settings(void) {
  bsq_encoder_config config;
  size_t count = 0;
  const bsq_setting* const settings = bsq_encoder_settings(&count);
  char error[200];
  char text[32];
  char back[32];
  CHECK(count >= 10 && bsq_encoder_settings(NULL) == settings);
  bsq_encoder_config_init(&config);
  for (size_t i = 0; i < count; ++i) {
    const bsq_setting* const s = &settings[i];
    CHECK(s->minimum <= s->maximum && s->unit != NULL && s->help[0] != '\0');
    CHECK((s->choices != NULL) == (s->type == BSQ_SETTING_CHOICE));
    CHECK(bsq_encoder_config_get(&config, s->name, text, sizeof text, error, sizeof error) ==
          BSQ_OK);
    if (s->choices != NULL) {
      CHECK(strcmp(text, s->choices[(int)s->default_value]) == 0);
      snprintf(text, sizeof text, "%s", s->choices[0]);
    } else {
      CHECK(strtod(text, NULL) == s->default_value);
      snprintf(text, sizeof text, "%d", s->maximum > 1000 ? 1000 : (int)s->maximum);
    }
    CHECK(bsq_encoder_config_set(&config, s->name, text, error, sizeof error) == BSQ_OK);
    CHECK(bsq_encoder_config_get(&config, s->name, back, sizeof back, error, sizeof error) ==
          BSQ_OK);
    CHECK(strcmp(text, back) == 0);
  }
  CHECK(config.gop == 1000 && config.preset == BSQ_PRESET_FAST && config.crf == 63);
  CHECK(bsq_encoder_config_set(&config, "gop", "0", error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strcmp(error, "gop must be 1 to 65535 frames, not 0") == 0);
  CHECK(bsq_encoder_config_set(&config, "crf", "1,5", error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(bsq_encoder_config_set(&config, "crf", "1.5", NULL, 0) == BSQ_OK && config.crf == 1.5);
  CHECK(bsq_encoder_config_set(&config, "preset", "quick", error, sizeof error) ==
        BSQ_ERROR_ARGUMENT);
  CHECK(strcmp(error, "preset must be fast, medium or slow, not quick") == 0);
  CHECK(bsq_encoder_config_set(&config, "colour", "1", error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strstr(error, "there is no setting colour") != NULL);
  CHECK(bsq_encoder_config_get(&config, "crf", text, 2, error, sizeof error) == BSQ_ERROR_ARGUMENT);
}

typedef struct said {
  int count[BSQ_LOG_DEBUG + 1];
  char last[200];
} said;

static void hear(void* opaque, bsq_log_level level, const char* message) {
  said* const heard = opaque;
  ++heard->count[level];
  snprintf(heard->last, sizeof heard->last, "%s", message);
}

/* A lost packet is a warning, and what a later version may know is refused. */
static void test_messages(const bsq_model* model) {
  bsq_encoder_config config;
  bsq_decoder_config settings;
  bsq_encoder* encoder = NULL;
  bsq_decoder* decoder = NULL;
  said heard = {0};
  char error[200];
  bsq_encoder_config_init(&config);
  config.sequence.width = WIDTH;
  config.sequence.height = HEIGHT;
  config.sequence.chroma = BSQ_CHROMA_GRAY;
  config.sequence.time_base = (bsq_rational){1, 25};
  config.reserved[1] = 1;
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_ERROR_ARGUMENT);
  CHECK(strcmp(error, "config.reserved must be 0") == 0);
  config.reserved[1] = 0;
  config.log = hear;
  config.log_opaque = &heard;
  CHECK(bsq_encoder_open(&config, model, &encoder, error, sizeof error) == BSQ_OK);
  CHECK(heard.count[BSQ_LOG_DEBUG] == 1 && strstr(heard.last, "kernels ") != NULL);
  bsq_decoder_config_init(&settings);
  settings.log = hear;
  settings.log_opaque = &heard;
  CHECK(bsq_decoder_open(&settings, &model, 1, &decoder, error, sizeof error) == BSQ_OK);
  for (int i = 0; i < 4; ++i) {
    bsq_frame frame = {.width = WIDTH, .height = HEIGHT, .chroma = BSQ_CHROMA_GRAY};
    bsq_packet packet;
    frame.bit_depth = 8;
    frame.planes[0] = luma[i];
    frame.strides[0] = WIDTH;
    frame.pts = i;
    frame.reserved[0] = i == 0;
    if (i == 0) CHECK(bsq_encoder_send(encoder, &frame) == BSQ_ERROR_ARGUMENT);
    frame.reserved[0] = 0;
    CHECK(bsq_encoder_send(encoder, &frame) == BSQ_OK);
    CHECK(bsq_encoder_receive(encoder, &packet) == BSQ_OK);
    if (i == 1) continue; /* lost */
    CHECK(bsq_decoder_send(decoder, &packet) == BSQ_OK);
    CHECK(bsq_decoder_receive(decoder, &frame) == BSQ_OK);
    CHECK(frame.concealed == (i > 1) && frame.reserved[0] == 0);
  }
  CHECK(heard.count[BSQ_LOG_WARNING] == 1 && strstr(heard.last, "repeats the one before") != NULL);
  bsq_decoder_close(decoder);
  bsq_encoder_close(encoder);
}

/* A model that a newer library made. */
static void test_newer_model(void) {
  const uint8_t data[40] = {'B', 'S', 'Q', 'M', 1, 0, 2, 0};
  char error[200];
  bsq_model* model = NULL;
  CHECK(bsq_model_load(data, sizeof data, &model, error, sizeof error) == BSQ_ERROR_UNSUPPORTED);
  CHECK(model == NULL && strstr(error, "numerics 2") != NULL);
}

int main(int argc, char** argv) {
  uint8_t id[BSQ_MODEL_ID_SIZE];
  CHECK(argc == 3);
  for (int i = 0; i < FRAMES; ++i) {
    for (int y = 0; y < HEIGHT; ++y) {
      for (int x = 0; x < WIDTH; ++x) luma[i][y][x] = (uint8_t)(3 * x + y * y / 4 + 9 * i);
    }
  }
  test_null();
  test_library();
  bsq_model* model = load(argv[1]);
  bsq_model_id(model, id);
  CHECK(bsq_model_name(model)[0] != '\0' && bsq_model_json(model)[0] == '{');
  test_round_trip(model);
  test_b_frames(model);
  test_alpha(model);
  test_joints(model);
  test_cap(model);
  test_settings();
  test_messages(model);
  bsq_model_free(model);
  test_newer_model();
  test_find(argv[1], argv[2]);
  puts("all passed");
  return 0;
}
