// The warp: averages of whole boxes, then bilinear or the nearest pixel, what lies outside mirrored. See pixels.h.
//
// Levels are blended in 128ths, in 16 bits. A share s of the way from a to b is (a + b) / 2 + (s - 1/2) (b - a), with
// s - 1/2 in 2^-16: the upper half of a 16-bit product. What the two blends cut off together is about one 128th, which is
// given back when the level is rounded.
#include "pixels.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions of this file alone
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, PIXELS = 4 };  // 16-bit lanes of a vector, and pixels of four channels
enum { BLENDED = 4 };             // channels of a blended pixel, whatever the source has
enum { MOST_ROWS = 257 };         // whose sum fits in 16 bits

typedef u8 Bytes __attribute__((vector_size(32)));
typedef u8 HalfBytes __attribute__((vector_size(16)));
typedef u8 EightBytes __attribute__((vector_size(8)));
typedef int16_t Words __attribute__((vector_size(32)));
typedef uint16_t UnsignedWords __attribute__((vector_size(32)));
typedef uint16_t EightWords __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef int32_t HalfInts __attribute__((vector_size(32)));
typedef uint32_t EightInts __attribute__((vector_size(32)));
typedef uint64_t Longs __attribute__((vector_size(32)));
typedef uint32_t HalfLongs __attribute__((vector_size(16)));
typedef uint64_t TwoLongs __attribute__((vector_size(16)));

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int greatest(int a, int b) { return a > b ? a : b; }
INLINE int clamped(int v, int low, int high) { return v < low ? low : v > high ? high : v; }
INLINE uint64_t eight_bytes(const void *from) {
  uint64_t v;
  memcpy(&v, from, sizeof v);
  return v;
}

// Where a position falls: between pixel `at` and the next, `share` of the way, less a half, in 2^-16.
typedef struct {
  int32_t *at;
  int16_t *share;
} Taps;

// Lanes that hold no pixel hold anything: without signs nothing overflows.
INLINE Words blended(Words from, Words to, Words share) {
  const UnsignedWords a = (UnsignedWords)from, b = (UnsignedWords)to;
  const Ints product = __builtin_convertvector((Words)(b - a), Ints) * __builtin_convertvector(share, Ints);
  return (Words)(((a + b) >> 1) + (UnsignedWords)__builtin_convertvector(product >> 16, Words));
}

// --- averages of boxes, row by row -----------------------------------------------------------------------------------
// The columns [left, left + count) of a level: `factor` x `factor` pixels of the source in each of its own, halved
// `halvings` times, then by an odd number. Its rows are made one at a time.
typedef struct {
  const u8 *source;
  int h, w, channels, factor;
  int64_t stride;
  int left, count, halvings, odd, rows, pitch;  // pitch: bytes a pixel; of an averaged one BLENDED, or 1 of one channel
  u8 *halved[16][3];                            // [depth - 1][row % 3]: rows of half the size, and half of that ...
  uint16_t *sums;
  uint64_t *totals;
} Level;

