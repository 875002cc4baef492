// The one path from an image to its views: measure, plan where, warp, measure, plan how, render, certify.
#include "views.h"
#include <stdlib.h>
#include <string.h>
#include "measure.h"

// --- memory: an arena a thread, kept between calls ----------------------------------------------------------------------
// Taken and given back by atomic exchange, so that a process forked in between can lose one but never waits for it.
enum { KEPT_ARENAS = 64 };
#define KEPT_BYTES ((size_t)64 << 20)  // a larger one is not kept
static Arena *kept_arenas[KEPT_ARENAS];

static Arena *borrow_arena(size_t room) {
  Arena *arena = NULL;
  for (int i = 0; i < KEPT_ARENAS && !arena; i++) arena = __atomic_exchange_n(&kept_arenas[i], NULL, __ATOMIC_ACQ_REL);
  if (!arena) arena = calloc(1, sizeof *arena);
  if (!arena) return NULL;
  if (arena->room < room) {
    free(arena->start);
    arena->room = (room + 4095) / 4096 * 4096;
    arena->start = malloc(arena->room);
    if (!arena->start) {
      free(arena);
      return NULL;
    }
  }
  arena->used = 0, arena->failed = 0;
  return arena;
}

static void return_arena(Arena *arena) {
  for (int i = 0; i < KEPT_ARENAS && arena->room <= KEPT_BYTES; i++) {
    Arena *none = NULL;
    if (__atomic_compare_exchange_n(&kept_arenas[i], &none, arena, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return;
  }
  free(arena->start);
  free(arena);
}

// Enough for an image's own copy, its planes at 256 to 1023 px, a warp's averaged part, and four views.
static size_t room_for(const Source *source, int size) {
  size_t pixels = (size_t)source->height * source->width, longest = source->height > source->width ? source->height : source->width;
  size_t view = (size_t)size * size + 128, sampled = pixels < 1100000 ? pixels : 1100000;
  return 3 * pixels + 8 * sampled + 4 * pixels + 64 * longest + 40 * view + 64 * (size_t)size + (1 << 20);
}

// --- images -------------------------------------------------------------------------------------------------------------
typedef struct { const u8 *rgb; int64_t stride; } Image;  // interleaved, three channels

static Image interleaved(const Source *source, int index, Arena *arena) {
  const u8 *own = source->pixels + index * source->image_stride;
  if (!source->planar && source->channels == 3) return (Image){own, source->row_stride};
  size_t count = (size_t)source->height * source->width;
  u8 *rgb = arena_take(arena, 3 * count);
  if (!rgb) return (Image){NULL, 0};
  if (source->planar) {
    const u8 *plane[3] = {own, own + (source->channels == 3 ? count : 0), own + (source->channels == 3 ? 2 * count : 0)};
    interleave(plane, count, rgb);
  } else {
    for (int y = 0; y < source->height; y++) {
      const u8 *row = own + y * source->row_stride, *plane[3] = {row, row, row};
      interleave(plane, source->width, rgb + (size_t)3 * y * source->width);
    }
  }
  return (Image){rgb, 3 * (int64_t)source->width};
}

static Planes take_planes(int size, Arena *arena) {
  Planes planes;
  for (int i = 0; i < 4; i++) planes.plane[i] = arena_take(arena, (size_t)size * size);
  return planes;
}

static void copy_planes(const Planes *from, int size, Planes *to) {
  for (int i = 0; i < 4; i++) memcpy(to->plane[i], from->plane[i], (size_t)size * size);
}

static void write_view(const Planes *view, int size, const Output *output, int index) {
  size_t count = (size_t)size * size;
  const u8 *plane[3] = {view->plane[0], view->plane[1], view->plane[2]};
  int64_t at = index * output->image_stride;
  if (output->form == FLOATS) {
    as_floats(plane, count, output->scale, output->offset, (float *)output->pixels + at);
  } else if (output->channels == 1) {
    memcpy((u8 *)output->pixels + at, view->plane[3], count);
  } else if (output->form == INTERLEAVED) {
    interleave(plane, count, (u8 *)output->pixels + at);
  } else {
    for (int i = 0; i < 3; i++) memcpy((u8 *)output->pixels + at + i * count, plane[i], count);
  }
}

// --- rendering what was decided -----------------------------------------------------------------------------------------
static const double WHOLE_FRAME[9] = {0.5, 0, 0.5, 0, 0.5, 0.5, 0, 0, 1};

static void lift_view(Planes *view, int size, const double lift[2], Sums *sums) {
  u8 table[256];
  for (int i = 0; i < 256; i++) table[i] = (u8)rint(clamp(i * lift[0] + 255.0 * lift[1], 0.0, 255.0));
  apply_table(view, size * size, table);
  *sums = (Sums){0, 0};
  luma_of_planes(view, size * size, sums);
}

// The filters and tables that were drawn, in the table's order; 0 where there were none, else the result is in `out`.
static int filter_view(const Planes *crop, const Policy *policy, const Report *report, int size, Planes *out, Arena *arena) {
  const Planes *now = crop;
  Planes other = {{0}};
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    const Entry *entry = &report->entry[slot][0];
    if ((op->kind != FILTER && op->kind != TABLE) || !entry->applied) continue;
    if (op->kind == TABLE) {
      u8 table[256];
      if (now == crop) copy_planes(crop, size, out), now = out;
      table_of(slot, entry->value, table);
      apply_table(out, size * size, table);
      continue;
    }
    Planes *to = out;
    if (now == out) {  // a filter reads and writes different planes
      if (!other.plane[0]) other = take_planes(size, arena);
      if (arena->failed) return -1;
      copy_planes(out, size, &other);
      now = &other;
    }
    if (slot == BLUR) blur(now, size, entry->value, to, arena);
    else sharpen(now, size, entry->value, to, arena);
    now = out;
  }
  return now == out;
}

// --- late operations: grain, then what covers a part of the view (policy/ops.py) ----------------------------------------
static void grain(Planes *view, int size, int64_t seed, const Entry entry[NUMBERS]) { add_noise(view, size, seed, entry[0].value); }

// The rectangle of ops.erase_mask.
static void erase(Planes *view, int size, int64_t seed, const Entry entry[NUMBERS]) {
  (void)seed;
  double area = entry[0].value, ratio = entry[1].value;
  double width = clamp(floor(sqrt(area * ratio) * size), 0, size), height = clamp(floor(sqrt(area / ratio) * size), 0, size);
  double left = floor(entry[2].value * (size - width + 1)), top = floor(entry[3].value * (size - height + 1));
  erase_box(view, size, (int)left, (int)top, (int)width, (int)height);
}

typedef void (*const LateTable[SLOTS])(Planes *view, int size, int64_t seed, const Entry entry[NUMBERS]);
static LateTable GRAINS = {[NOISE] = grain}, COVERS = {[ERASE] = erase};

// Those of a table that were drawn, in the policy's order; whether there were any.
static int late_view(Planes *view, int size, const Policy *policy, const Report *report, LateTable table) {
  int any = 0;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    if (!table[slot] || !report->entry[slot][0].applied) continue;
    table[slot](view, size, report->noise_seed, report->entry[slot]);
    any = 1;
  }
  return any;
}

