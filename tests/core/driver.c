// The core without Python, for sanitizers: every kernel of pixels.h and the whole path, over images of all shapes, odd
// strides and all kinds of content. Built and run by test_sanitizers.py:
//
//   gcc -fsanitize=address,undefined ... tests/core/driver.c (adaptaug/core/*.c but arena.c) && ./a.out POLICIES ROUNDS
//
// POLICIES has pairs of `Policy` structs as records.pack makes them. Sources and results are blocks of exactly the bytes
// that a caller must give, and each block of an arena is a block by itself, freed when the arena takes it back, so that
// a byte beyond any of them is reported. Exit 1 where a call fails.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "views.h"

// --- arenas whose blocks lie apart: arena.c counts, and says when there is no room ------------------------------------
#define arena_take counted_take
#include "arena.c"
#undef arena_take

enum { BLOCKS = 4096 };
static struct { const Arena *arena; size_t end; void *memory; } blocks[BLOCKS];
static int block_count;

void *arena_take(Arena *arena, size_t bytes) {
  int kept = 0;
  for (int i = 0; i < block_count; i++) {
    if (blocks[i].arena == arena && blocks[i].end > arena->used) free(blocks[i].memory);
    else blocks[kept++] = blocks[i];
  }
  block_count = kept;
  void *memory = NULL;
  if (!counted_take(arena, bytes)) return NULL;
  if (block_count == BLOCKS || posix_memalign(&memory, ALIGNED, bytes + BEHIND)) abort();
  memset(memory, 0xa5, bytes + BEHIND);  // what an arena gives is not zero
  blocks[block_count].arena = arena, blocks[block_count].end = arena->used, blocks[block_count++].memory = memory;
  return memory;
}

// --- images -----------------------------------------------------------------------------------------------------------
static uint64_t state = 1;
static uint32_t any(uint32_t below) { return (uint32_t)(((state = mixed(state + 0x9e3779b97f4a7c15u)) >> 32) % below); }
static double share(void) { return any(1000001) / 1e6; }
static double within(double low, double high) { return low + (high - low) * share(); }

static void *exactly(size_t bytes) {
  void *memory = malloc(bytes);
  if (!memory) abort();
  return memory;
}

// A level of one of one kind of content: flat, black, white, a ramp, noise, one point, chequered.
enum { KINDS = 7 };
static u8 level(int kind, int x, int y, int h, int w, int channel) {
  switch (kind) {
    case 0: return 77;
    case 1: return 0;
    case 2: return 255;
    case 3: return (u8)((x * 200 / w + y * 55 / h + 17 * channel) & 255);
    case 4: return (u8)any(256);
    case 5: return x == w / 2 && y == h / 2 ? 255 : 3;
    default: return (x ^ y) & 1 ? 255 : 0;
  }
}

typedef struct { Source source; u8 *memory; } Made;

// `count` images with gaps of `gap` bytes between rows and images, and none behind the last row; bottom up if `flipped`.
static Made make_source(int count, int h, int w, int channels, int planar, int gap, int flipped) {
  int64_t row = planar ? w : (int64_t)w * channels, stride = row + (planar ? 0 : gap);
  int64_t rows = planar ? (int64_t)h * channels : h, image = stride * (rows - 1) + row;
  Made made = {.memory = exactly((size_t)((image + gap) * (count - 1) + image))};
  u8 *at = made.memory;
  for (int n = 0; n < count; n++, at += image + gap) {
    int kind = (int)any(KINDS);
    for (int y = 0; y < rows; y++)
      for (int x = 0; x < row; x++)
        at[y * stride + x] = planar ? level(kind, x, y % h, h, w, y / h) : level(kind, x / channels, y, h, w, x % channels);
  }
  int up = flipped && !planar;
  made.source = (Source){.pixels = made.memory + (up ? stride * (h - 1) : 0), .image_stride = image + gap,
                         .row_stride = up ? -stride : stride, .count = count, .height = h, .width = w,
                         .channels = channels, .planar = planar};
  return made;
}

static Planes make_planes(int size) {
  Planes planes;
  int kind = (int)any(KINDS);
  for (int i = 0; i < 4; i++) {
    void *memory;
    if (posix_memalign(&memory, ALIGNED, (size_t)size * size + BEHIND)) abort();
    planes.plane[i] = memory;
    for (int k = 0; k < size * size; k++) planes.plane[i][k] = level(kind, k % size, k / size, size, size, i);
  }
  return planes;
}
static void free_planes(Planes *planes) {
  for (int i = 0; i < 4; i++) free(planes->plane[i]);
}

static const int SIDES[] = {1, 2, 3, 5, 8, 13, 16, 17, 31, 33, 64, 65, 100, 127, 224, 257, 333, 601};
static const int VIEWS[] = {8, 9, 15, 16, 17, 31, 32, 33, 50, 64, 65, 97};
#define ONE_OF(list) list[any(sizeof list / sizeof *list)]

