// Levels in, levels and whole sums out: see pixels.h.
//
// Vectors are 32 bytes wide whatever the processor has. A byte is brought to 16 bits without moving it: of two in a
// word the lower by a mask, the upper by a shift; of four in a long likewise for floats. What is left over at the end
// of a plane is copied into a vector of zeros and goes the same way.
#include "pixels.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions of this file alone
#endif

#define INLINE static inline __attribute__((always_inline))

enum { WIDE = 32, TILE = 128 * WIDE };  // of 128 vectors, the sums of two levels a lane fit in 16 bits

typedef uint8_t Bytes __attribute__((vector_size(WIDE)));
typedef uint16_t Words __attribute__((vector_size(WIDE)));
typedef uint32_t Longs __attribute__((vector_size(WIDE)));
typedef int32_t Ints __attribute__((vector_size(WIDE)));
typedef float Floats __attribute__((vector_size(WIDE)));
typedef uint8_t HalfBytes __attribute__((vector_size(WIDE / 2)));

// `step` for every vector of the bytes i ... end - 1, of which it has n: WIDE, of the last perhaps fewer.
#define EACH_VECTOR(i, n, end, step)                       \
  do {                                                     \
    for (const int n = WIDE; i + n <= end; i += n) step;   \
    if (i < end) {                                         \
      const int n = end - i;                               \
      step;                                                \
    }                                                      \
  } while (0)

INLINE Bytes load(const u8 *from, int count) {
  Bytes v = {0};
  memcpy(&v, from, (size_t)count);
  return v;
}
INLINE void store(u8 *to, Bytes v, int count) { memcpy(to, &v, (size_t)count); }
INLINE Words even(Bytes v) { return (Words)v & 0xff; }
INLINE Words odd(Bytes v) { return (Words)v >> 8; }
INLINE Bytes joined(Words even, Words odd) { return (Bytes)(even | odd << 8); }
INLINE Bytes joined_halves(HalfBytes low, HalfBytes high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}
INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE size_t rounded_up(size_t bytes) { return (bytes + WIDE - 1) / WIDE * WIDE; }

// Sums of two neighbours, and of two neighbours' products of levels (or of their differences), which fit in 16 bits.
INLINE Longs pairs(Words v) { return ((Longs)v & 0xffff) + ((Longs)v >> 16); }
INLINE Longs products(Words a, Words b) { return pairs(a * b); }
INLINE int64_t sum_of_longs(Longs v) {
  int64_t sum = 0;
  for (int i = 0; i < WIDE / 4; i++) sum += v[i];
  return sum;
}
INLINE int64_t sum_of_words(Words v) { return sum_of_longs(pairs(v)); }
INLINE int64_t sum_of_bytes(Bytes v) { return sum_of_words(even(v) + odd(v)); }

// (9798 R + 19235 G + 3735 B + 2^14) >> 15 without leaving 16 bits: the weights and the half are 256 times whole numbers
// and less than 256 over, and what is over adds up to no more than 256 x 255.
INLINE Words luma_of(Words r, Words g, Words b) {
  const Words over = 70 * r + 35 * g + 151 * b;
  return (38 * r + 75 * g + 14 * b + 64 + (over >> 8)) >> 7;
}

// --- sums of a tile of at most TILE pixels ---------------------------------------------------------------------------
typedef struct {
  Words sum;
  Longs square, product;
  Bytes ended;
} Tally;

INLINE void tally_levels(Tally *tally, Words e, Words o) {
  tally->sum += e + o;
  tally->square += products(e, e) + products(o, o);
}
INLINE void tally_product(Tally *tally, Words e, Words o, Bytes other) {
  tally->product += products(e, even(other)) + products(o, odd(other));
}
INLINE void add_sums(Sums *sums, const Tally *tally) {
  sums->sum += sum_of_words(tally->sum);
  sums->square += sum_of_longs(tally->square);
}

INLINE Bytes at_an_end(Bytes v) { return (Bytes)((v == 0) | (v == 255)); }
typedef struct { Bytes r, g, b; } Channels;

