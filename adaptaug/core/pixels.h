// Pixels: what a view is made of, kernel by kernel. Nothing here draws, plans or knows a policy.
//
// A source is interleaved 8-bit RGB with a row stride in bytes. A view is four planes of S x S bytes: R, G, B and luma.
// Luma is (9798 R + 19235 G + 3735 B + 2^14) >> 15. All sums are of whole numbers, exact in any order, so that a key
// gives the same bits in any batch, on any thread and with any width of vectors. No intrinsics: loops that a compiler
// vectorises, and clang's and gcc's vector extensions where that is not enough.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;

// Memory for one thread's work, handed out from the front, all of it at once given back. Blocks are aligned to 64 bytes
// and have 64 bytes behind them that may be read and written.
typedef struct { u8 *start; size_t room, used; int failed; } Arena;
void *arena_take(Arena *arena, size_t bytes);  // NULL, and `failed`, where there is no memory

typedef struct { u8 *plane[4]; } Planes;       // R, G, B, luma: `size` x `size` each
typedef struct { int64_t sum, square; } Sums;  // of a plane's levels and of their squares

// --- levels.c: levels in, levels and whole sums out -----------------------------------------------------------------
// Luma of `count` interleaved pixels; their sums are added to `sums`.
void luma_of_row(const u8 *rgb, int count, u8 *luma, Sums *sums);
// Luma of three planes, likewise.
void luma_of_planes(const Planes *view, int count, Sums *sums);
Sums sums_of(const u8 *plane, size_t count);
// sum of a[i] * b[i]
int64_t product_of(const u8 *a, const u8 *b, size_t count);
// Averages of factor x factor boxes of an h x w plane, edges repeated to fill the last box; an even factor halves first
// and rounds in between: the very numbers of levels.box_reduce in torch. Returns nothing; the result is
// ceil(h / factor) x ceil(w / factor).
void box_plane(const u8 *plane, int h, int w, int factor, u8 *out, Arena *arena);
// Sum of the squared steps to the right and below in a size x size plane.
int64_t squared_steps(const u8 *plane, int size);
// table[level] in R, G and B (luma is left as it was).
void apply_table(Planes *view, int count, const u8 table[256]);
// What a colour map did, as the certificate wants it.
typedef struct { Sums luma; int64_t product; int64_t ended; } Toned;  // product with the crop's luma; pixels with a channel at 0 or 255
// out = clip(round(map * [r, g, b, 255])) with map 3 x 4 row-major; its luma too. In and out may be one.
Toned colour_map(const Planes *in, const u8 *crop_luma, const double map[12], int count, Planes *out);
// The same sums of a view whose pixels stand already (its luma is worked out).
Toned toned_sums(Planes *view, const u8 *crop_luma, int count);
int64_t ended_pixels(const Planes *view, int count);                        // with a channel at 0 or 255
int64_t newly_ended(const Planes *view, const Planes *crop, int count);     // there in the view, none there in the crop
// view = crop + trunc(strength (view - crop)) in R, G and B, 0 <= strength < 1, in float32 as torch does
void blend(Planes *view, const Planes *crop, int count, double strength);
// Near-normal grain of ops.noise_levels, added to R, G and B alike, rounded to even as torch.round, clipped.
void add_noise(Planes *view, int size, int64_t seed, double sigma);
// The rectangle [left, left + width) x [top, top + height) becomes each channel's rounded mean over the whole view.
void erase_box(Planes *view, int size, int left, int top, int width, int height);
// Planes <-> interleaved rows; finished floats out = level * scale[channel] + offset[channel], channel after channel.
void interleave(const u8 *const plane[3], size_t count, u8 *rgb);
void deinterleave(const u8 *rgb, size_t count, u8 *const plane[3]);
void as_floats(const u8 *const plane[3], size_t count, const float scale[3], const float offset[3], float *out);

// --- warp.c -----------------------------------------------------------------------------------------------------------
// One warp of an h x w source of 1 or 3 interleaved channels with `stride` bytes a row: the average of whole boxes of
// max(1, floor(span * min(h, w) / size + 1e-9)) pixels a side (1 with `nearest`), of the part that is seen alone, then
// bilinear (or the nearest pixel) at the positions of device/engine.py's `warp`, what lies outside mirrored.
// `matrix`: 3 x 3 row-major, from the view's [-1, 1] square to the source's [0, 1] frame; perspective where its last row
// is not 0 0 1 (times any number). Writes `channels` planes, and with 3 channels and not `nearest` the luma, whose sums
// are returned (else zeros).
Sums warp(const u8 *source, int h, int w, int64_t stride, int channels, const double matrix[9], double span, int size,
          int nearest, Planes *out, Arena *arena);

// --- filters.c --------------------------------------------------------------------------------------------------------
// Gaussian blur of R, G and B: ops.blur_kernel_size(size) taps, mirrored at the border without repeating it, at least 16
// bits between the passes, rounded once at the end. Luma is left as it was. In and out are different.
void blur(const Planes *in, int size, double sigma, Planes *out, Arena *arena);
// in + amount (in - smooth), smooth by [[1,1,1],[1,5,1],[1,1,1]] / 13, mirrored likewise, clipped and rounded.
void sharpen(const Planes *in, int size, double amount, Planes *out, Arena *arena);
