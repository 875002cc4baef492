// Pixels -> statistics (stats/image.py, stats/crop.py). Every one is made of whole sums over levels, exact in any order.
#include "measure.h"
#include <stdlib.h>
#include <string.h>

enum { ANALYSIS = 256 };  // longer side on which an image is described

static void moments(Sums sums, double count, double *mean, double *std) {
  double average = (double)sums.sum / count;
  *mean = average / 255.0;
  *std = sqrt(greater((double)sums.square / count - average * average, 0.0)) / 255.0;
}

void crop_moments(Sums sums, int size, double *mean, double *std) { moments(sums, (double)size * size, mean, std); }

// --- whole images -----------------------------------------------------------------------------------------------------
static int larger_of(int a, int b) { return a > b ? a : b; }
static int smaller_of(int a, int b) { return a < b ? a : b; }

static Plane reduced(Plane plane, int longest, Arena *arena) {
  int factor = (larger_of(plane.rows, plane.columns) + longest - 1) / longest;
  if (factor == 1) return plane;
  Plane out = {0, (plane.rows + factor - 1) / factor, (plane.columns + factor - 1) / factor};
  out.levels = arena_take(arena, (size_t)out.rows * out.columns);
  if (out.levels) box_plane(plane.levels, plane.rows, plane.columns, factor, out.levels, arena);
  return out;
}

// Every step-th pixel of an image of 1024 px and more, so that 512 to 1023 are left.
static int sampling_step(int h, int w) {
  int step = larger_of(1, larger_of(h, w) / (2 * ANALYSIS));
  return smaller_of(step, smaller_of(h, w));
}

// The byte behind a pixel is moved with it, and written over by the next; `out` has room for one more.
static void sampled_row(const u8 *row, int step, int count, u8 *out) {
  for (int x = 0; x < count - 1; x++, row += 3 * step, out += 3) memcpy(out, row, 4);
  memcpy(out, row, 3);
}

static void running_sums(Plane thumb, ImageStats *stats) {
  int stride = thumb.columns + 1;
  for (int x = 0; x < stride; x++) stats->luma[x] = stats->square[x] = stats->detail[x] = 0.0;
  for (int y = 0; y < thumb.rows; y++) {
    const u8 *row = thumb.levels + (size_t)y * thumb.columns;
    double luma = 0, square = 0, detail = 0;
    int at = (y + 1) * stride;
    stats->luma[at] = stats->square[at] = stats->detail[at] = 0.0;
    for (int x = 0; x < thumb.columns; x++) {
      int level = row[x], right = x + 1 < thumb.columns ? row[x + 1] - level : 0, below = y + 1 < thumb.rows ? row[x + thumb.columns] - level : 0;
      luma += level, square += level * level, detail += right * right + below * below;
      stats->luma[at + x + 1] = stats->luma[at + x + 1 - stride] + luma;
      stats->square[at + x + 1] = stats->square[at + x + 1 - stride] + square;
      stats->detail[at + x + 1] = stats->detail[at + x + 1 - stride] + detail;
    }
  }
  stats->detail_total = stats->detail[thumb.rows * stride + thumb.columns];
}

// The share of the detail in each of 8 x 8 cells; uniform where there is none.
static void detail_map(ImageStats *stats) {
  int ys[MAP_CELLS + 1], xs[MAP_CELLS + 1], stride = stats->columns + 1;
  double total = 0.0;
  for (int i = 0; i <= MAP_CELLS; i++) ys[i] = (int)rint((double)i / MAP_CELLS * stats->rows), xs[i] = (int)rint((double)i / MAP_CELLS * stats->columns);
  for (int j = 0; j < MAP_CELLS; j++)
    for (int i = 0; i < MAP_CELLS; i++) {
      const double *d = stats->detail;
      double cell = d[ys[j + 1] * stride + xs[i + 1]] - d[ys[j] * stride + xs[i + 1]] - d[ys[j + 1] * stride + xs[i]] + d[ys[j] * stride + xs[i]];
      stats->detail_map[MAP_CELLS * j + i] = cell;
      total += cell;
    }
  for (int i = 0; i < MAP_CELLS * MAP_CELLS; i++) stats->detail_map[i] = total > 0.0 ? stats->detail_map[i] / total : 1.0 / (MAP_CELLS * MAP_CELLS);
}

// --- what conditional weights ask for ---------------------------------------------------------------------------------
void tone_statistics(Plane luma, double *statistic) {
  int64_t histogram[256] = {0};
  double count = (double)luma.rows * luma.columns, dark = 0, bright = 0, entropy = 0;
  for (size_t i = 0; i < (size_t)luma.rows * luma.columns; i++) histogram[luma.levels[i]]++;
  for (int i = 0; i < 256; i++) {
    if (i <= 12) dark += (double)histogram[i];     // luma below .05
    if (i >= 243) bright += (double)histogram[i];  // above .95
  }
  for (int bin = 0; bin < 32; bin++) {
    int64_t in_bin = 0;
    for (int i = 0; i < 8; i++) in_bin += histogram[8 * bin + i];
    double share = (double)in_bin / count;
    if (in_bin) entropy -= share * log2(share);
  }
  statistic[DARK_FRACTION] = dark / count, statistic[BRIGHT_FRACTION] = bright / count, statistic[ENTROPY] = entropy;
}