// Channel by channel what lies pixel by pixel: left to itself, a compiler does this well for some processors only.
INLINE Channels channels_of(const u8 *rgb, int count) {
  HalfBytes v[6] = {{0}};
  HalfBytes r[2], g[2], b[2];
  memcpy(v, rgb, 3 * (size_t)count);
  for (int i = 0; i < 2; i++) {
    const HalfBytes p = v[3 * i], q = v[3 * i + 1], last = v[3 * i + 2];
    r[i] = __builtin_shufflevector(p, q, 0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0, 0, 0, 0, 0);
    g[i] = __builtin_shufflevector(p, q, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 0, 0, 0, 0, 0);
    b[i] = __builtin_shufflevector(p, q, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0, 0, 0, 0, 0, 0);
    r[i] = __builtin_shufflevector(r[i], last, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 20, 23, 26, 29);
    g[i] = __builtin_shufflevector(g[i], last, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 21, 24, 27, 30);
    b[i] = __builtin_shufflevector(b[i], last, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 22, 25, 28, 31);
  }
  return (Channels){joined_halves(r[0], r[1]), joined_halves(g[0], g[1]), joined_halves(b[0], b[1])};
}

// One vector of a view whose pixels stand: its luma, and their sums.
INLINE void luma_step(Channels v, u8 *luma, int count, Tally *tally) {
  const Words e = luma_of(even(v.r), even(v.g), even(v.b)), o = luma_of(odd(v.r), odd(v.g), odd(v.b));
  store(luma, joined(e, o), count);
  tally_levels(tally, e, o);
}

void luma_of_row(const u8 *rgb, int count, u8 *luma, Sums *sums) {
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Tally tally = {0};
    int i = at;
    EACH_VECTOR(i, n, end, luma_step(channels_of(rgb + 3 * (size_t)i, n), luma + i, n, &tally));
    add_sums(sums, &tally);
  }
}

INLINE Channels channels_at(const Planes *view, int at, int count) {
  return (Channels){load(view->plane[0] + at, count), load(view->plane[1] + at, count), load(view->plane[2] + at, count)};
}

void luma_of_planes(const Planes *view, int count, Sums *sums) {
  const Planes planes = *view;  // a copy, which no pixel that is written can alias
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Tally tally = {0};
    int i = at;
    EACH_VECTOR(i, n, end, luma_step(channels_at(&planes, i, n), planes.plane[3] + i, n, &tally));
    add_sums(sums, &tally);
  }
}

INLINE void sums_step(const u8 *a, int count, Tally *tally) {
  const Bytes v = load(a, count);
  tally_levels(tally, even(v), odd(v));
}
Sums sums_of(const u8 *plane, size_t count) {
  Sums sums = {0};
  for (size_t at = 0; at < count; at += TILE) {
    const u8 *a = plane + at;
    const int part = count - at < TILE ? (int)(count - at) : TILE;
    Tally tally = {0};
    int i = 0;
    EACH_VECTOR(i, n, part, sums_step(a + i, n, &tally));
    add_sums(&sums, &tally);
  }
  return sums;
}

INLINE void product_step(const u8 *a, const u8 *b, int count, Tally *tally) {
  const Bytes v = load(a, count);
  tally_product(tally, even(v), odd(v), load(b, count));
}
int64_t product_of(const u8 *a, const u8 *b, size_t count) {
  int64_t product = 0;
  for (size_t at = 0; at < count; at += TILE) {
    const int part = count - at < TILE ? (int)(count - at) : TILE;
    Tally tally = {0};
    int i = 0;
    EACH_VECTOR(i, n, part, product_step(a + at + i, b + at + i, n, &tally));
    product += sum_of_longs(tally.product);
  }
  return product;
}

INLINE void difference_step(const u8 *a, const u8 *b, int count, Longs *square) {
  const Bytes x = load(a, count), y = load(b, count);
  const Words e = even(x) - even(y), o = odd(x) - odd(y);
  *square += products(e, e) + products(o, o);
}
static int64_t squared_differences(const u8 *a, const u8 *b, size_t count) {
  int64_t total = 0;
  for (size_t at = 0; at < count; at += TILE) {
    const int part = count - at < TILE ? (int)(count - at) : TILE;
    Longs square = {0};
    int i = 0;
    EACH_VECTOR(i, n, part, difference_step(a + at + i, b + at + i, n, &square));
    total += sum_of_longs(square);
  }
  return total;
}
int64_t squared_steps(const u8 *plane, int size) {
  const size_t count = (size_t)size * size;
  int64_t total = squared_differences(plane, plane + 1, count - 1) + squared_differences(plane, plane + size, count - size);
  for (size_t row = size; row < count; row += size) {  // from a row's end to the next one's start is no step
    const int step = plane[row] - plane[row - 1];
    total -= step * step;
  }
  return total;
}

