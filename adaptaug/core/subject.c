// Which route an image takes (policy/routes.py), and the statistics that tell its subject (stats/subject.py). A statistic is
// worked out when a rule asks for it: a photograph that fails the first limit of a rule costs no more than that.
#include "measure.h"
#include <string.h>

enum { CELL = 8, LEAST_RANGE = 40, LONGEST = 256 };

// Otsu's two classes of luma: their share of the variance, and the highest level of the lower one.
static int two_levels(const int64_t counts[256], int64_t all, double *share) {
  double n = (double)all, whole = 0, squares = 0, total = 0, sum = 0, most = 0;
  int highest = 0;
  for (int i = 0; i < 256; i++) whole += (double)counts[i] * i, squares += (double)counts[i] * i * i;
  for (int i = 0; i < 256; i++) {
    total += (double)counts[i], sum += (double)counts[i] * i;
    double both = total * (n - total), apart = n * sum - total * whole, criterion = both > 0 ? apart * apart / both : 0.0;
    if (criterion > most) most = criterion, highest = i;
  }
  double variance = n * squares - whole * whole;
  *share = variance > 0 ? most / greater(variance, 1.0) : 0.0;
  return variance > 0 ? highest : -1;
}

// Pieces of the rarer level that the rows and columns meet which meet any.
static double strokes_of(Plane luma, int highest, int64_t below) {
  uint8_t inside[LONGEST] = {0};
  int32_t column[LONGEST] = {0};
  int few = 2 * below < (int64_t)luma.rows * luma.columns;
  int64_t pieces = 0, lines = 0;
  for (int y = 0; y < luma.rows; y++) {
    const u8 *row = luma.levels + (size_t)y * luma.columns;
    int before = 0, met = 0;
    for (int x = 0; x < luma.columns; x++) {
      int rare = (row[x] <= highest) == few;
      met += rare & !before, column[x] += rare & !inside[x];
      before = rare, inside[x] = (uint8_t)rare;
    }
    pieces += met, lines += met > 0;
  }
  for (int x = 0; x < luma.columns; x++) pieces += column[x], lines += column[x] > 0;
  return (double)pieces / greater((double)lines, 1.0);
}

static void level_statistics(Plane luma, double *statistic) {
  int64_t counts[256] = {0}, all = (int64_t)luma.rows * luma.columns, below = 0;
  for (int64_t i = 0; i < all; i++) counts[luma.levels[i]]++;
  int highest = two_levels(counts, all, &statistic[LEVELS]);
  for (int i = 0; i <= highest; i++) below += counts[i];
  statistic[BLACK] = (double)counts[0] / (double)all;
  statistic[STROKES] = highest < 0 ? 0.0 : strokes_of(luma, highest, below);
}

// How far the means of the cells lie above the middle of their ranges.
static double ink_of(Plane luma) {
  int64_t ranges = 0, above = 0;
  for (int y = 0; y + CELL <= luma.rows; y += CELL) {
    u8 most[LONGEST], least[LONGEST];
    uint16_t sum[LONGEST] = {0};
    memset(most, 0, sizeof most), memset(least, 255, sizeof least);
    for (int j = 0; j < CELL; j++) {
      const u8 *row = luma.levels + (size_t)(y + j) * luma.columns;
      for (int x = 0; x < luma.columns; x++) {
        u8 level = row[x];
        most[x] = level > most[x] ? level : most[x], least[x] = level < least[x] ? level : least[x];
        sum[x] = (uint16_t)(sum[x] + level);
      }
    }
    for (int x = 0; x + CELL <= luma.columns; x += CELL) {
      int high = 0, low = 255, total = 0;
      for (int i = x; i < x + CELL; i++) {
        high = most[i] > high ? most[i] : high, low = least[i] < low ? least[i] : low;
        total += sum[i];
      }
      if (high - low < LEAST_RANGE) continue;
      ranges += high - low, above += 2 * total - CELL * CELL * (high + low);
    }
  }
  return (double)above / greater(CELL * CELL * (double)ranges, 2.0);
}

static double statistic_of(int which, const Measured *image, ImageStats *stats, Arena *arena) {
  if (stats->measured[which]) return stats->statistic[which];
  double found[RULED];  // with those that come together; NaN: not asked for
  for (int i = 0; i < RULED; i++) found[i] = NAN;
  if (which == MEAN) found[MEAN] = stats->mean;
  else if (which == CONTRAST_STATISTIC) found[CONTRAST_STATISTIC] = stats->contrast;
  else if (which <= ENTROPY) tone_statistics(image->luma, found);
  else if (which <= COLOURFULNESS) colour_statistics(image->rgb, image->h, image->w, image->stride, found, arena);
  else if (which < STATISTICS) {
    composition_statistics(stats, image->thumb, found);
    if (isnan(found[which])) tone_statistics(image->luma, found);
    if (isnan(found[which])) colour_statistics(image->rgb, image->h, image->w, image->stride, found, arena);
  }
  else if (which == INK) found[INK] = ink_of(image->luma);
  else level_statistics(image->luma, found);
  for (int i = 0; i < RULED; i++) if (!isnan(found[i])) stats->statistic[i] = found[i], stats->measured[i] = 1;
  return stats->statistic[which];
}

int route_of(const Routing *routing, const Measured *image, ImageStats *stats, Arena *arena) {
  memset(stats->measured, 0, sizeof stats->measured);
  for (int i = 0; i < routing->count - 1; i++) {
    const Rule *rule = &routing->rule[i];
    int holds = 1;
    for (int k = 0; k < rule->count && holds; k++) {
      double value = statistic_of(rule->order[k], image, stats, arena);
      holds = value >= rule->low[rule->order[k]] && value <= rule->high[rule->order[k]];
    }
    if (holds) return i;
  }
  return routing->count - 1;
}
