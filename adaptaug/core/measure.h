// Pixels -> statistics.
#pragma once
#include "pixels.h"
#include "plan.h"

// Statistics of an h x w interleaved RGB image; with `all` those that conditional weights ask for, too. -1: no memory.
int measure_image(const u8 *rgb, int h, int w, int64_t stride, int all, ImageStats *stats, Arena *arena);
void crop_moments(Sums sums, int size, double *mean, double *std);
void sample_crop(const Planes *crop, int size, CropStats *stats);  // all but mean, std and reach
double crop_reach(const u8 *luma, int size, double std);
