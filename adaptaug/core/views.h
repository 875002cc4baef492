// What Python calls: images in, views and what was decided out.
#pragma once
#include "pixels.h"
#include "build.h"
#include "plan.h"



typedef struct {  // `count` images of one size, 8 bits a channel
  const u8 *pixels;
  int64_t image_stride, row_stride;      // in bytes
  int32_t count, height, width, channels, planar, unused;  // planar: (3, h, w) or (1, h, w) without gaps; else rows of pixels
} Source;

enum { INTERLEAVED, PLANAR, FLOATS };
typedef struct {  // one view of every image
  void *pixels;
  int64_t image_stride;                  // in elements
  int32_t form, channels;                // channels: 1 writes luma (replay of a mask: the one that there is)
  float scale[3], offset[3];             // floats: level * scale + offset
} Output;

// Views `first` .. `first + views - 1` of images start .. stop - 1. `policies`: of view 0 and of every other, one
// such pair a route; `routing` says which an image takes, NULL: there is one. `keys`: (count, 3); `moves`: one an image or NULL; `outputs`: one a view; `reports`: (count, views) or NULL.
// Returns 0, or -1 where there is no memory.
CORE_API int core_views(const Source *source, const Policy *policies, const Routing *routing, const int64_t *keys, const Moves *moves, int start, int stop,
                      int first, int views, int size, const Output *outputs, Report *reports);
// The view that a report describes, measuring nothing; without `tone` the geometry alone, by the nearest pixel if asked.
CORE_API int core_replay(const Source *source, const Policy *policy, const Report *reports, int start, int stop, int size, int nearest,
                       int tone, const Output *output);
// (count, STATISTICS) of each image.
CORE_API int core_measure(const Source *source, int start, int stop, double *statistics);
// The drawn crops' shorter side in pixels over some views, the worse way up: before any guard, which only enlarges.
CORE_API double core_shortest_side(const Policy policies[2], const int64_t key[3], int first, int views, int width, int height);
// Width and height of a JPEG whose pixels are grey or three channels, and whether it has metadata (APP1, APP2, APP13):
// 0, or -1 where it is none.
CORE_API int core_jpeg_size(const u8 *data, int64_t length, int32_t size[3]);
// For the tests that hold planning here to planning in Python: round one of an image, and round two of given crops.
CORE_API int core_plan(const Source *source, const Policy policies[2], const int64_t *keys, const Moves *moves, int view, int size,
                     const u8 *crops, const double *limits, Report *reports);
CORE_API int core_operations(void);        // a bit for each slot that is known here