static void need(int true_here, const char *what, int h, int w, int size) {
  if (true_here) return;
  fprintf(stderr, "driver: %s failed on %d x %d, view %d\n", what, h, w, size);
  exit(1);
}

// --- kernels ------------------------------------------------------------------------------------------------------------
static void try_warp(Arena *arena) {
  int h = ONE_OF(SIDES), w = ONE_OF(SIDES), size = ONE_OF(VIEWS), channels = any(2) ? 3 : 1, nearest = (int)any(2);
  Made made = make_source(1, h, w, channels, 0, (int)any(9), (int)any(2));
  Planes out = make_planes(size);
  double reach = any(4) ? 1.0 : 8.0, matrix[9];
  for (int i = 0; i < 6; i++) matrix[i] = within(-reach, reach);
  matrix[6] = any(3) ? 0.0 : within(-0.3, 0.3), matrix[7] = any(3) ? 0.0 : within(-0.3, 0.3), matrix[8] = 1.0;
  arena->used = 0, arena->failed = 0;
  warp(made.source.pixels, h, w, made.source.row_stride, channels, matrix, within(0.0, 1.5), size, nearest, &out, arena);
  need(!arena->failed, "warp", h, w, size);
  free_planes(&out);
  free(made.memory);
}

static void try_filters(Arena *arena) {
  int size = ONE_OF(VIEWS);
  Planes in = make_planes(size), out = make_planes(size);
  arena->used = 0, arena->failed = 0;
  if (any(2)) blur(&in, size, within(0.05, 8.0), &out, arena);
  else sharpen(&in, size, within(0.0, 4.0), &out, arena);
  need(!arena->failed, "a filter", size, size, size);
  free_planes(&in);
  free_planes(&out);
}

static void try_box(Arena *arena) {
  int h = ONE_OF(SIDES), w = ONE_OF(SIDES), factor = 1 + (int)any(40);
  int rows = (h + factor - 1) / factor, columns = (w + factor - 1) / factor;
  u8 *plane = exactly((size_t)h * w), *out = exactly((size_t)rows * columns);
  for (int i = 0; i < h * w; i++) plane[i] = (u8)any(256);
  arena->used = 0, arena->failed = 0;
  box_plane(plane, h, w, factor, out, arena);
  need(!arena->failed, "box_plane", h, w, factor);
  free(plane);
  free(out);
}

static void try_levels(void) {
  int size = ONE_OF(VIEWS), count = size * size, n = 1 + (int)any(300);
  Planes in = make_planes(size), out = make_planes(size);
  double map[12];
  for (int i = 0; i < 12; i++) map[i] = any(5) ? within(-2.0, 2.0) : within(-1e4, 1e4);
  Sums sums = {0, 0};
  colour_map(&in, in.plane[3], map, count, any(2) ? &in : &out);
  toned_sums(&out, in.plane[3], count);
  luma_of_planes(&in, count, &sums);
  ended_pixels(&in, count), newly_ended(&in, &out, count);
  blend(&out, &in, count, within(0.0, 0.999));
  add_noise(&out, size, (int64_t)mixed(state), within(0.0, 0.5));
  int width = (int)any((uint32_t)size + 1), height = (int)any((uint32_t)size + 1);
  erase_box(&out, size, (int)any((uint32_t)(size - width) + 1), (int)any((uint32_t)(size - height) + 1), width, height);
  u8 table[256];
  for (int i = 0; i < 256; i++) table[i] = (u8)any(256);
  apply_table(&out, count, table);
  squared_steps(in.plane[3], size);
  u8 *rgb = exactly(3 * (size_t)n), *luma = exactly((size_t)n), *planes[3];
  float *floats = exactly(3 * (size_t)n * sizeof *floats);
  for (int i = 0; i < 3 * n; i++) rgb[i] = (u8)any(256);
  for (int i = 0; i < 3; i++) planes[i] = exactly((size_t)n);
  luma_of_row(rgb, n, luma, &sums);
  deinterleave(rgb, (size_t)n, planes);
  const u8 *const read[3] = {planes[0], planes[1], planes[2]};
  as_floats(read, (size_t)n, (float[]){0.1f, 0.2f, 0.3f}, (float[]){-1.0f, 0.0f, 1.0f}, floats);
  interleave(read, (size_t)n, rgb);
  sums_of(luma, (size_t)n), product_of(luma, planes[0], (size_t)n);
  for (int i = 0; i < 3; i++) free(planes[i]);
  free(rgb), free(luma), free(floats);
  free_planes(&in), free_planes(&out);
}

// --- the whole path -----------------------------------------------------------------------------------------------------
// Rules over all statistics, some of which hold.
enum { TRIED = 3 };
static Routing any_routing(void) {
  Routing routing = {.count = TRIED};
  for (int i = 0; i < TRIED; i++) {
    Rule *rule = &routing.rule[i];
    int first = (int)any(RULED);
    rule->count = 1 + (int)any(4);
    for (int k = 0; k < rule->count; k++) {
      int which = rule->order[k] = (first + 4 * k) % RULED;
      rule->low[which] = any(2) ? -1e9 : share(), rule->high[which] = any(2) ? 1e9 : share();
    }
  }
  return routing;
}