// --- one view -----------------------------------------------------------------------------------------------------------
typedef struct {  // of an image, shared by all its views
  Image image;
  int height, width, size, has_frame, blank, wants_report;
  ImageStats *stats;
  Limits limits;
  Planes frame, crop, filtered, view;
  double frame_mean, frame_std;
} Look;

static int look_at_frame(Look *look, Arena *arena) {
  if (look->has_frame) return 0;
  Sums sums = warp(look->image.rgb, look->height, look->width, look->image.stride, 3, WHOLE_FRAME, 1.0, look->size, 0, &look->frame, arena);
  crop_moments(sums, look->size, &look->frame_mean, &look->frame_std);
  look->has_frame = 1;
  return arena->failed ? -1 : 0;
}

// Whether every channel's standard deviation is below 2 levels (levels.BLANK_STD).
static int is_blank(const Planes *view, int size) {
  double count = (double)size * size;
  for (int i = 0; i < 3; i++) {
    Sums sums = sums_of(view->plane[i], (size_t)size * size);
    double mean = (double)sums.sum / count;
    if (!((double)sums.square / count - mean * mean < 4.0)) return 0;
  }
  return 1;
}

// Whether anything of an image's statistics, but its sides, decides what is drawn. Else it is not measured, but to be told.
static int asks_for_statistics(const Policy policies[2]) {
  for (int i = 0; i < 2; i++)
    if (policies[i].guards || policies[i].conditional || policies[i].overlaps) return 1;
  return 0;
}