// Mean chroma, and colourfulness by Hasler and Suesstrunk, over the thumbnail's colours.
void colour_statistics(const u8 *rgb, int h, int w, int64_t stride, double *statistic, Arena *arena) {
  int step = sampling_step(h, w), rows = h / step, columns = w / step;
  size_t kept = arena->used, count = (size_t)rows * columns;
  Plane channel[3];
  u8 *line = arena_take(arena, 3 * (size_t)columns), *planes[3];
  for (int k = 0; k < 3; k++) planes[k] = arena_take(arena, count);
  if (arena->failed) return;
  for (int y = 0; y < rows; y++) {
    u8 *to[3] = {planes[0] + (size_t)y * columns, planes[1] + (size_t)y * columns, planes[2] + (size_t)y * columns};
    sampled_row(rgb + (int64_t)y * step * stride, step, columns, line);
    deinterleave(line, columns, to);
  }
  for (int k = 0; k < 3; k++) {
    Plane whole = {planes[k], rows, columns};
    channel[k] = reduced(reduced(whole, ANALYSIS, arena), THUMB, arena);
  }
  if (arena->failed) return;
  double total[5] = {0}, n = (double)channel[0].rows * channel[0].columns;
  for (size_t i = 0; i < (size_t)channel[0].rows * channel[0].columns; i++) {
    double r = channel[0].levels[i], g = channel[1].levels[i], b = channel[2].levels[i], rg = r - g, yb = 0.5 * (r + g) - b;
    total[0] += rg, total[1] += yb, total[2] += rg * rg, total[3] += yb * yb, total[4] += sqrt(rg * rg + yb * yb);
  }
  for (int i = 0; i < 5; i++) total[i] /= n;
  double spread = sqrt(greater(total[2] - total[0] * total[0] + total[3] - total[1] * total[1], 0.0));
  statistic[CHROMA_STATISTIC] = total[4] / 255.0;
  statistic[COLOURFULNESS] = spread + 0.3 * sqrt(total[0] * total[0] + total[1] * total[1]);
  arena->used = kept;
}

// The level that half of those counted lie below.
static int median(const int *histogram, int count) {
  int below = 0, level = 0;
  while (below + histogram[level] <= count / 2) below += histogram[level++];
  return level;
}

void composition_statistics(const ImageStats *stats, Plane thumb, double *statistic) {
  double x = 0, y = 0, away = 0;
  for (int i = 0; i < MAP_CELLS * MAP_CELLS; i++) x += stats->detail_map[i] * ((i % MAP_CELLS + 0.5) / MAP_CELLS), y += stats->detail_map[i] * ((i / MAP_CELLS + 0.5) / MAP_CELLS);
  for (int i = 0; i < MAP_CELLS * MAP_CELLS; i++) {
    double dx = (i % MAP_CELLS + 0.5) / MAP_CELLS - x, dy = (i / MAP_CELLS + 0.5) / MAP_CELLS - y;
    away += stats->detail_map[i] * (dx * dx + dy * dy);
  }
  statistic[SPREAD] = sqrt(away);
  double count = (double)thumb.rows * thumb.columns;
  statistic[SHARPNESS_STATISTIC] = stats->detail_total / count / (255.0 * 255.0) / greater(stats->contrast * stats->contrast, 1e-6);
  int ring[256] = {0}, top[256] = {0}, around = 0, last = thumb.columns - 1;
  for (int j = 0; j < thumb.columns; j++) ring[thumb.levels[j]]++, top[thumb.levels[j]]++, ring[thumb.levels[(size_t)(thumb.rows - 1) * thumb.columns + j]]++;
  for (int i = 1; i < thumb.rows - 1; i++) ring[thumb.levels[(size_t)i * thumb.columns]]++, ring[thumb.levels[(size_t)i * thumb.columns + last]]++;
  for (int i = 0; i < 256; i++) around += ring[i];
  int middle = median(ring, around), uniform = 0, background = median(top, thumb.columns);
  for (int i = 0; i < 256; i++) if (abs(i - middle) <= 12) uniform += ring[i];  // .05 * 255
  int64_t foreground = 0;
  for (size_t i = 0; i < (size_t)thumb.rows * thumb.columns; i++) foreground += abs(thumb.levels[i] - background) > 38;  // .15 * 255
  statistic[BORDER_UNIFORMITY] = (double)uniform / around;
  statistic[FOREGROUND_FRACTION] = (double)foreground / count;
}

