// Filters: see pixels.h.
#include "pixels.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions of this file alone
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };                 // of 16 bits in a vector
enum { UNIT = 1 << 15, SHIFT = 7 };  // weights sum to UNIT; between the passes a level is UNIT >> SHIFT = 256

typedef u8 HalfBytes __attribute__((vector_size(16)));
typedef int16_t Words __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef int32_t HalfInts __attribute__((vector_size(32)));

// Where place i of a line of `length` >= 2 lies, mirrored at its ends without repeating them.
static int mirrored(int i, int length) {
  const int period = 2 * length - 2;
  i %= period;
  if (i < 0) i += period;
  return i < length ? i : period - i;
}

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int greatest(int a, int b) { return a > b ? a : b; }
INLINE int32_t paired(int32_t a, int32_t b) { return a | b << 16; }  // two weights below 2^15

INLINE Words words(const int16_t *from) {
  Words v;
  memcpy(&v, from, sizeof v);
  return v;
}

// Sums of a and b, each times its weight: of lanes 0 to 3 and 8 to 11 in `low`, of the others in `high`.
typedef struct { HalfInts low, high; } Totals;
INLINE HalfInts pair_sums(Words pairs, Words weights) {
  const Ints product = __builtin_convertvector(pairs, Ints) * __builtin_convertvector(weights, Ints);
  return __builtin_shufflevector(product, product, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(product, product, 1, 3, 5, 7, 9, 11, 13, 15);
}
INLINE void add_pair(Totals *totals, Words a, Words b, int32_t weights) {
  const Words weight = (Words)((HalfInts){0} + weights);
  const Words low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27),
              high = __builtin_shufflevector(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
  totals->low += pair_sums(low, weight);
  totals->high += pair_sums(high, weight);
}
// The totals, each >> SHIFT and in 16 bits, in the order of the lanes.
INLINE Words narrowed(Totals t, int shift) {
  const Ints both = __builtin_shufflevector(t.low >> shift, t.high >> shift, 0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15);
  return __builtin_convertvector(both, Words);
}

// Weights of the taps from the middle outwards, in UNIT; the last that is not nothing is at the place returned.
static int gaussian(double sigma, int reach, int32_t *weights) {
  double sum = 0.5, unit;
  sigma = sigma > 1e-3 ? sigma : 1e-3;
  for (int i = 1; i <= reach; i++) sum += exp(-0.5 * (i / sigma) * (i / sigma));
  unit = UNIT / (2 * sum);
  // From the outside: what one tap is rounded by the next makes up, so no level shifts.
  double total = 0;
  int before = 0, last = 0;
  for (int i = reach; i > 0; i--) {
    total += exp(-0.5 * (i / sigma) * (i / sigma)) * unit;
    const int whole = (int)floor(total + 0.5);
    weights[i] = whole - before;
    before = whole;
    if (weights[i] && !last) last = i;
  }
  weights[0] = UNIT - 2 * before;
  return last;
}

// A line of levels with more than `reach` mirrored before and behind them, as 256ths less 2^15.
static void blur_along(const int16_t *line, int size, int reach, const int32_t *pairs, int16_t *out) {
  const HalfInts start = (HalfInts){0} + (1 << (SHIFT - 1)) - (UNIT << SHIFT);
  for (int x = 0; x < size; x += LANES) {
    Totals totals = {start, start};
    add_pair(&totals, words(line + x), words(line + x - 1) + words(line + x + 1), pairs[0]);
    for (int i = 2; i <= reach; i += 2)
      add_pair(&totals, words(line + x - i) + words(line + x + i), words(line + x - i - 1) + words(line + x + i + 1), pairs[i / 2]);
    const Words v = narrowed(totals, SHIFT);
    memcpy(out + x, &v, sizeof v);
  }
}

// lines[0] and those before and behind it, as levels.
static void blur_across(int16_t *const *lines, int size, int reach, const int32_t *weights, u8 *out) {
  enum { DOWN = 15 + 15 - SHIFT };
  const HalfInts start = (HalfInts){0} + (1 << (DOWN - 1)) + UNIT * UNIT;
  for (int x = 0; x < size; x += LANES) {
    Totals totals = {start, start};
    add_pair(&totals, words(lines[0] + x), (Words){0}, weights[0]);
    for (int i = 1; i <= reach; i++) add_pair(&totals, words(lines[-i] + x), words(lines[i] + x), paired(weights[i], weights[i]));
    const HalfBytes levels = __builtin_convertvector(narrowed(totals, DOWN), HalfBytes);
    memcpy(out + x, &levels, (size_t)least(size - x, LANES));
  }
}

// `count` levels as words, with `reach` mirrored before and behind.
static void mirrored_line(const u8 *levels, int count, int reach, int16_t *line) {
  for (int i = 0; i < count; i++) line[i] = levels[i];
  for (int i = 1; i <= reach; i++) {
    line[-i] = levels[mirrored(-i, count)];
    line[count - 1 + i] = levels[mirrored(count - 1 + i, count)];
  }
}

static void blur_plane(const u8 *in, int size, int reach, const int32_t *weights, const int32_t *pairs, int16_t *line,
                       int16_t *const *lines, u8 *out) {
  for (int y = 0, made = 0; y < size; y++, out += size) {
    for (; made <= least(y + reach, size - 1); made++) {
      mirrored_line(in + (size_t)made * (size_t)size, size, reach + 1, line);
      blur_along(line, size, reach, pairs, lines[made]);
    }
    blur_across(lines + y, size, reach, weights, out);
  }
}

void blur(const Planes *in, int size, double sigma, Planes *out, Arena *arena) {
  const size_t before = arena->used;
  const int taps = greatest(3, (int)(0.1 * size) | 1), most = taps / 2;
  int32_t *weights = arena_take(arena, sizeof *weights * ((size_t)most + 2)), *pairs = arena_take(arena, sizeof *pairs * (size_t)taps);
  if (arena->failed) return;
  const int reach = gaussian(sigma, most, weights);
  if (reach == 0) {
    for (int c = 0; c < 3; c++) memcpy(out->plane[c], in->plane[c], (size_t)size * (size_t)size);
    arena->used = before;
    return;
  }
  weights[reach + 1] = 0;
  for (int i = 0; i <= reach; i += 2) pairs[i / 2] = paired(weights[i], weights[i + 1]);
  // Lines blurred along themselves are kept as long as those that are blurred across need them.
  const int kept = least(size, 2 * reach + 1), room = size + 2 * (reach + 1) + LANES;
  int16_t *line = arena_take(arena, sizeof *line * (size_t)room), *blurred = arena_take(arena, sizeof *blurred * (size_t)kept * (size_t)room);
  int16_t **lines = arena_take(arena, sizeof *lines * ((size_t)size + 2 * (size_t)reach));
  if (arena->failed) return;
  for (int i = 0; i < size + 2 * reach; i++) lines[i] = blurred + (size_t)(mirrored(i - reach, size) % kept) * (size_t)room;
  for (int c = 0; c < 3; c++)
    blur_plane(in->plane[c], size, reach, weights, pairs, line + reach + 1, lines + reach, out->plane[c]);
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