// --- averages of boxes -----------------------------------------------------------------------------------------------
// `rows` x `columns` pixels that stand, of which the last are repeated as often as needed.
typedef struct {
  const u8 *pixels;
  int64_t stride;
  int rows, columns;
} Strip;

INLINE const u8 *row_of(const Strip *strip, int y) { return strip->pixels + least(y, strip->rows - 1) * strip->stride; }

INLINE Words pair_sums(const u8 *a, const u8 *b) {
  const Bytes x = load(a, WIDE), y = load(b, WIDE);
  return (even(x) + odd(x) + even(y) + odd(y) + 2) >> 2;
}

static void halve(const u8 *a, const u8 *b, int columns, int count, u8 *out) {
  int x = 0;
  for (; x + WIDE <= columns / 2; x += WIDE) {
    const Bytes low = (Bytes)pair_sums(a + 2 * x, b + 2 * x), high = (Bytes)pair_sums(a + 2 * x + WIDE, b + 2 * x + WIDE);
    store(out + x,
          __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40,
                                  42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62),
          WIDE);
  }
  for (; x < count; x++) {
    const int left = least(2 * x, columns - 1), right = least(2 * x + 1, columns - 1);
    out[x] = (u8)((a[left] + a[right] + b[left] + b[right] + 2) >> 2);
  }
}

enum { MOST_ROWS = 257 };  // of which the sums fit in 16 bits

// Sums of `factor` rows, column by column; the last row and column are repeated as often as needed.
typedef struct { Words low, high; } Columns;
INLINE void add_columns(Columns *sums, const u8 *levels, int count, int times) {
  const Bytes v = load(levels, count);
  HalfBytes half[2];
  memcpy(half, &v, sizeof v);
  sums->low += (uint16_t)times * __builtin_convertvector(half[0], Words);
  sums->high += (uint16_t)times * __builtin_convertvector(half[1], Words);
}
INLINE void column_sums_step(const Strip *strip, int x, int count, int again, uint16_t *sums) {
  Columns total = {{0}, {0}};
  const u8 *row = strip->pixels + x;
  for (int y = 0; y < strip->rows; y++, row += strip->stride) add_columns(&total, row, count, 1);
  if (again) add_columns(&total, row - strip->stride, count, again);
  memcpy(sums + x, &total, 2 * (size_t)count);
}
static void column_sums(const Strip *strip, int factor, int count, uint16_t *sums) {
  int x = 0;
  for (; x + WIDE <= strip->columns; x += WIDE) column_sums_step(strip, x, WIDE, factor - strip->rows, sums);
  if (x < strip->columns) column_sums_step(strip, x, strip->columns - x, factor - strip->rows, sums);
  for (x = strip->columns; x < count; x++) sums[x] = sums[strip->columns - 1];
}

INLINE void average_across(const uint16_t *restrict sums, int factor, int count, u8 *restrict out) {
  for (int x = 0; x < count; x++) {
    uint32_t sum = 0;
    for (int i = 0; i < factor; i++) sum += sums[factor * x + i];
    out[x] = (u8)((sum + (uint32_t)(factor * factor / 2)) / (uint32_t)(factor * factor));
  }
}

// One row of `count` averages of `factor` rows, for an odd factor: none lies between two levels.
static void reduce_by_odd(const Strip *strip, int factor, int count, u8 *out, uint16_t *sums) {
  if (factor > MOST_ROWS) {  // a plane of so few boxes that each may be walked through
    for (int x = 0; x < count; x++) {
      uint64_t sum = 0;
      for (int y = 0; y < factor; y++)
        for (int i = 0; i < factor; i++) sum += row_of(strip, y)[least(factor * x + i, strip->columns - 1)];
      const uint64_t area = (uint64_t)factor * (uint64_t)factor;
      out[x] = (u8)((sum + area / 2) / area);
    }
    return;
  }
  column_sums(strip, factor, count * factor, sums);
  switch (factor) {  // with a constant to divide by
    case 3: average_across(sums, 3, count, out); break;
    case 5: average_across(sums, 5, count, out); break;
    case 7: average_across(sums, 7, count, out); break;
    default: average_across(sums, factor, count, out);
  }
}

