// Filters: see pixels.h.
//
// Blurring is in 16 bits: 256ths of levels between the passes, and the upper halves of products. Half of what they cut off
// is given back, which leaves an error of about a hundredth of a level (a tenth at worst, sigma 5).
#include "pixels.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions of this file alone
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, BLOCK = 4 };              // 16-bit lanes of a vector, vectors at a time
enum { WHOLE = 1 << 16, NOTHING = 1 << 2 };  // weights sum to WHOLE, outer ones to less than NOTHING are left out

typedef u8 Levels __attribute__((vector_size(16)));
typedef uint16_t Words __attribute__((vector_size(32)));
typedef uint32_t Longs __attribute__((vector_size(64)));

// Where place i of a line of `length` >= 2 lies, mirrored at its ends without repeating them.
static int mirrored(int i, int length) {
  const int period = 2 * length - 2;
  i %= period;
  if (i < 0) i += period;
  return i < length ? i : period - i;
}

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int greatest(int a, int b) { return a > b ? a : b; }

INLINE Words words(const uint16_t *from) {
  Words v;
  memcpy(&v, from, sizeof v);
  return v;
}
// The whole part of v times a weight. Weights lie in memory as whole vectors: of one that a compiler itself spreads it
// widens the number first and multiplies in 32 bits.
INLINE Words weighed(Words v, const Words *weight) {
  return __builtin_convertvector(__builtin_convertvector(v, Longs) * __builtin_convertvector(*weight, Longs) >> 16, Words);
}
INLINE Words mean(Words a, Words b) {
  return __builtin_convertvector((__builtin_convertvector(a, Longs) + __builtin_convertvector(b, Longs) + 1) >> 1, Words);
}

// Weights of the middle and of each pair of taps around it, from the middle outwards; how far the last of them is
// from the middle is returned.
static int gaussian(double sigma, int most, Words *weights) {
  double sum = 1, total = 0;
  int before = 0, reach = 0;
  sigma = sigma > 1e-3 ? sigma : 1e-3;
  for (int i = 1; i <= most; i++) sum += 2 * exp(-0.5 * (i / sigma) * (i / sigma));
  for (int i = most; i > 0; i--) {  // from the outside: what one is rounded by the next makes up, so no level shifts
    total += 2 * exp(-0.5 * (i / sigma) * (i / sigma)) * WHOLE / sum;
    const int rounded = (int)floor(total + 0.5);
    if (rounded < NOTHING) continue;
    reach = greatest(reach, i);
    weights[i] = (Words){0} + (uint16_t)(rounded - before);
    before = rounded;
  }
  weights[0] = (Words){0} + (uint16_t)(WHOLE - before);
  return reach;
}

// What to give back for the parts cut off from the products of a sum: half of one each, and no more than is cut off white.
static uint16_t cut_off(int reach, const Words *weights) {
  const unsigned white = 255 << 8;
  unsigned left = white;
  for (int i = 0; i <= reach; i++) left -= white * weights[i][0] >> 16;
  return (uint16_t)least((int)left, (reach + 1) / 2);
}

// Vectors of a line are summed up BLOCK at a time where there are as many: a weight and a line's place are read once.
INLINE void sum_along(const uint16_t *line, int vectors, int reach, const Words *weights, int given, uint16_t *out) {
  Words sum[BLOCK];
  for (int v = 0; v < vectors; v++) sum[v] = weighed(words(line + LANES * v) << 1, weights) + (uint16_t)given;
  for (int i = 1; i <= reach; i++)
    for (int v = 0; v < vectors; v++)
      sum[v] += weighed(words(line + LANES * v - i) + words(line + LANES * v + i), weights + i);
  memcpy(out, sum, sizeof *sum * (size_t)vectors);
}
INLINE void sum_across(uint16_t *const *lines, int x, int vectors, int reach, const Words *weights, int given, u8 *out) {
  Words sum[BLOCK];
  for (int v = 0; v < vectors; v++) sum[v] = weighed(words(lines[0] + x + LANES * v), weights) + (uint16_t)(given + 128);
  for (int i = 1; i <= reach; i++) {
    const uint16_t *above = lines[-i] + x, *below = lines[i] + x;
    for (int v = 0; v < vectors; v++) sum[v] += weighed(mean(words(above + LANES * v), words(below + LANES * v)), weights + i);
  }
  for (int v = 0; v < vectors; v++) {
    const Levels levels = __builtin_convertvector(sum[v] >> 8, Levels);
    memcpy(out + LANES * v, &levels, LANES);
  }
}

