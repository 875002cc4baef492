// Pixels -> statistics.
#pragma once
#include "pixels.h"
#include "plan.h"

typedef struct { u8 *levels; int rows, columns; } Plane;
typedef struct { const u8 *rgb; int h, w; int64_t stride; Plane luma, thumb; } Measured;  // an image and its luma, at 256 and 64 px

// Statistics of an h x w interleaved RGB image; with `all` those that conditional weights ask for, too, and with
// `routing` its route. -1: no memory.
int measure_image(const u8 *rgb, int h, int w, int64_t stride, int all, const Routing *routing, ImageStats *stats, Arena *arena);
void tone_statistics(Plane luma, double *statistic);
void colour_statistics(const u8 *rgb, int h, int w, int64_t stride, double *statistic, Arena *arena);
void composition_statistics(const ImageStats *stats, Plane thumb, double *statistic);
int route_of(const Routing *routing, const Measured *image, ImageStats *stats, Arena *arena);  // subject.c
void crop_moments(Sums sums, int size, double *mean, double *std);
void sample_crop(const Planes *crop, int size, CropStats *stats);  // all but mean, std and reach
double crop_reach(const u8 *luma, int size, double std);