// The same for any factor. An even one halves into `room` first; it stays in cache.
static void reduce_strip(const Strip *strip, int factor, int count, u8 *out, u8 *room) {
  if (factor == 1) {
    memcpy(out, strip->pixels, (size_t)count);
  } else if (factor % 2) {
    reduce_by_odd(strip, factor, count, out, (uint16_t *)room);
  } else {
    const int rows = factor / 2, columns = rows * count;
    u8 *half = factor == 2 ? out : room;
    for (int y = 0; y < rows; y++)
      halve(row_of(strip, 2 * y), row_of(strip, 2 * y + 1), strip->columns, columns, half + (size_t)y * columns);
    if (factor == 2) return;
    const Strip next = {half, columns, rows, columns};
    reduce_strip(&next, rows, count, out, room + rounded_up((size_t)rows * columns));
  }
}

static size_t strip_room(int factor, int count) {
  const size_t columns = (size_t)factor * count;
  if (factor % 2) return 2 * columns;
  return rounded_up(columns / 2 * (factor / 2)) + strip_room(factor / 2, count);
}

void box_plane(const u8 *plane, int h, int w, int factor, u8 *out, Arena *arena) {
  const int rows = (h + factor - 1) / factor, columns = (w + factor - 1) / factor;
  const size_t before = arena->used;
  u8 *room = arena_take(arena, strip_room(factor, columns));
  if (room == NULL) return;
  for (int y = 0; y < rows; y++) {
    const Strip strip = {plane + (size_t)y * factor * w, w, least(factor, h - y * factor), w};
    reduce_strip(&strip, factor, columns, out + (size_t)y * columns, room);
  }
  arena->used = before;
}

// --- colour ----------------------------------------------------------------------------------------------------------
void apply_table(Planes *view, int count, const u8 table[256]) {
  for (int c = 0; c < 3; c++) {
    u8 *p = view->plane[c];
    for (int i = 0; i < count; i++) p[i] = table[p[i]];
  }
}

// Four bytes of a long as floats, the k-th of each.
INLINE Floats as_floats_of(Bytes v, int k) { return __builtin_convertvector((Ints)((Longs)v >> (8 * k) & 0xff), Floats); }

INLINE Ints chosen(Ints where, Ints yes, Ints no) { return (yes & where) | (no & ~where); }

// The nearest whole level, of two as near the even one, at the k-th byte of each long: the last bits of 1.5 x 2^23 + level.
// As bits, too, such a sum is greater where the level is, however far outside.
INLINE Longs as_levels(Floats v, int k) {
  const Ints zero = (Ints){0} + 0x4b400000, full = zero + 255;
  Ints bits = (Ints)(v + 12582912.0f);
  bits = chosen(bits > zero, bits, zero);
  bits = chosen(bits < full, bits, full);
  return ((Longs)bits & 0xff) << (8 * k);
}

// Levels -> levels. A level x of channel c becomes
//     sum x + map[c][c + 1] (next - x) + map[c][c + 2] (last - x) + offset,
// where sum is of the row, and next and last are the other two channels' levels, so that grey stays grey where the rows have
// one sum. No term is rounded more than five times: before it is rounded a level is off by less than .001 up to gains of 16.
typedef struct { float sum[3], next[3], last[3], offset[3]; } Map;

static Map in_floats(const double map[12]) {
  Map floats;
  for (int c = 0; c < 3; c++) {
    const double *row = map + 4 * c, next = row[(c + 1) % 3], last = row[(c + 2) % 3];
    floats.sum[c] = (float)(row[c] + next + last), floats.next[c] = (float)next, floats.last[c] = (float)last;
    floats.offset[c] = (float)(row[3] * 255.0);
  }
  return floats;
}

