// Colour to targets of its own: what exposure is for tone, for chroma (planning/chroma.py).
#include "plan.h"

#define GREY_CHROMA (3.0 / 255.0)  // up to here a crop is grey and stays so; from twice it on it is coloured

static const double LUMA[3] = {0.299, 0.587, 0.114};
static const double AXES[2][3] = {{1.0, -1.0, 0.0}, {0.5, 0.5, -1.0}};             // red against green, yellow against blue
static const double ALONG[3][2] = {{0.644, 0.114}, {-0.356, 0.114}, {0.144, -0.886}};  // RGB of a unit of each, without luma

enum { RG, YB, STD };  // the operation's parameters

// A crop's colours after a map of RGB: mean chroma (the cast) and the deviation about it, both over mean luma; and how far
// they are from grey, root mean square, in [0, 1] units of the channels.
typedef struct { double cast[2], std, chroma; } Colouring;

// `weights` of the mapped channels as weights of the crop's own.
static void through(const double weights[3], const double *map, int columns, double out[3]) {
  for (int j = 0; j < 3; j++) out[j] = weights[0] * map[j] + weights[1] * map[columns + j] + weights[2] * map[2 * columns + j];
}

static double variance_of(const CropStats *crop, const double weights[3]) {
  double total = 0.0;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) total += weights[i] * weights[j] * crop->covariance[3 * i + j];
  return greater(total, 0.0);
}

static double mean_of(const CropStats *crop, const double weights[3]) {
  return weights[0] * crop->channel_mean[0] + weights[1] * crop->channel_mean[1] + weights[2] * crop->channel_mean[2];
}

static Colouring colouring_of(const CropStats *crop, const double *map, int columns, double offset) {
  double luma[3], squares = 0.0, about = 0.0;
  Colouring found;
  through(LUMA, map, columns, luma);
  double level = greater(mean_of(crop, luma) + offset, 1e-6);
  for (int k = 0; k < 2; k++) {
    double axis[3];
    through(AXES[k], map, columns, axis);
    double mean = mean_of(crop, axis);
    found.cast[k] = mean / level;
    squares += mean * mean + variance_of(crop, axis);
    for (int j = 0; j < 3; j++) axis[j] -= found.cast[k] * luma[j];
    about += variance_of(crop, axis);
  }
  found.std = sqrt(about) / level, found.chroma = sqrt(squares);
  return found;
}

// A target from the policy's range, that of the deviation cut to what its gain reaches.
static Entry target_entry(Draws *draws, int parameter, int drawn, double own) {
  const Operation *op = &draws->policy->operation[CHROMA];
  double low = op->low[parameter], high = op->high[parameter];
  int logarithmic = op->logarithmic[parameter];
  if (parameter == STD) low = lesser(low, op->setting * own), high = lesser(high, op->setting * own);
  Entry entry = {op->identity[parameter], low, high, NOT_DRAWN, drawn};
  if (!drawn && !draws->met) return entry;
  double fraction = within_of(draws, CHROMA, 1 + parameter, low, high, own, logarithmic);
  if (!drawn) return entry;
  entry.value = between(low, high, fraction, logarithmic);
  entry.reason = unrestricted(draws->policy, CHROMA);
  return entry;
}

// The 3 x 3 map that takes what was seen to the targets: y + gain (rgb - y), and a cast that grows with luma y.
static void move_of(const Colouring *seen, const Entry target[3], double m[9]) {
  double gain = target[STD].value / seen->std;
  double cast[2] = {target[RG].value - gain * seen->cast[RG], target[YB].value - gain * seen->cast[YB]};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      m[3 * i + j] = gain * (i == j) + (1.0 - gain + ALONG[i][RG] * cast[RG] + ALONG[i][YB] * cast[YB]) * LUMA[j];
}

// The greatest share of the way from the crop's own colours to the moved ones at which no more samples clip than allowed:
// each leaves the range at a share of its own, so it is one of these.
static double share_of(const CropStats *crop, const double map[12], const double move[9], const Limits *limits) {
  double leaves[SAMPLES_MOST];
  int count = crop->samples, allowed = (int)(0.8 * limits->promise->clip * count);  // 0.8: the samples are a part of the pixels
  for (int i = 0; i < count; i++) {
    double from[3], share = 1.0;
    for (int k = 0; k < 3; k++)
      from[k] = map[4 * k] * crop->sample[0][i] + map[4 * k + 1] * crop->sample[1][i] + map[4 * k + 2] * crop->sample[2][i] + map[4 * k + 3];
    for (int k = 0; k < 3 && !crop->clipped[i]; k++) {
      double to = move[3 * k] * from[0] + move[3 * k + 1] * from[1] + move[3 * k + 2] * from[2];
      if (from[k] > TOP || from[k] < BOTTOM) share = 0.0;
      else if (to > TOP) share = lesser(share, (TOP - from[k]) / (to - from[k]));
      else if (to < BOTTOM) share = lesser(share, (from[k] - BOTTOM) / (from[k] - to));
    }
    leaves[i] = share;
  }
  return ranked(leaves, count, allowed);
}

void plan_chroma(const CropStats *crop, Draws *draws, const double colour[9], const Limits *limits, Report *report) {
  const Operation *op = &draws->policy->operation[CHROMA];
  if (!op->present) return;
  double *map = report->colour, chroma = colouring_of(crop, colour, 3, 0.0).chroma;
  double share = clamp(chroma / GREY_CHROMA - 1.0, 0.0, 1.0);
  int drawn = applied_of(draws, CHROMA), reason = GREY_STAYS;
  Colouring seen = colouring_of(crop, map, 4, map[3]);
  seen.std = greater(seen.std, 1e-6);
  Entry *entry = report->entry[CHROMA];
  double own[3] = {seen.cast[RG], seen.cast[YB], seen.std};
  for (int k = 0; k < 3; k++) entry[k] = target_entry(draws, k, drawn, own[k]);
  report->evidence[CROP_CHROMA] = chroma, report->evidence[CHROMA_SHARE] = 0.0;
  if (!drawn) return;
  double move[9], moved[12];
  move_of(&seen, entry, move);
  if (limits && op->guard) {
    double room = share_of(crop, map, move, limits);
    if (room < share) share = room, reason = COLOUR_CLIPS;
  }
  report->evidence[CHROMA_SHARE] = share;
  for (int k = 0; k < 3 && share < 1.0; k++) {
    entry[k].value = own[k] + share * (entry[k].value - own[k]), entry[k].reason = reason;
    if (reason == GREY_STAYS && share == 0.0) entry[k].value = op->identity[k], entry[k].applied = 0;
  }
  for (int i = 0; i < 9; i++) move[i] = (i % 4 == 0) + share * (move[i] - (i % 4 == 0));
  for (int i = 0; i < 12; i++) moved[i] = move[i / 4 * 3] * map[i % 4] + move[i / 4 * 3 + 1] * map[4 + i % 4] + move[i / 4 * 3 + 2] * map[8 + i % 4];
  for (int i = 0; i < 12; i++) map[i] = moved[i];
}