static int look_at(Look *look, const Policy *policies, const Routing *routing, Arena *arena) {
  if (!look->wants_report && !routing && !asks_for_statistics(policies)) {
    look->stats->height = look->height, look->stats->width = look->width, look->stats->route = 0;
    look->stats->mean = look->stats->contrast = NAN;
    return 0;
  }
  if (measure_image(look->image.rgb, look->height, look->width, look->image.stride, policies->conditional, routing, look->stats, arena)) return -1;
  const Policy *policy = &policies[2 * look->stats->route];
  if (!policy->guards || quick_limits(look->stats, policy, &look->limits)) return 0;
  if (look_at_frame(look, arena)) return -1;
  look->limits = limits_of(policy, look->frame_mean, look->frame_std, look->stats->mean);
  look->blank = look->frame_std < 4.0 / 255.0 && is_blank(&look->frame, look->size);
  return 0;
}

static void clear_report(Report *report) {
  memset(report, 0, sizeof *report);
  for (int i = 0; i < EVIDENCES; i++) report->evidence[i] = NAN;
  for (int i = 0; i < RULED; i++) report->statistic[i] = NAN;
  for (int slot = 0; slot < SLOTS; slot++) {
    report->probability[slot] = report->power[slot] = NAN;
    for (int i = 0; i <= NUMBERS; i++) report->fraction[slot][i] = report->start[slot][i] = NAN;
  }
  report->strength = report->lift[0] = 1.0;
}

// The crop where the plan says; the full frame where that is flat; lifted where it is too dark or too bright.
static int safe_crop(Look *look, const Policy *policy, Limits *limits, CropStats *stats, Report *report, Arena *arena) {
  Sums sums = warp(look->image.rgb, look->height, look->width, look->image.stride, 3, report->matrix, report->span, look->size, 0, &look->crop, arena);
  crop_moments(sums, look->size, &stats->mean, &stats->std);
  if (!policy->guards) return arena->failed ? -1 : 0;
  report->evidence[FLAT_STD] = stats->std;
  double *lift = report->lift;
  lift_of(stats->mean, limits, lift);
  if (stats->std * lift[0] < limits->std + (lift[0] < 1.0 ? 0.5 * LEVEL : 0.0) || look->blank) {
    if (look_at_frame(look, arena)) return -1;
    lift[0] = 1.0, lift[1] = 0.0;
    memcpy(report->matrix, WHOLE_FRAME, sizeof WHOLE_FRAME);
    report->span = 1.0, report->frame = !look->blank;
    copy_planes(&look->frame, look->size, &look->crop);
    stats->mean = look->frame_mean, stats->std = look->frame_std;
    for (int i = 0; i < policy->count; i++) {  // nothing of the geometry is left
      int slot = policy->order[i];
      if (policy->operation[slot].kind != GEOMETRY) continue;
      for (int k = 0; k < policy->operation[slot].parameters; k++) {
        Entry *entry = &report->entry[slot][k];
        entry->value = policy->operation[slot].identity[k], entry->reason = FLAT_CROP, entry->applied = 0;
      }
    }
  } else if (lift[0] < 1.0) {
    lift_view(&look->crop, look->size, lift, &sums);
    crop_moments(sums, look->size, &stats->mean, &stats->std);
  }
  limits->own = stats->mean;
  return arena->failed ? -1 : 0;
}

static int blurs(const Policy *policy) { return policy->operation[BLUR].present && policy->operation[BLUR].guard && policy->guards; }