INLINE void map_quarter(Channels v, const Map *map, int k, Longs mapped[3]) {
  const Floats level[3] = {as_floats_of(v.r, k), as_floats_of(v.g, k), as_floats_of(v.b, k)};
  for (int c = 0; c < 3; c++) {
    const Floats next = level[(c + 1) % 3] - level[c], last = level[(c + 2) % 3] - level[c];
    mapped[c] |= as_levels(level[c] * map->sum[c] + next * map->next[c] + (last * map->last[c] + map->offset[c]), k);
  }
}
INLINE void map_step(const Planes *in, const Planes *out, const Map *map, int at, int count) {
  const Channels v = channels_at(in, at, count);
  Longs mapped[3] = {{0}};
  map_quarter(v, map, 0, mapped);
  map_quarter(v, map, 1, mapped);
  map_quarter(v, map, 2, mapped);
  map_quarter(v, map, 3, mapped);
  for (int c = 0; c < 3; c++) store(out->plane[c] + at, (Bytes)mapped[c], count);
}

// The same in 16 bits where those hold what comes out in 2^-bits levels. To the level itself (sum - 1) x is added, so that
// what changes little is rounded little. Products are upper halves, of which half of what they cut off is given back: before
// it is rounded a level is off by 2.75 2^-bits at most, .02 with MOST_BITS, .09 with LEAST_BITS.
enum { MOST_BITS = 7, LEAST_BITS = 5 };
typedef int16_t SignedWords __attribute__((vector_size(WIDE)));
typedef int32_t TwiceInts __attribute__((vector_size(2 * WIDE)));
typedef struct {  // whole vectors: see filters.c's weighed
  int bits;
  SignedWords sum[3], next[3], last[3];
  uint16_t offset[3];
} WordMap;

static WordMap in_words(const double map[12]) {
  WordMap words = {.bits = MOST_BITS};
  double most = 255.0, steepest = 0.0;  // what comes out, and what is added of a level
  for (int c = 0; c < 3; c++) {
    double low = 255.0 * map[4 * c + 3], high = low, sum = 0.0;
    for (int j = 0; j < 3; j++) {
      const double gain = map[4 * c + j];
      *(gain > 0 ? &high : &low) += 255.0 * gain;
      sum += gain;
      if (j != c) steepest = fmax(steepest, 2.0 * fabs(gain));
    }
    most = fmax(most, fmax(-low, high));
    steepest = fmax(steepest, fabs(sum - 1.0));
  }
  while (words.bits >= LEAST_BITS && !((most + 1.0) * (1 << words.bits) < 32767.0 && steepest * (256 << words.bits) < 32767.0))
    words.bits--;
  if (words.bits < LEAST_BITS) return words;
  const int unit = 1 << words.bits;
  for (int c = 0; c < 3; c++) {
    const double *row = map + 4 * c, next = row[(c + 1) % 3], last = row[(c + 2) % 3];
    const int sum = (int)rint((row[c] + next + last - 1.0) * 256.0 * unit), cut_off = (sum != 0) + (next != 0) + (last != 0);
    words.sum[c] = (SignedWords){0} + (int16_t)sum;
    words.next[c] = (SignedWords){0} + (int16_t)rint(next * 512.0 * unit);
    words.last[c] = (SignedWords){0} + (int16_t)rint(last * -512.0 * unit);
    words.offset[c] = (uint16_t)(int64_t)rint((255.0 * row[3] + 128.5) * unit + 0.5 * sum + 0.5 * cut_off);  // levels are less 128
  }
  return words;
}

INLINE SignedWords upper_half(SignedWords v, const SignedWords *by) {
  const TwiceInts product = __builtin_convertvector(v, TwiceInts) * __builtin_convertvector(*by, TwiceInts);
  return __builtin_convertvector(product >> 16, SignedWords);
}
// Of each channel 256ths of levels less 128, and 128ths of what it is behind the next one.
typedef struct { SignedWords level[3], behind[3]; } Half;