// Averages of 2 x 2 pixels of three channels, as four; `valid` stand, the last is repeated until there are 2 count.
static void halve_colours(const u8 *a, const u8 *b, int valid, int count, u8 *out) {
  int x = 0;
  for (; 2 * x + 10 <= valid && x + PIXELS <= count; x += PIXELS) {  // 28 of 30 bytes are read
    UnsignedWords sum = {0};
    for (int row = 0; row < 2; row++) {
      const u8 *from = (row ? b : a) + 6 * x;
      HalfBytes near, far;
      memcpy(&near, from, sizeof near);
      memcpy(&far, from + 12, sizeof far);
      Bytes v = __builtin_shufflevector(near, far, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                        21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
      v = __builtin_shufflevector(v, v, 0, 3, 1, 4, 2, 5, 2, 5, 6, 9, 7, 10, 8, 11, 8, 11, 16, 19, 17, 20, 18, 21, 18, 21, 22,
                                  25, 23, 26, 24, 27, 24, 27);
      sum += ((UnsignedWords)v & 255) + ((UnsignedWords)v >> 8);
    }
    const HalfBytes mean = __builtin_convertvector((sum + 2) >> 2, HalfBytes);
    memcpy(out + BLENDED * x, &mean, sizeof mean);
  }
  for (; x < count; x++) {
    const int near = 3 * least(2 * x, valid - 1), far = 3 * least(2 * x + 1, valid - 1);
    for (int c = 0; c < 3; c++) out[BLENDED * x + c] = (u8)((a[near + c] + a[far + c] + b[near + c] + b[far + c] + 2) >> 2);
    out[BLENDED * x + 3] = 0;
  }
}

// The same of pixels of four channels, all of which stand.
static void halve_again(const u8 *a, const u8 *b, int count, u8 *out) {
  int x = 0;
  for (; x + PIXELS <= count; x += PIXELS) {
    Bytes v, w;
    memcpy(&v, a + 2 * BLENDED * x, sizeof v);
    memcpy(&w, b + 2 * BLENDED * x, sizeof w);
    // Of a pixel's four bytes two are in each; a pixel and its neighbour are the halves of a long.
    const Longs even = (Longs)(((UnsignedWords)v & 255) + ((UnsignedWords)w & 255)),
                odd = (Longs)(((UnsignedWords)v >> 8) + ((UnsignedWords)w >> 8)), low = (Longs){0} + 0xffffffff;
    const UnsignedWords two = (UnsignedWords)((even & low) + (even >> 32)), other = (UnsignedWords)((odd & low) + (odd >> 32));
    const HalfLongs packed = __builtin_convertvector((Longs)((two + 2) >> 2 | ((other + 2) >> 2) << 8), HalfLongs);
    memcpy(out + BLENDED * x, &packed, sizeof packed);
  }
  for (; x < count; x++)
    for (int c = 0; c < BLENDED; c++) {
      const int at = 2 * BLENDED * x + c;
      out[BLENDED * x + c] = (u8)((a[at] + a[at + BLENDED] + b[at] + b[at + BLENDED] + 2) >> 2);
    }
}

static void halve_grey(const u8 *a, const u8 *b, int valid, int count, u8 *out) {
  const int whole = least(count, valid / 2);
  for (int x = 0; x < whole; x++) out[x] = (u8)((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2);
  for (int x = whole; x < count; x++) {
    const int near = least(2 * x, valid - 1), far = least(2 * x + 1, valid - 1);
    out[x] = (u8)((a[near] + a[far] + b[near] + b[far] + 2) >> 2);
  }
}

// Row y of the level of 2^depth x 2^depth pixels, from the column where the averaged ones begin.
static const u8 *halved_row(const Level *level, int depth, int y) {
  const int begin = level->left * level->factor;
  if (depth == 0) return level->source + least(y, level->h - 1) * level->stride + (int64_t)begin * level->channels;
  const u8 *a = halved_row(level, depth - 1, 2 * y), *b = halved_row(level, depth - 1, 2 * y + 1);
  const int count = level->count * (level->factor >> depth), before = depth == 1 ? level->w - begin : 2 * count;
  u8 *out = level->halved[depth - 1][y % 3];
  if (level->channels == 1)
    halve_grey(a, b, before, count, out);
  else if (depth == 1)
    halve_colours(a, b, before, count, out);
  else
    halve_again(a, b, count, out);
  return out;
}

// Whole averages of boxes of an odd side from the sums of their rows, two pixels at a time. None lies between two levels.
INLINE void average_across(const uint16_t *sums, int pitch, int odd, int count, u8 *out) {
  const int area = odd * odd;
  int shift = 0;  // area up to 169: floor((sum + area / 2) / area) by a product of 32 bits, exact up to 256 area
  while (((uint32_t)2 << (16 + shift)) / (uint32_t)area < 65535) shift++;
  const uint32_t by = (((uint32_t)1 << (16 + shift)) + (uint32_t)area - 1) / (uint32_t)area;
  for (int x = 0; x < count; x += 2) {
    EightWords sum = {0};
    for (int i = 0; i < odd; i++) {
      const uint16_t *from = sums + pitch * (odd * x + i);
      const TwoLongs two = {eight_bytes(from), eight_bytes(from + pitch * odd)};
      sum += (EightWords)two;
    }
    const EightInts product = __builtin_convertvector(sum + (uint16_t)(area / 2), EightInts) * by;
    const EightBytes mean =
        __builtin_convertvector(__builtin_convertvector(product >> 16, EightWords) >> shift, EightBytes);
    memcpy(out + BLENDED * x, &mean, sizeof mean);
  }
}

// Row y of the level, averaged; `out` has room for two pixels more.
static void averaged_row(const Level *level, int y, u8 *out) {
  const int odd = level->odd, depth = level->halvings, count = level->count;
  const u8 *row[3] = {halved_row(level, depth, odd * y)};
  if (odd == 1) {
    memcpy(out, row[0], (size_t)count * level->pitch);
    return;
  }
  const int pitch = depth ? level->pitch : level->channels, across = count * odd;
  const int valid = depth ? across : least(across, level->w - level->left * level->factor);
  const int few = odd <= 13 && level->channels > 1;
  uint16_t *restrict sums = level->sums;
  uint64_t *totals = level->totals;
  if (!few) memset(totals, 0, sizeof *totals * (size_t)count * level->pitch);
  for (int done = 0; done < odd;) {
    const int end = least(odd, done + MOST_ROWS);
    const u8 *restrict first = done ? halved_row(level, depth, odd * y + done) : row[0];
    for (int i = 0; i < pitch * valid; i++) sums[i] = first[i];
    for (done++; done + 1 < end; done += 2) {
      const u8 *restrict a = halved_row(level, depth, odd * y + done), *restrict b = halved_row(level, depth, odd * y + done + 1);
      for (int i = 0; i < pitch * valid; i++) sums[i] = (uint16_t)(sums[i] + a[i] + b[i]);
    }
    for (; done < end; done++) {
      const u8 *restrict a = halved_row(level, depth, odd * y + done);
      for (int i = 0; i < pitch * valid; i++) sums[i] = (uint16_t)(sums[i] + a[i]);
    }
    for (int i = pitch * valid; i < pitch * across; i++) sums[i] = sums[i - pitch];
    if (few) continue;
    for (int x = 0; x < count; x++)
      for (int i = 0; i < odd; i++)
        for (int c = 0; c < pitch; c++) totals[level->pitch * x + c] += sums[pitch * (odd * x + i) + c];
  }
  if (!few) {
    const uint64_t area = (uint64_t)odd * (uint64_t)odd;
    for (int i = 0; i < count * level->pitch; i++) out[i] = (u8)((totals[i] + area / 2) / area);
    return;
  }
  switch (odd) {  // with constants to sum and divide by
    case 3: average_across(sums, pitch, 3, count, out); break;
    case 5: average_across(sums, pitch, 5, count, out); break;
    default: average_across(sums, pitch, odd, count, out);
  }
}

// Rows [0, rows) and columns [left, left + count) of the level that `factor` gives; false where there is no memory.
static int lay_out(Level *level, int left, int count, Arena *arena) {
  level->left = left;
  level->count = count;
  level->odd = level->factor;
  for (level->halvings = 0; level->odd % 2 == 0; level->halvings++) level->odd /= 2;
  level->pitch = level->factor > 1 && level->channels == 3 ? BLENDED : level->channels;
  for (int depth = 1; depth <= level->halvings; depth++)
    for (int i = 0; i < 3; i++) {
      const size_t columns = (size_t)count * (size_t)(level->factor >> depth);
      if (!(level->halved[depth - 1][i] = arena_take(arena, columns * level->pitch))) return 0;
    }
  if (level->odd == 1) return 1;
  level->sums = arena_take(arena, sizeof *level->sums * BLENDED * ((size_t)(count + 1) * level->odd + 2));
  level->totals = arena_take(arena, sizeof *level->totals * BLENDED * (size_t)count);
  return level->sums && level->totals;
}

// --- positions -------------------------------------------------------------------------------------------------------
// From pixels of the view to pixels of the level: (x[0] column + x[1] row + x[2]) / depth, less a half; y likewise.
typedef struct { double x[3], y[3], depth[3]; } Path;

// A matrix's row that takes the view's [-1, 1], as one that takes its pixels; times the level's length.
static void from_pixels(const double row[3], int size, double length, double out[3]) {
  const double step = 2.0 / size;
  out[0] = row[0] * step * length;
  out[1] = row[1] * step * length;
  out[2] = (row[2] + (row[0] + row[1]) * (0.5 * step - 1.0)) * length;
}

// A position kept where whole numbers hold it, whatever the matrix; what is no number is 0.
INLINE double kept(double position) {
  const double most = 1e8;
  position = position > -most ? position : -most;
  return position < most ? position : most;
}

// Where place `at` of a level lies, mirrored at its ends.
INLINE int mirrored(int at, int length) {
  if (at < -length || at >= 2 * length) {
    at %= 2 * length;
    if (at < 0) at += 2 * length;
  }
  return at < 0 ? -1 - at : at < length ? at : 2 * length - 1 - at;
}

// The share as blending wants it, of a fraction in [0, 1].
INLINE int16_t share_of(double fraction) { return (int16_t)(least((int)(fraction * 65536.0), 65535) - 32768); }

// Taps of one axis that nothing turns or slants: `at` is -1 ... length - 1, in the mirror too.
static void straight_taps(double step, double first, int size, int length, Taps taps) {
  for (int i = 0; i < size; i++) {
    double p = kept(first + step * i - 0.5);
    if (p < -0.5 || p > length - 0.5) {
      p += 0.5;
      p -= 2.0 * length * floor(p / (2.0 * length));
      p = (p <= length ? p : 2.0 * length - p) - 0.5;
    }
    const double below = floor(p);
    taps.at[i] = clamped((int)below, -1, length - 1);
    taps.share[i] = share_of(p - below);
  }
}

// The part of 0 .. length that the view's corners span, and, of what lies outside, its mirror image.
static void seen(const double row[3], const double depth[3], int size, int length, int *begin, int *end) {
  double low = INFINITY, high = -INFINITY;
  *begin = 0;
  *end = length;
  for (int corner = 0; corner < 4; corner++) {
    const double x = corner & 1 ? size - 1 : 0, y = corner & 2 ? size - 1 : 0;
    const double d = depth[0] * x + depth[1] * y + depth[2], p = (row[0] * x + row[1] * y + row[2]) / d - 0.5;
    if (!(d * depth[2] > 0) || !(fabs(p) < 1e8)) return;  // the horizon is in view
    low = p < low ? p : low;
    high = p > high ? p : high;
  }
  const int first = (int)floor(low) - 1, last = (int)ceil(high) + 2;  // a pixel more each way: positions are rounded
  *begin = clamped(least(first, 2 * length - last), 0, length - 1);
  *end = clamped(greatest(last, -first), *begin + 1, length);
}

// --- the end of a row ------------------------------------------------------------------------------------------------
// Blended pixels as levels, plane by plane.
static void spread(const int16_t *blended, int count, int channels, u8 *const out[3]) {
  enum { HALF = 64 + 1 };
  int x = 0;
  if (channels == 3)
    for (; x + 2 * PIXELS <= count; x += 2 * PIXELS) {
      UnsignedWords a, b;
      memcpy(&a, blended + BLENDED * x, sizeof a);
      memcpy(&b, blended + BLENDED * (x + PIXELS), sizeof b);
      a = (a + HALF) >> 7;
      b = (b + HALF) >> 7;
      // R0 R4 G0 G4 B0 B4 . .  R1 R5 ... to R0 R1 R4 R5 G0 ... | R2 R3 R6 R7 G2 ... to R0 ... R7 G0 ...
      Bytes v = (Bytes)(a | b << 8);
      v = __builtin_shufflevector(v, v, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, 16, 24, 17, 25, 18, 26, 19, 27, 20,
                                  28, 21, 29, 22, 30, 23, 31);
      const Words pairs = (Words)v;
      const Longs planes =
          (Longs)__builtin_shufflevector(pairs, pairs, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
      for (int c = 0; c < 3; c++) {
        const uint64_t plane = planes[c];
        memcpy(out[c] + x, &plane, sizeof plane);
      }
    }
  for (; x < count; x++)
    for (int c = 0; c < channels; c++) out[c][x] = (u8)((blended[BLENDED * x + c] + HALF) >> 7);
}

static void finish(const int16_t *blended, int size, int channels, int y, const Planes *out, Sums *sums) {
  const size_t at = (size_t)y * (size_t)size;
  if (channels == 1) {
    spread(blended, size, 1, (u8 *[3]){out->plane[0] + at});
    return;
  }
  const Planes row = {{out->plane[0] + at, out->plane[1] + at, out->plane[2] + at, out->plane[3] + at}};
  spread(blended, size, 3, row.plane);
  luma_of_planes(&row, size, sums);
}

// --- nothing turns or slants: rows are blended, then columns ---------------------------------------------------------
static void blend_rows(const u8 *a, const u8 *b, int16_t share, int count, int16_t *out) {
  int i = 0;
  for (; i + LANES <= count; i += LANES) {
    HalfBytes v, w;
    memcpy(&v, a + i, sizeof v);
    memcpy(&w, b + i, sizeof w);
    const Words mixed = blended(__builtin_convertvector(v, Words) << 7, __builtin_convertvector(w, Words) << 7, (Words){0} + share);
    memcpy(out + i, &mixed, sizeof mixed);
  }
  for (; i < count; i++) out[i] = (int16_t)(((a[i] + b[i]) << 6) + (((b[i] - a[i]) * 128 * share) >> 16));
}

// columns: of each pixel the offset of its left neighbour; shares: each four times
static void blend_columns(const int16_t *row, const int32_t *columns, const int16_t *shares, int pitch, int count, int16_t *out) {
  for (int x = 0; x < count; x += PIXELS) {  // the tables and `out` go on to whole vectors
    const int16_t *p = row + columns[x], *q = row + columns[x + 1], *r = row + columns[x + 2], *s = row + columns[x + 3];
    const Longs near = {eight_bytes(p), eight_bytes(q), eight_bytes(r), eight_bytes(s)};
    const Longs far = {eight_bytes(p + pitch), eight_bytes(q + pitch), eight_bytes(r + pitch), eight_bytes(s + pitch)};
    Words share;
    memcpy(&share, shares + BLENDED * x, sizeof share);
    const Words mixed = blended((Words)near, (Words)far, share);
    memcpy(out + BLENDED * x, &mixed, sizeof mixed);
  }
}

static void straight(Level *level, const Path *path, int columns, int size, const Planes *out, Arena *arena, Sums *sums) {
  const size_t padded = (size_t)(size + PIXELS);
  Taps across = {arena_take(arena, 4 * padded), arena_take(arena, 2 * padded)};
  Taps down = {arena_take(arena, 4 * padded), arena_take(arena, 2 * padded)};
  int16_t *shares = arena_take(arena, 2 * BLENDED * padded), *finished = arena_take(arena, 2 * BLENDED * padded);
  if (arena->failed) return;
  straight_taps(path->x[0], path->x[2], size, columns, across);
  straight_taps(path->y[1], path->y[2], size, level->rows, down);
  int first = columns, last = 0;
  for (int x = 0; x < size; x++) {
    first = least(first, across.at[x]);
    last = greatest(last, across.at[x] + 1);
  }
  const int left = greatest(first, 0), count = least(last, columns - 1) + 1 - left;
  if (!lay_out(level, left, count, arena)) return;
  const int pitch = level->pitch;
  int16_t *row = arena_take(arena, 2 * ((size_t)count + 2) * (size_t)pitch);
  u8 *made[2] = {NULL, NULL};
  if (level->factor > 1)
    for (int i = 0; i < 2; i++) made[i] = arena_take(arena, ((size_t)count + 2) * (size_t)pitch);
  if (arena->failed) return;
  for (int x = size + PIXELS - 1; x >= 0; x--) {  // from the end, which the last pixel fills up
    const int from = least(x, size - 1);
    across.at[x] = (across.at[from] - left + 1) * pitch;  // a pixel is repeated on either side
    for (int c = 0; c < BLENDED; c++) shares[BLENDED * x + c] = across.share[from];
  }
  int held[2] = {-1, -1};
  for (int y = 0; y < size; y++) {
    const int want[2] = {greatest(down.at[y], 0), least(down.at[y] + 1, level->rows - 1)};
    const u8 *rows[2];
    for (int i = 0; i < 2; i++) {
      if (level->factor == 1) {
        rows[i] = level->source + want[i] * level->stride + (int64_t)left * pitch;
        continue;
      }
      int slot = held[0] == want[i] ? 0 : held[1] == want[i] ? 1 : held[0] == want[1 - i] ? 1 : 0;
      if (held[slot] != want[i]) averaged_row(level, want[i], made[slot]);
      held[slot] = want[i];
      rows[i] = made[slot];
    }
    blend_rows(rows[0], rows[1], down.share[y], count * pitch, row + pitch);
    memcpy(row, row + pitch, 2 * (size_t)pitch);
    memcpy(row + (count + 1) * pitch, row + count * pitch, 2 * (size_t)pitch);
    blend_columns(row, across.at, shares, pitch, size, finished);
    finish(finished, size, level->channels, y, out, sums);
  }
}

// --- any other matrix: pixel by pixel --------------------------------------------------------------------------------
// What is read: the level, or a part of it that was averaged before.
typedef struct {
  const u8 *pixels;  // the one at (left, top)
  int64_t stride;
  int left, top, columns, rows, pitch, channels;
  int all_columns, all_rows;  // of the level, in which what lies outside is mirrored
  int far;                    // whether 32 bits do not hold its bytes
} Part;

// Where the pixels of a row of the view lie in the part, in whole numbers of 2^-bits pixels.
typedef struct {
  int bits;
  int32_t *x, *y;
  int32_t *along_x, *along_y;  // what each column adds, where nothing recedes
} Positions;

enum { MOST_BITS = 16, FARTHEST = (1 << 30) - 1 };  // the sum of two is a whole number still

INLINE double within(double position) {  // what is no number, too
  const double most = FARTHEST, p = position > -most ? position : -most;
  return p < most ? p : most;
}
INLINE int32_t rounded(double position) { return (int32_t)floor(within(position + 0.5)); }

// As many bits as positions leave: of a view that recedes those within four lengths of the level.
static int bits_of(const Path *path, int recedes, int columns, int rows, int size) {
  double farthest = 4.0 * greatest(columns, rows);
  for (int corner = 0; corner < 4 && !recedes; corner++) {
    const double x = corner & 1 ? size : 0, y = corner & 2 ? size : 0;
    const double across = fabs(path->x[0] * x + path->x[1] * y + path->x[2]);
    const double down = fabs(path->y[0] * x + path->y[1] * y + path->y[2]);
    farthest = fmax(farthest, 2 * fmax(across, down));
  }
  int bits = MOST_BITS;
  while (bits > 1 && !(farthest * (1 << bits) < FARTHEST)) bits--;
  return bits;
}

static int take_positions(Positions *at, const Path *path, int recedes, int size, Arena *arena) {
  const size_t bytes = sizeof *at->x * (size_t)size;
  at->x = arena_take(arena, bytes), at->y = arena_take(arena, bytes);
  at->along_x = arena_take(arena, bytes), at->along_y = arena_take(arena, bytes);
  if (arena->failed) return 0;
  for (int x = 0; x < size && !recedes; x++) {
    at->along_x[x] = rounded(path->x[0] * x * (1 << at->bits));
    at->along_y[x] = rounded(path->y[0] * x * (1 << at->bits));
  }
  return 1;
}

// Row y of the view; `left` and `top` of the level are the part's 0.
static void place_row(const Path *path, int recedes, int y, int size, double left, double top, const Positions *at) {
  const double scale = 1 << at->bits, from_x = path->x[1] * y + path->x[2], from_y = path->y[1] * y + path->y[2];
  int32_t *restrict to_x = at->x, *restrict to_y = at->y;
  if (!recedes) {
    const int32_t *restrict along_x = at->along_x, *restrict along_y = at->along_y;
    const int32_t base_x = rounded((from_x - left) * scale), base_y = rounded((from_y - top) * scale);
    for (int x = 0; x < size; x++) {
      to_x[x] = base_x + along_x[x];
      to_y[x] = base_y + along_y[x];
    }
    return;
  }
  const double step_x = path->x[0], step_y = path->y[0], depth_step = path->depth[0];
  const double depth = path->depth[1] * y + path->depth[2], back_x = 0.5 - left * scale, back_y = 0.5 - top * scale;
  for (int x = 0; x < size; x++) {
    const double by = scale / (depth_step * x + depth);
    to_x[x] = (int32_t)within((step_x * x + from_x) * by + back_x);
    to_y[x] = (int32_t)within((step_y * x + from_y) * by + back_y);
  }
}

// Where column x and row y of the level lie in the part, mirrored at the level's ends.
INLINE int column_at(const Part *part, int x) {
  return clamped(mirrored(x, part->all_columns) - part->left, 0, part->columns - 1) * part->pitch;
}
INLINE const u8 *row_at(const Part *part, int y) {
  return part->pixels + clamped(mirrored(y, part->all_rows) - part->top, 0, part->rows - 1) * part->stride;
}

// Two rows of two pixels, each row as if its pixels lay side by side.
typedef struct { uint64_t top, bottom; } Square;

INLINE uint64_t side_by_side(const u8 *row, int near, int far, int pitch) {
  uint64_t pixels = 0;
  for (int c = 0; c < pitch; c++) pixels |= (uint64_t)row[near + c] << 8 * c | (uint64_t)row[far + c] << 8 * (pitch + c);
  return pixels;
}

static __attribute__((noinline)) Square square_at(const Part *part, int x, int y) {
  const u8 *top = row_at(part, y), *bottom = row_at(part, y + 1);
  const int near = column_at(part, x), far = column_at(part, x + 1);
  switch (part->pitch) {  // little-endian, as the eight bytes that are read at once
    case 1: return (Square){side_by_side(top, near, far, 1), side_by_side(bottom, near, far, 1)};
    case 3: return (Square){side_by_side(top, near, far, 3), side_by_side(bottom, near, far, 3)};
    default: return (Square){side_by_side(top, near, far, BLENDED), side_by_side(bottom, near, far, BLENDED)};
  }
}

// The squares of pixels that a row of the view lies between, and the shares of the way across and down.
typedef struct {
  uint64_t *tops, *bottoms;
  int32_t *offset;
  int16_t *across, *down;
} Squares;

enum { TOGETHER = 32 };  // pixels that lie inside together or are looked at one by one

static void gather(const Part *part, const Positions *at, int size, const Squares *out) {
  // Eight bytes are read where two pixels lie: not from the last two columns, and not from pixels of one.
  const unsigned inside_x = part->pitch > 1 ? (unsigned)greatest(part->columns - 2, 0) : 0;
  const unsigned inside_y = (unsigned)(part->rows - 1);
  const int bits = at->bits, left = part->left, top = part->top;
  const int32_t pitch = part->pitch, stride = (int32_t)part->stride;
  const u8 *const pixels = part->pixels;
  for (int begin = 0; begin < size; begin += TOGETHER) {
    const int count = least(TOGETHER, size - begin);
    const int32_t *restrict x = at->x + begin, *restrict y = at->y + begin;
    int32_t *restrict offset = out->offset;
    int16_t *restrict across = out->across + begin, *restrict down = out->down + begin;
    uint64_t *restrict tops = out->tops + begin, *restrict bottoms = out->bottoms + begin;
    int outside = part->far;
    for (int i = 0; i < count; i++) {
      outside |= ((unsigned)(x[i] >> bits) >= inside_x) | ((unsigned)(y[i] >> bits) >= inside_y);
      across[i] = (int16_t)((unsigned)x[i] << (MOST_BITS - bits) ^ 32768);
      down[i] = (int16_t)((unsigned)y[i] << (MOST_BITS - bits) ^ 32768);
    }
    if (outside) {
      for (int i = 0; i < count; i++) {
        const int column = x[i] >> bits, row = y[i] >> bits;
        if ((unsigned)column < inside_x && (unsigned)row < inside_y) {
          const u8 *from = pixels + row * part->stride + column * pitch;
          tops[i] = eight_bytes(from);
          bottoms[i] = eight_bytes(from + part->stride);
        } else {
          const Square square = square_at(part, column + left, row + top);
          tops[i] = square.top;
          bottoms[i] = square.bottom;
        }
      }
      continue;
    }
    for (int i = 0; i < count; i++) offset[i] = (y[i] >> bits) * stride + (x[i] >> bits) * pitch;
    for (int i = 0; i < count; i++) {
      const u8 *from = pixels + offset[i];
      tops[i] = eight_bytes(from);
      bottoms[i] = eight_bytes(from + stride);
    }
  }
}

// Of four squares' rows the near and the far pixels, in 128ths. N: a square's byte, as a word.
#define WORD(N) N, 32
#define PIXEL(N) WORD(N), WORD(N + 1), WORD(N + 2), WORD(N + 3)
#define PIXELS_AT(v, N) (Words) __builtin_shufflevector(v, (Bytes){0}, PIXEL(N), PIXEL(N + 8), PIXEL(N + 16), PIXEL(N + 24)) << 7

INLINE Words blended_across(const uint64_t *squares, int pitch, Words share) {
  Bytes v;
  memcpy(&v, squares, sizeof v);
  const Words far = pitch == 1 ? PIXELS_AT(v, 1) : pitch == 3 ? PIXELS_AT(v, 3) : PIXELS_AT(v, 4);
  return blended(PIXELS_AT(v, 0), far, share);
}

// Four shares, each four times.
INLINE Words spread_shares(const int16_t *shares) {
  const Words four = (Words)((Longs){0} + eight_bytes(shares));
  return __builtin_shufflevector(four, four, 0, 0, 0, 0, 1, 1, 1, 1, 10, 10, 10, 10, 11, 11, 11, 11);
}

INLINE void blend_squares(const Squares *squares, int pitch, int count, int16_t *out) {
  for (int x = 0; x < count; x += PIXELS) {  // the tables and `out` go on to whole vectors
    const Words across = spread_shares(squares->across + x);
    const Words mixed = blended(blended_across(squares->tops + x, pitch, across),
                                blended_across(squares->bottoms + x, pitch, across), spread_shares(squares->down + x));
    memcpy(out + BLENDED * x, &mixed, sizeof mixed);
  }
}

INLINE void pick(const Part *part, const Positions *at, int size, int channels, u8 *const out[3]) {
  const unsigned inside_x = (unsigned)part->columns, inside_y = (unsigned)part->rows;
  for (int i = 0; i < size; i++) {
    const int x = at->x[i] >> at->bits, y = at->y[i] >> at->bits;
    const int inside = (unsigned)x < inside_x && (unsigned)y < inside_y;
    const u8 *from = inside ? part->pixels + y * part->stride + x * channels : row_at(part, y) + column_at(part, x);
    for (int c = 0; c < channels; c++) out[c][i] = from[c];
  }
}

static void slanted(Level *level, const Path *path, int columns, int size, int nearest, const Planes *out, Arena *arena,
                    Sums *sums) {
  const int recedes = path->depth[0] != 0 || path->depth[1] != 0, channels = level->channels;
  const size_t padded = (size_t)(size + PIXELS);
  Positions at = {.bits = bits_of(path, recedes, columns, level->rows, size)};
  const Squares squares = {arena_take(arena, 8 * padded), arena_take(arena, 8 * padded), arena_take(arena, 4 * TOGETHER),
                           arena_take(arena, 2 * padded), arena_take(arena, 2 * padded)};
  int16_t *finished = arena_take(arena, 2 * BLENDED * padded);
  if (!take_positions(&at, path, recedes, size, arena)) return;
  Part part = {level->source, level->stride, 0, 0, columns, level->rows, channels, channels, columns, level->rows, 0};
  if (level->factor > 1) {
    int right, below;
    seen(path->x, path->depth, size, columns, &part.left, &right);
    seen(path->y, path->depth, size, level->rows, &part.top, &below);
    part.columns = right - part.left;
    part.rows = below - part.top;
    if (!lay_out(level, part.left, part.columns, arena)) return;
    part.pitch = level->pitch;
    part.stride = (int64_t)part.columns * part.pitch;
    u8 *averaged = arena_take(arena, (size_t)part.stride * (size_t)part.rows);
    if (averaged == NULL) return;
    for (int y = 0; y < part.rows; y++) averaged_row(level, part.top + y, averaged + y * part.stride);
    part.pixels = averaged;
  }
  part.far = fabs((double)part.stride) * part.rows > INT32_MAX;
  const double half = nearest ? 0.0 : 0.5;
  for (int y = 0; y < size; y++) {
    place_row(path, recedes, y, size, part.left + half, part.top + half, &at);
    if (nearest) {
      const size_t row = (size_t)y * (size_t)size;
      if (channels == 1)
        pick(&part, &at, size, 1, (u8 *[3]){out->plane[0] + row});
      else
        pick(&part, &at, size, 3, (u8 *[3]){out->plane[0] + row, out->plane[1] + row, out->plane[2] + row});
      continue;
    }
    gather(&part, &at, size, &squares);
    switch (part.pitch) {
      case 1: blend_squares(&squares, 1, size, finished); break;
      case 3: blend_squares(&squares, 3, size, finished); break;
      default: blend_squares(&squares, BLENDED, size, finished);
    }
    finish(finished, size, channels, y, out, sums);
  }
}

Sums warp(const u8 *source, int h, int w, int64_t stride, int channels, const double matrix[9], double span, int size,
          int nearest, Planes *out, Arena *arena) {
  Sums sums = {0, 0};
  const size_t before = arena->used;
  const double whole = floor(span * least(h, w) / size + 1e-9);  // labels have no average
  const int factor = nearest || !(whole > 1) ? 1 : (int)fmin(whole, greatest(1, least(h, w) / size));
  const int columns = (w + factor - 1) / factor;
  Level level = {.source = source, .h = h, .w = w, .channels = channels, .stride = stride, .factor = factor,
                 .rows = (h + factor - 1) / factor};
  Path path;
  from_pixels(matrix, size, (double)w / factor, path.x);
  from_pixels(matrix + 3, size, (double)h / factor, path.y);
  from_pixels(matrix + 6, size, 1.0, path.depth);
  if (matrix[6] == 0 && matrix[7] == 0)
    for (int i = 0; i < 3; i++) {
      path.x[i] /= matrix[8];
      path.y[i] /= matrix[8];
      path.depth[i] = i == 2;
    }
  if (!nearest && matrix[1] == 0 && matrix[3] == 0 && matrix[6] == 0 && matrix[7] == 0)
    straight(&level, &path, columns, size, out, arena, &sums);
  else
    slanted(&level, &path, columns, size, nearest, out, arena, &sums);
  arena->used = before;
  return sums;
}