// Tone, colour, noise and erase into look->view, then what of it may stand.
static void finish(Look *look, const Planes *now, const Policy *policy, const CropStats *safe, const Limits *limits, Report *report) {
  int count = look->size * look->size;
  const u8 *crop_luma = look->crop.plane[3];
  Planes *view = &look->view;
  Toned toned = colour_map(now, crop_luma, report->colour, count, view), whole = toned;
  if (late_view(view, look->size, policy, report, GRAINS)) whole = toned_sums(view, crop_luma, count);
  Toned final = whole;
  if (late_view(view, look->size, policy, report, COVERS) && policy->guards) final = toned_sums(view, crop_luma, count);
  if (!policy->guards) return;
  Evidence seen = {.crop_mean = safe->mean, .crop_std = safe->std};
  double unused, crop_sum = safe->mean * 255.0;
  crop_moments(toned.luma, look->size, &unused, &seen.std);
  crop_moments(whole.luma, look->size, &unused, &seen.whole_std);
  crop_moments(final.luma, look->size, &seen.mean, &unused);
  seen.plain_covariance = ((double)toned.product / count - (double)toned.luma.sum / count * crop_sum) / (255.0 * 255.0);
  seen.covariance = ((double)whole.product / count - (double)whole.luma.sum / count * crop_sum) / (255.0 * 255.0);
  seen.clipped = (double)final.ended / count;
  if (seen.clipped > policy->clip) seen.clipped = (double)newly_ended(view, &look->crop, count) / count;
  report->strength = certify(&seen, limits, &report->failed);
  report->blank = look->blank;
  if (look->blank) report->strength = 0.0;
  if (report->strength < 1.0) blend(view, &look->crop, count, report->strength);
}

static int make_view(Look *look, const Policy policies[2], const int64_t key[3], const Moves *moves, int view, Report *report, Arena *arena) {
  const Policy *policy = &policies[view > 0];
  Draws draws, first;
  CropStats *safe = arena_take(arena, sizeof *safe), *now = arena_take(arena, sizeof *now);
  if (arena->failed) return -1;
  clear_report(report);
  start_draws(&draws, policy, key, view, look->stats, moves, look->wants_report ? report : NULL);
  int overlaps = view && policies[0].overlaps;
  if (overlaps) start_draws(&first, &policies[0], key, 0, look->stats, moves, NULL);
  plan_geometry(look->stats, &draws, overlaps ? &first : NULL, report);
  Limits limits = look->limits;
  limits.promise = policy;
  if (safe_crop(look, policy, &limits, safe, report, arena)) return -1;
  if (look->wants_report || (blurs(policy) && applied_of(&draws, BLUR))) safe->reach = crop_reach(look->crop.plane[3], look->size, safe->std);
  if (policy->guards) report->evidence[REACH] = safe->reach;
  report->evidence[IMAGE_MEAN] = look->stats->mean, report->evidence[IMAGE_STD] = look->stats->contrast;

  plan_filters(safe, &draws, look->size, report);
  int filtered = filter_view(&look->crop, policy, report, look->size, &look->filtered, arena);
  if (filtered < 0) return -1;
  const Planes *pixels = filtered ? &look->filtered : &look->crop;
  now->mean = safe->mean, now->std = safe->std;
  if (filtered) {
    Sums sums = {0, 0};
    luma_of_planes(&look->filtered, look->size * look->size, &sums);
    crop_moments(sums, look->size, &now->mean, &now->std);
  }
  sample_crop(pixels, look->size, now);
  plan_tone(now, &draws, policy->guards ? &limits : NULL, report);
  plan_late(&draws, report);
  finish(look, pixels, policy, safe, &limits, report);
  if (look->wants_report) report_draws(&draws);
  return arena->failed ? -1 : 0;
}

static int image_views(const Source *source, const Policy *policies, const Routing *routing, const int64_t *keys, const Moves *moves, int index, int first,
                       int views, int size, const Output *outputs, Report *reports, Arena *arena) {
  Look look = {.height = source->height, .width = source->width, .size = size, .wants_report = reports != NULL};
  arena->used = 0;
  look.image = interleaved(source, index, arena);
  look.stats = arena_take(arena, sizeof *look.stats);
  Report *own = arena_take(arena, sizeof *own);
  look.frame = take_planes(size, arena), look.crop = take_planes(size, arena);
  look.filtered = take_planes(size, arena), look.view = take_planes(size, arena);
  if (arena->failed || look_at(&look, policies, routing, arena)) return -1;
  int route = look.stats->route;
  size_t kept = arena->used;
  for (int i = 0; i < views; i++) {
    Report *report = reports ? reports + (size_t)index * views + i : own;
    arena->used = kept;
    if (make_view(&look, policies + 2 * route, keys + 3 * (size_t)index, moves ? moves + index : NULL, first + i, report, arena)) return -1;
    report->route = route;
    for (int k = 0; routing && k < RULED; k++) if (look.stats->measured[k]) report->statistic[k] = look.stats->statistic[k];
    write_view(&look.view, size, &outputs[i], index);
  }
  return 0;
}