// A line of 128ths of levels with `reach` mirrored before and behind them, as 256ths; whole vectors are written.
static void blur_along(const uint16_t *line, int size, int reach, const Words *weights, int given, uint16_t *out) {
  int x = 0;
  for (; x + BLOCK * LANES <= size; x += BLOCK * LANES) sum_along(line + x, BLOCK, reach, weights, given, out + x);
  for (; x < size; x += LANES) sum_along(line + x, 1, reach, weights, given, out + x);
}

// lines[0], blurred with those before and behind it, as levels.
static void blur_across(uint16_t *const *lines, int size, int reach, const Words *weights, int given, u8 *out) {
  int x = 0;
  for (; x + BLOCK * LANES <= size; x += BLOCK * LANES) sum_across(lines, x, BLOCK, reach, weights, given, out + x);
  for (; x + LANES <= size; x += LANES) sum_across(lines, x, 1, reach, weights, given, out + x);
  if (x == size) return;
  u8 last[LANES];
  sum_across(lines, x, 1, reach, weights, given, last);
  memcpy(out + x, last, (size_t)(size - x));
}

// 128ths of `count` levels, with `reach` mirrored before and behind.
static void mirrored_line(const u8 *levels, int count, int reach, uint16_t *line) {
  for (int i = 0; i < count; i++) line[i] = (uint16_t)(levels[i] << 7);
  for (int i = 1; i <= reach; i++) {
    line[-i] = line[mirrored(-i, count)];
    line[count - 1 + i] = line[mirrored(count - 1 + i, count)];
  }
}

static void blur_plane(const u8 *in, int size, int reach, const Words *weights, uint16_t *line, uint16_t *const *lines,
                       u8 *out) {
  const int given = cut_off(reach, weights);
  for (int y = 0, made = 0; y < size; y++, out += size) {
    for (; made <= least(y + reach, size - 1); made++) {
      mirrored_line(in + (size_t)made * (size_t)size, size, reach, line);
      blur_along(line, size, reach, weights, given, lines[made]);
    }
    blur_across(lines + y, size, reach, weights, given, out);
  }
}

void blur(const Planes *in, int size, double sigma, Planes *out, Arena *arena) {
  const size_t before = arena->used;
  const int most = greatest(3, (int)(0.1 * size) | 1) / 2;
  Words *weights = arena_take(arena, sizeof *weights * ((size_t)most + 1));
  if (weights == NULL) return;
  const int reach = gaussian(sigma, most, weights);
  if (reach == 0) {
    for (int c = 0; c < 3; c++) memcpy(out->plane[c], in->plane[c], (size_t)size * (size_t)size);
    arena->used = before;
    return;
  }
  // Lines that are blurred along themselves are kept as long as one that is blurred across needs them.
  const int kept = least(size, 2 * reach + 1), room = size + 2 * reach + LANES;
  uint16_t *line = arena_take(arena, sizeof *line * (size_t)room);
  uint16_t *blurred = arena_take(arena, sizeof *blurred * (size_t)kept * (size_t)room);
  uint16_t **lines = arena_take(arena, sizeof *lines * ((size_t)size + 2 * (size_t)reach));
  if (arena->failed) return;
  for (int i = 0; i < size + 2 * reach; i++) lines[i] = blurred + (size_t)(mirrored(i - reach, size) % kept) * (size_t)room;
  for (int c = 0; c < 3; c++) blur_plane(in->plane[c], size, reach, weights, line + reach, lines + reach, out->plane[c]);
  arena->used = before;
}

void sharpen(const Planes *in, int size, double amount, Planes *out, Arena *arena) {
  const size_t before = arena->used;
  int16_t *restrict sums = arena_take(arena, sizeof *sums * ((size_t)size + 2));
  if (sums == NULL) return;
  const float by = (float)(amount / 13.0);  // 13 (in - smooth) = 9 in - the sum of all nine
  for (int c = 0; c < 3; c++)
    for (int y = 0; y < size; y++) {
      const u8 *row = in->plane[c] + (size_t)y * (size_t)size;
      const u8 *above = in->plane[c] + (size_t)mirrored(y - 1, size) * (size_t)size,
               *below = in->plane[c] + (size_t)mirrored(y + 1, size) * (size_t)size;
      u8 *restrict to = out->plane[c] + (size_t)y * (size_t)size;
      for (int x = 0; x < size; x++) sums[x + 1] = (int16_t)(above[x] + row[x] + below[x]);
      sums[0] = sums[2];
      sums[size + 1] = sums[size - 1];
      for (int x = 0; x < size; x++) {
        const int detail = 9 * row[x] - (sums[x] + sums[x + 1] + sums[x + 2]);
        float level = (float)row[x] + by * (float)detail;
        level = level > 0.0f ? level : 0.0f;
        level = level < 255.0f ? level : 255.0f;
        to[x] = (u8)(level + 0.5f);
      }
    }
  arena->used = before;
}
