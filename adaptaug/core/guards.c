// Statistics -> safe ranges: the promise's limits (promise/guards.py states it).
#include "plan.h"

#define DARK_SOURCE 0.25    // beyond these a view never goes further out than its own crop
#define BRIGHT_SOURCE 0.75
#define FLAT 0.05           // std of a source below which it is looked at more closely

Limits limits_of(const Policy *policy, double frame_mean, double frame_std, double image_mean) {
  Limits limits = {
    .std = lesser(frame_std * policy->std_share, policy->std),
    .low = lesser(frame_mean, policy->dark), .high = greater(frame_mean, policy->bright), .own = image_mean,
    .dark = image_mean < DARK_SOURCE, .bright = image_mean > BRIGHT_SOURCE, .promise = policy,
  };
  return limits;
}

// The limits without the full frame, of an image neither small, flat, dark nor bright; 0 where the frame must be looked
// at. Averaged over as much as a thumbnail's pixel nothing may look flat: noise does, and the frame of a small view.
int quick_limits(const ImageStats *stats, const Policy *policy, Limits *limits) {
  int shorter = stats->height < stats->width ? stats->height : stats->width;
  if (shorter < 2 * stats->columns || stats->coarse_contrast < FLAT) return 0;
  if (!(policy->dark + FLAT < stats->mean && stats->mean < policy->bright - FLAT)) return 0;
  *limits = limits_of(policy, 0.5, stats->fine_contrast, stats->mean);
  return 1;
}

// The least affine shift of tone that brings a crop's mean into the promised range: scale, offset.
void lift_of(double mean, const Limits *limits, double lift[2]) {
  double margin = 0.3 * LEVEL;  // rounding to levels may not undo it
  double up = clamp((limits->low + margin - mean) / greater(1.0 - mean, 1e-6), 0.0, 1.0);
  double down = clamp(1.0 - (limits->high - margin) / greater(mean, 1e-6), 0.0, 1.0);
  if (!(mean < limits->low)) up = 0.0;
  if (!(mean > limits->high)) down = 0.0;
  lift[0] = (1.0 - up) * (1.0 - down);
  lift[1] = up;
}

// Whether a filtered crop already breaks the promise, so that its tone must move even if none was drawn.
int needs_repair(const CropStats *crop, const Limits *limits) {
  if (crop->mean < limits->low || crop->mean > limits->high || crop->std < limits->std) return 1;
  return (limits->dark && crop->mean < limits->own - 0.5 * LEVEL) || (limits->bright && crop->mean > limits->own + 0.5 * LEVEL);
}