// Views of a batch under one policy, or as many routes to it, then the first view replayed from its report, with its mask, and statistics.
static void try_views(const Policy policies[2], FILE *told) {
  int h = ONE_OF(SIDES), w = ONE_OF(SIDES), size = ONE_OF(VIEWS), count = 1 + (int)any(2), views = 1 + (int)any(3);
  int channels = any(4) ? 3 : 1, form = (int)any(3), of = form == FLOATS || any(4) ? 3 : 1;
  Made made = make_source(count, h, w, channels, (int)any(2), (int)any(9), (int)any(2));
  Output outputs[3], *first = outputs;
  size_t elements = (size_t)size * size * of;
  for (int i = 0; i < views; i++)
    outputs[i] = (Output){.pixels = exactly(count * elements * (form == FLOATS ? sizeof(float) : 1)),
                          .image_stride = (int64_t)elements, .form = form, .channels = of, .scale = {1, 1, 1}};
  int64_t keys[6];
  for (int i = 0; i < 6; i++) keys[i] = any(1000);
  Report *reports = any(2) ? exactly(sizeof *reports * (size_t)(count * views)) : NULL;
  Routing routing = any_routing();
  Policy *repeated = exactly(sizeof *repeated * 2 * TRIED);
  for (int i = 0; i < TRIED; i++) memcpy(repeated + 2 * i, policies, 2 * sizeof *policies);
  const Routing *given = any(2) ? &routing : NULL;
  need(!core_views(&made.source, given ? repeated : policies, given, keys, NULL, 0, count, 0, views, size, outputs, reports), "core_views", h, w, size);
  if (told && reports) {
    int32_t head[] = {count, views, size, of, form};
    fwrite(head, sizeof head, 1, told), fwrite(reports, sizeof *reports, (size_t)(count * views), told);
    for (int i = 0; i < views; i++) fwrite(outputs[i].pixels, form == FLOATS ? sizeof(float) : 1, count * elements, told);
  }
  if (reports && views == 1) {
    need(!core_replay(&made.source, policies, reports, 0, count, size, 0, 1, first), "core_replay", h, w, size);
    Output mask = {.pixels = exactly((size_t)count * size * size * channels), .image_stride = (int64_t)size * size * channels,
                   .form = INTERLEAVED, .channels = channels};
    need(!core_replay(&made.source, policies, reports, 0, count, size, 1, 0, &mask), "a mask's replay", h, w, size);
    free(mask.pixels);
  }
  double *statistics = exactly(sizeof *statistics * STATISTICS * (size_t)count);
  need(!core_measure(&made.source, 0, count, statistics), "core_measure", h, w, size);
  need(core_shortest_side(policies, keys, 0, views, w, h) >= 0.0, "core_shortest_side", h, w, size);
  free(repeated), free(statistics), free(reports), free(made.memory);
  for (int i = 0; i < views; i++) free(outputs[i].pixels);
}

// Headers of JPEG files, whole, cut and damaged.
static void try_jpeg(void) {
  static const u8 header[] = {0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff, 0xff, 0xc0, 0, 17, 8, 1, 2, 3, 4, 3,
                              1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1};
  size_t length = any(sizeof header + 1);
  u8 *data = exactly(length ? length : 1);
  memcpy(data, header, length);
  for (uint32_t changes = any(4); changes && length > 2; changes--) data[2 + any((uint32_t)length - 2)] = (u8)any(256);
  int32_t size[3];
  if (!core_jpeg_size(data, (int64_t)length, size)) need(size[0] > 0 && size[1] > 0, "core_jpeg_size", size[1], size[0], 0);
  free(data);
}

int main(int arguments, char **argument) {
  if (arguments < 3) return fprintf(stderr, "usage: driver POLICIES ROUNDS [RESULTS]\n"), 2;
  FILE *file = fopen(argument[1], "rb"), *told = arguments > 3 ? fopen(argument[3], "wb") : NULL;
  if (!file) return fprintf(stderr, "driver: cannot read %s\n", argument[1]), 2;
  enum { MOST = 64 };
  Policy(*policies)[2] = exactly(sizeof *policies * MOST);
  size_t known = fread(policies, sizeof *policies, MOST, file);
  fclose(file);
  need(known > 0, "reading the policies", 0, 0, 0);
  Arena arena = {.room = (size_t)32 << 20};
  arena.start = exactly(arena.room);
  int rounds = atoi(argument[2]);
  for (int round = 0; round < rounds; round++) {
    try_warp(&arena), try_filters(&arena), try_box(&arena), try_levels(), try_jpeg();
    try_views(policies[any((uint32_t)known)], told);
  }
  need(!told || !fclose(told), "writing the results", 0, 0, 0);
  free(policies), free(arena.start);
  printf("driver: %d rounds over %zu policies\n", rounds, known);
  return 0;
}