CORE_API int core_views(const Source *source, const Policy *policies, const Routing *routing, const int64_t *keys, const Moves *moves, int start, int stop,
                      int first, int views, int size, const Output *outputs, Report *reports) {
  Arena *arena = borrow_arena(room_for(source, size));
  if (!arena) return -1;
  int failed = 0;
  for (int index = start; index < stop && !failed; index++) failed = image_views(source, policies, routing, keys, moves, index, first, views, size, outputs, reports, arena);
  return_arena(arena);
  return failed;
}

// --- what was decided before, again -------------------------------------------------------------------------------------
static int replay_one(const Source *source, const Policy *policy, const Report *report, int index, int size, int nearest, int tone,
                      const Output *output, Arena *arena) {
  arena->used = 0;
  Planes crop = take_planes(size, arena), filtered = take_planes(size, arena), view = take_planes(size, arena);
  if (arena->failed) return -1;
  if (!tone) {  // as many channels as there are
    int channels = source->channels;
    Image image = {source->pixels + index * source->image_stride, source->row_stride};
    if (source->planar && channels == 1) image.stride = source->width;
    else if (source->planar) image = interleaved(source, index, arena);
    if (!image.rgb) return -1;
    warp(image.rgb, source->height, source->width, image.stride, channels, report->matrix, report->span, size, nearest, &crop, arena);
    if (channels == 1) memcpy(crop.plane[3], crop.plane[0], (size_t)size * size);
    write_view(&crop, size, output, index);
    return arena->failed ? -1 : 0;
  }
  Image image = interleaved(source, index, arena);
  if (!image.rgb) return -1;
  Sums sums = warp(image.rgb, source->height, source->width, image.stride, 3, report->matrix, report->span, size, nearest, &crop, arena);
  if (report->lift[0] != 1.0 || report->lift[1] != 0.0 || nearest) lift_view(&crop, size, report->lift, &sums);
  int changed = filter_view(&crop, policy, report, size, &filtered, arena);
  if (changed < 0) return -1;
  colour_map(changed ? &filtered : &crop, crop.plane[3], report->colour, size * size, &view);
  late_view(&view, size, policy, report, GRAINS);
  late_view(&view, size, policy, report, COVERS);
  if (report->strength < 1.0) blend(&view, &crop, size * size, report->strength);
  sums = (Sums){0, 0};
  if (output->channels == 1) luma_of_planes(&view, size * size, &sums);
  write_view(&view, size, output, index);
  return arena->failed ? -1 : 0;
}

CORE_API int core_replay(const Source *source, const Policy *policy, const Report *reports, int start, int stop, int size, int nearest,
                       int tone, const Output *output) {
  Arena *arena = borrow_arena(room_for(source, size));
  if (!arena) return -1;
  int failed = 0;
  for (int index = start; index < stop && !failed; index++) failed = replay_one(source, policy, reports + index, index, size, nearest, tone, output, arena);
  return_arena(arena);
  return failed;
}

CORE_API int core_measure(const Source *source, int start, int stop, double *statistics) {
  Arena *arena = borrow_arena(room_for(source, 8));
  if (!arena) return -1;
  int failed = 0;
  for (int index = start; index < stop && !failed; index++) {
    arena->used = 0;
    ImageStats *stats = arena_take(arena, sizeof *stats);
    Image image = interleaved(source, index, arena);
    failed = !stats || !image.rgb || measure_image(image.rgb, source->height, source->width, image.stride, 1, NULL, stats, arena);
    if (!failed) memcpy(statistics + (size_t)index * STATISTICS, stats->statistic, STATISTICS * sizeof *statistics);
  }
  return_arena(arena);
  return failed ? -1 : 0;
}