int measure_image(const u8 *rgb, int h, int w, int64_t stride, int all, const Routing *routing, ImageStats *stats, Arena *arena) {
  size_t kept = arena->used;
  int step = sampling_step(h, w);
  Plane plane = {0, h / step, w / step};
  u8 *line = arena_take(arena, 3 * (size_t)plane.columns);
  plane.levels = arena_take(arena, (size_t)plane.rows * plane.columns);
  if (arena->failed) return -1;
  Sums sums = {0, 0};
  if (step == 1 && stride == 3 * (int64_t)w) luma_of_row(rgb, h * w, plane.levels, &sums);  // without gaps: one row
  else for (int y = 0; y < plane.rows; y++) {
    const u8 *row = rgb + (int64_t)y * step * stride;
    if (step > 1) sampled_row(row, step, plane.columns, line), row = line;
    luma_of_row(row, plane.columns, plane.levels + (size_t)y * plane.columns, &sums);
  }
  double unused;
  stats->height = h, stats->width = w;
  moments(sums, (double)plane.rows * plane.columns, &unused, &stats->fine_contrast);
  Plane luma = reduced(plane, ANALYSIS, arena);
  if (arena->failed) return -1;
  if (luma.levels != plane.levels) sums = sums_of(luma.levels, (size_t)luma.rows * luma.columns);
  moments(sums, (double)luma.rows * luma.columns, &stats->mean, &stats->contrast);
  Plane thumb = reduced(luma, THUMB, arena);
  if (arena->failed) return -1;
  if (thumb.levels != luma.levels) sums = sums_of(thumb.levels, (size_t)thumb.rows * thumb.columns);
  moments(sums, (double)thumb.rows * thumb.columns, &unused, &stats->coarse_contrast);
  stats->rows = thumb.rows, stats->columns = thumb.columns;
  running_sums(thumb, stats);
  detail_map(stats);
  if (all) {
    for (int i = 0; i < STATISTICS; i++) stats->statistic[i] = NAN;
    stats->statistic[MEAN] = stats->mean, stats->statistic[CONTRAST_STATISTIC] = stats->contrast;
    tone_statistics(luma, stats->statistic);
    composition_statistics(stats, thumb, stats->statistic);
    colour_statistics(rgb, h, w, stride, stats->statistic, arena);
  }
  stats->route = 0;
  if (routing) {
    Measured image = {rgb, h, w, stride, luma, thumb};
    stats->route = route_of(routing, &image, stats, arena);
  }
  arena->used = kept;
  return arena->failed ? -1 : 0;
}

// --- crops ------------------------------------------------------------------------------------------------------------
// A crop's colours on a grid of 16 x 16 pixels, or up to twice as many a side, and their covariances.
void sample_crop(const Planes *crop, int size, CropStats *stats) {
  int step = larger_of(1, size / 16), count = 0;
  int64_t sum[3] = {0}, product[3][3] = {{0}};
  for (int y = 0; y < size; y += step)
    for (int x = 0; x < size; x += step, count++) {
      int level[3];
      for (int k = 0; k < 3; k++) {
        level[k] = crop->plane[k][(size_t)y * size + x];
        stats->sample[k][count] = level[k] / 255.0;
        sum[k] += level[k];
      }
      for (int j = 0; j < 3; j++) for (int k = j; k < 3; k++) product[j][k] += level[j] * level[k];
      stats->clipped[count] = level[0] == 0 || level[1] == 0 || level[2] == 0 || level[0] == 255 || level[1] == 255 || level[2] == 255;
    }
  static const double LUMA[3] = {0.299, 0.587, 0.114};
  double unit = (255.0 * count) * (255.0 * count), variance = 0.0, channels = 0.0;
  for (int j = 0; j < 3; j++)
    for (int k = 0; k < 3; k++) {
      double covariance = (double)(product[j < k ? j : k][j < k ? k : j] * count - sum[j] * sum[k]) / unit;
      stats->covariance[3 * j + k] = covariance;
      variance += covariance * LUMA[j] * LUMA[k];
      if (j == k) channels += covariance;
    }
  for (int k = 0; k < 3; k++) stats->channel_mean[k] = (double)sum[k] / (255.0 * count);
  stats->samples = count;
  stats->sampled_mean = ((double)sum[0] * LUMA[0] + (double)sum[1] * LUMA[1] + (double)sum[2] * LUMA[2]) / (255.0 * count);
  stats->sampled_variance = variance;
  stats->luma_share = variance / greater(channels / 3.0, 1e-9);
}

// Correlation length of luma in pixels of the view, from the correlation of neighbours.
double crop_reach(const u8 *luma, int size, double std) {
  double step = (double)squared_steps(luma, size) / (2.0 * size * (size - 1) * 255.0 * 255.0);
  double correlation = 1.0 - step / greater(2.0 * std * std, 1e-9);
  return -1.0 / log(clamp(correlation, 0.05, 0.999));
}