INLINE Half half_of(Words r, Words g, Words b) {
  const Words half = (Words){0} + 0x8000;
  return (Half){{(SignedWords)((r << 8) ^ half), (SignedWords)((g << 8) ^ half), (SignedWords)((b << 8) ^ half)},
                {(SignedWords)((g - r) << 7), (SignedWords)((b - g) << 7), (SignedWords)((r - b) << 7)}};
}
INLINE Words map_half(const Half *v, const WordMap *map, int c) {
  const Words changes = (Words)upper_half(v->level[c], &map->sum[c]) + (Words)upper_half(v->behind[c], &map->next[c]) +
                        (Words)upper_half(v->behind[(c + 2) % 3], &map->last[c]) + map->offset[c];
  SignedWords level = (SignedWords)(changes + (Words)(v->level[c] >> (8 - map->bits))) >> map->bits;
  level &= (SignedWords)(level > 0);
  const SignedWords beyond = level - 255;
  return (Words)(level - (beyond & (SignedWords)(beyond > 0)));
}
INLINE void word_map_step(const Planes *in, const Planes *out, const WordMap *map, int at, int count) {
  const Channels v = channels_at(in, at, count);
  const Half e = half_of(even(v.r), even(v.g), even(v.b)), o = half_of(odd(v.r), odd(v.g), odd(v.b));
  const Bytes mapped[3] = {joined(map_half(&e, map, 0), map_half(&o, map, 0)), joined(map_half(&e, map, 1), map_half(&o, map, 1)),
                           joined(map_half(&e, map, 2), map_half(&o, map, 2))};
  for (int c = 0; c < 3; c++) store(out->plane[c] + at, mapped[c], count);
}

INLINE Bytes any_at_an_end(Channels v) { return at_an_end(v.r) | at_an_end(v.g) | at_an_end(v.b); }

INLINE void toned_step(const Planes *view, const u8 *crop_luma, int at, int count, Tally *tally) {
  const Channels v = channels_at(view, at, count);
  luma_step(v, view->plane[3] + at, count, tally);
  const Bytes luma = load(view->plane[3] + at, count);
  tally_product(tally, even(luma), odd(luma), load(crop_luma + at, count));
  tally->ended -= any_at_an_end(v);  // a truth is -1
}

INLINE void add_toned(Toned *toned, const Tally *tally) {
  add_sums(&toned->luma, tally);
  toned->product += sum_of_longs(tally->product);
  toned->ended += sum_of_bytes(tally->ended);
}

// Zeros behind the last pixel are not pixels.
INLINE int padding(int count) { return -count & (WIDE - 1); }

// On its own, so that a compiler leaves the map in memory: of numbers in registers it makes 32 bits before the loop.
static __attribute__((noinline)) Tally map_words(Planes from, const u8 *crop_luma, const WordMap *map, int at, int end, Planes to) {
  Tally tally = {0};
  EACH_VECTOR(at, n, end, (word_map_step(&from, &to, map, at, n), toned_step(&to, crop_luma, at, n, &tally)));
  return tally;
}

Toned colour_map(const Planes *in, const u8 *crop_luma, const double map[12], int count, Planes *out) {
  const Planes from = *in, to = *out;  // copies, which no pixel that is written can alias
  const WordMap words = in_words(map);
  const Map floats = in_floats(map);
  Toned toned = {0};
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Tally tally = {0};
    int i = at;
    if (words.bits >= LEAST_BITS)
      tally = map_words(from, crop_luma, &words, at, end, to);
    else
      EACH_VECTOR(i, n, end, (map_step(&from, &to, &floats, i, n), toned_step(&to, crop_luma, i, n, &tally)));
    add_toned(&toned, &tally);
  }
  toned.ended -= padding(count);
  return toned;
}

Toned toned_sums(Planes *view, const u8 *crop_luma, int count) {
  const Planes to = *view;
  Toned toned = {0};
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Tally tally = {0};
    int i = at;
    EACH_VECTOR(i, n, end, toned_step(&to, crop_luma, i, n, &tally));
    add_toned(&toned, &tally);
  }
  toned.ended -= padding(count);
  return toned;
}

int64_t ended_pixels(const Planes *view, int count) {
  int64_t ended = 0;
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Bytes found = {0};
    int i = at;
    EACH_VECTOR(i, n, end, found -= any_at_an_end(channels_at(view, i, n)));
    ended += sum_of_bytes(found);
  }
  return ended - padding(count);
}

INLINE Bytes newly_at_an_end(const Planes *view, const Planes *crop, int at, int count) {
  return any_at_an_end(channels_at(view, at, count)) & ~any_at_an_end(channels_at(crop, at, count));
}
int64_t newly_ended(const Planes *view, const Planes *crop, int count) {
  int64_t ended = 0;
  for (int at = 0; at < count; at += TILE) {
    const int end = at + least(TILE, count - at);
    Bytes found = {0};
    int i = at;
    EACH_VECTOR(i, n, end, found -= newly_at_an_end(view, crop, i, n));  // zeros are there in both
    ended += sum_of_bytes(found);
  }
  return ended;
}