CORE_API double core_shortest_side(const Policy policies[2], const int64_t key[3], int first, int views, int width, int height) {
  double least = lesser(width, height);
  for (int view = first; view < first + views; view++) {
    least = lesser(least, drawn_shortest_side(&policies[view > 0], key, view, width, height));
    least = lesser(least, drawn_shortest_side(&policies[view > 0], key, view, height, width));
  }
  return least;
}

CORE_API int core_jpeg_size(const u8 *data, int64_t length, int32_t size[3]) {
  size[2] = 0;
  if (length < 4 || data[0] != 0xff || data[1] != 0xd8) return -1;
  for (int64_t at = 2; at + 9 < length;) {
    if (data[at] != 0xff) return -1;
    int marker = data[at + 1];
    if (marker == 0xff) {  // filling
      at++;
      continue;
    }
    if (marker == 0xd8 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {  // markers without a body
      at += 2;
      continue;
    }
    if (marker == 0xd9 || marker == 0xda) return -1;  // pixels before a frame's header
    if (marker == 0xe1 || marker == 0xe2 || marker == 0xed) size[2] = 1;
    int body = data[at + 2] << 8 | data[at + 3];
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      int channels = data[at + 9], depth = data[at + 4];
      size[0] = data[at + 7] << 8 | data[at + 8], size[1] = data[at + 5] << 8 | data[at + 6];
      return depth == 8 && (channels == 1 || channels == 3) && size[0] > 0 && size[1] > 0 ? 0 : -1;
    }
    at += 2 + body;
  }
  return -1;
}

// --- for tests ----------------------------------------------------------------------------------------------------------
CORE_API int core_plan(const Source *source, const Policy policies[2], const int64_t *keys, const Moves *moves, int view, int size,
                     const u8 *crops, const double *limits, Report *reports) {
  Arena *arena = borrow_arena(room_for(source, size));
  if (!arena) return -1;
  int failed = 0;
  for (int index = 0; index < source->count && !failed; index++) {
    arena->used = 0;
    ImageStats *stats = arena_take(arena, sizeof *stats);
    CropStats *crop = arena_take(arena, sizeof *crop);
    Planes planes = take_planes(size, arena);
    Image image = interleaved(source, index, arena);
    if (arena->failed) break;
    const Policy *policy = &policies[view > 0];
    const int64_t *key = keys + 3 * (size_t)index;
    Report *report = reports + index;
    Draws draws, first;
    failed = measure_image(image.rgb, source->height, source->width, image.stride, policies[0].conditional, NULL, stats, arena);
    clear_report(report);
    report->evidence[IMAGE_MEAN] = stats->mean, report->evidence[IMAGE_STD] = stats->contrast;
    start_draws(&draws, policy, key, view, stats, moves ? moves + index : NULL, report);
    start_draws(&first, &policies[0], key, 0, stats, moves ? moves + index : NULL, NULL);
    plan_geometry(stats, &draws, view && policies[0].overlaps ? &first : NULL, report);
    Sums sums = {0, 0};
    deinterleave(crops + (size_t)index * 3 * size * size, (size_t)size * size, planes.plane);
    luma_of_planes(&planes, size * size, &sums);
    crop_moments(sums, size, &crop->mean, &crop->std);
    sample_crop(&planes, size, crop);
    crop->reach = crop_reach(planes.plane[3], size, crop->std);
    const double *l = limits + 6 * index;
    Limits limit = {l[0], l[1], l[2], l[3], l[4] != 0.0, l[5] != 0.0, policy};
    plan_filters(crop, &draws, size, report);
    plan_tone(crop, &draws, policy->guards ? &limit : NULL, report);
    plan_late(&draws, report);
    report_draws(&draws);
  }
  failed |= arena->failed;
  return_arena(arena);
  return failed ? -1 : 0;
}

CORE_API int core_operations(void) {
  uint32_t known = 1u << CROP | 1u << BLUR | 1u << SHARPEN | 1u << EXPOSURE | 1u << BRIGHTNESS | 1u << CONTRAST | 1u << CHROMA;
  for (int slot = 0; slot < SLOTS; slot++)
    known |= (uint32_t)(distorts(slot) || tabulates(slot) || colours(slot) || GRAINS[slot] || COVERS[slot]) << slot;
  return (int)known;
}