INLINE void blend_step(u8 *view, const u8 *crop, int count, float strength) {
  const Longs v = (Longs)load(view, count), c = (Longs)load(crop, count);
  Longs blended = {0};
  for (int k = 0; k < 4; k++) {
    const Ints from = (Ints)(c >> (8 * k) & 0xff), step = (Ints)(v >> (8 * k) & 0xff) - from;
    const Ints kept = __builtin_convertvector(__builtin_convertvector(step, Floats) * strength, Ints);
    blended |= (Longs)(from + kept) << (8 * k);
  }
  store(view, (Bytes)blended, count);
}
void blend(Planes *view, const Planes *crop, int count, double strength) {
  for (int c = 0; c < 3; c++) {
    int i = 0;
    EACH_VECTOR(i, n, count, blend_step(view->plane[c] + i, crop->plane[c] + i, n, (float)strength));
  }
}

// --- late ------------------------------------------------------------------------------------------------------------
INLINE uint64_t splitmix64(uint64_t bits) {
  bits += 0x9E3779B97F4A7C15u;
  bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
  return bits ^ bits >> 31;
}

INLINE void grain_step(u8 *levels, const float *grain, int count) {
  const Bytes v = load(levels, count);
  Longs grainy = {0};
  for (int k = 0; k < 4; k++) {
    Floats g;
    for (int i = 0; i < WIDE / 4; i++) g[i] = grain[4 * i + k];
    grainy |= as_levels(as_floats_of(v, k) + g, k);
  }
  store(levels, (Bytes)grainy, count);
}

void add_noise(Planes *view, int size, int64_t seed, double sigma) {
  const int count = size * size;
  const double levels = sigma * 255.0, root = 1.7320508075688772;  // sqrt(3): four uniforms have variance 4 / 12
  float grain[WIDE];
  for (int at = 0; at < count; at += WIDE) {
    for (int i = 0; i < WIDE; i++) {
      const uint64_t bits = splitmix64(((uint64_t)seed << 32) + (uint64_t)(at + i));
      const uint64_t total = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
      grain[i] = (float)(((double)total / 65535.0 - 2.0) * root * levels);
    }
    for (int c = 0; c < 3; c++) grain_step(view->plane[c] + at, grain, least(WIDE, count - at));
  }
}

void erase_box(Planes *view, int size, int left, int top, int width, int height) {
  const int64_t count = (int64_t)size * size;
  for (int c = 0; c < 3; c++) {
    const int64_t sum = sums_of(view->plane[c], (size_t)count).sum;
    const int64_t down = sum / count, twice = 2 * (sum % count);
    const int64_t mean = down + (twice > count || (twice == count && down % 2));  // of two as near the even one
    for (int y = top; y < top + height; y++) memset(view->plane[c] + (size_t)y * size + left, (int)mean, (size_t)width);
  }
}

// --- edges -----------------------------------------------------------------------------------------------------------
void interleave(const u8 *const plane[3], size_t count, u8 *restrict rgb) {
  const u8 *restrict r = plane[0], *restrict g = plane[1], *restrict b = plane[2];
  for (size_t i = 0; i < count; i++) rgb[3 * i] = r[i], rgb[3 * i + 1] = g[i], rgb[3 * i + 2] = b[i];
}

INLINE void deinterleave_step(const u8 *rgb, u8 *r, u8 *g, u8 *b, int count) {
  const Channels v = channels_of(rgb, count);
  store(r, v.r, count), store(g, v.g, count), store(b, v.b, count);
}
void deinterleave(const u8 *rgb, size_t count, u8 *const plane[3]) {
  u8 *const r = plane[0], *const g = plane[1], *const b = plane[2];
  size_t i = 0;
  for (; i + WIDE <= count; i += WIDE) deinterleave_step(rgb + 3 * i, r + i, g + i, b + i, WIDE);
  if (i < count) deinterleave_step(rgb + 3 * i, r + i, g + i, b + i, (int)(count - i));
}

void as_floats(const u8 *const plane[3], size_t count, const float scale[3], const float offset[3], float *restrict out) {
  for (int c = 0; c < 3; c++, out += count) {
    const u8 *restrict p = plane[c];
    const float by = scale[c], plus = offset[c];
    for (size_t i = 0; i < count; i++) out[i] = (float)p[i] * by + plus;
  }
}
