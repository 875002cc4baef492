// Round one: where to look, from the image's statistics (planning/geometry.py, planning/overlap.py, promise/boxes.py).
#include "plan.h"

enum { BOX_STEPS = 7, PLACES = 16 };  // nested boxes from the drawn one to the full frame; places on each leg of a move
static const double SHRINKS[] = {1.0, 0.5, 0.0};  // of a distortion that would lose the content

typedef struct { double x, y, width, height; } Box;

// --- what a part of an image holds ------------------------------------------------------------------------------------
static double box_sum(const double *running, int stride, int x0, int y0, int x1, int y1) {
  return running[y1 * stride + x1] - running[y1 * stride + x0] - running[y0 * stride + x1] + running[y0 * stride + x0];
}

// Luma std in [0, 1] and share of the image's detail of a box.
static void judge_box(const ImageStats *stats, Box box, double *std, double *content) {
  double columns = stats->columns, rows = stats->rows;
  double x0 = clamp(floor(box.x * columns + 0.5), 0.0, columns - 1.0), y0 = clamp(floor(box.y * rows + 0.5), 0.0, rows - 1.0);
  double x1 = clamp(floor((box.x + box.width) * columns + 0.5), x0 + 1.0, columns);
  double y1 = clamp(floor((box.y + box.height) * rows + 0.5), y0 + 1.0, rows);
  int stride = stats->columns + 1, a = (int)x0, b = (int)y0, c = (int)x1, d = (int)y1;
  double count = (x1 - x0) * (y1 - y0), mean = box_sum(stats->luma, stride, a, b, c, d) / count;
  *std = sqrt(greater(box_sum(stats->square, stride, a, b, c, d) / count - mean * mean, 0.0)) / 255.0;
  *content = box_sum(stats->detail, stride, a, b, c, d) / greater(stats->detail_total, 1e-9);
}

static Box nested(Box box, double step) {
  if (step == 0.0) return box;
  double rest = 1.0 - step;
  Box out = {box.x * rest, box.y * rest, box.width * rest + step, box.height * rest + step};
  return out;
}

// Share of the image's detail that a view's matrix keeps: cells whose centre, taken back to the view, lies inside it.
static double content_in_view(const ImageStats *stats, const double m[9]) {
  // The adjugate is the inverse up to a factor, which homogeneous coordinates do not see.
  double inverse[9];
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
      inverse[3 * j + i] = m[3 * a + c] * m[3 * b + d] - m[3 * a + d] * m[3 * b + c];
    }
  double total = 0.0;
  for (int row = 0; row < MAP_CELLS; row++)
    for (int column = 0; column < MAP_CELLS; column++) {
      double x = (column + 0.5) / MAP_CELLS, y = (row + 0.5) / MAP_CELLS, place[3];
      for (int i = 0; i < 3; i++) place[i] = inverse[3 * i] * x + inverse[3 * i + 1] * y + inverse[3 * i + 2];
      double reach = fabs(place[2]);
      if (fabs(place[0]) <= reach && fabs(place[1]) <= reach) total += stats->detail_map[MAP_CELLS * row + column];
    }
  return total;
}

// --- the crop ---------------------------------------------------------------------------------------------------------
// What is known of a crop while it is planned.
typedef struct { Box box; Entry area, ratio; double std_floor, content_floor; int guarded; } Crop;

// Area and ratio, and from them width and height as shares of a frame of that aspect. A box that would stick out is cut
// to the frame, where torchvision draws again: one draw, always.
static Crop drawn_crop(Draws *draws, double aspect) {
  int applied = applied_of(draws, CROP);
  const double *identity = draws->policy->operation[CROP].identity;
  Crop crop = {{0.0, 0.0, 1.0, 1.0}, draw(draws, CROP, 0, applied, identity[0]), draw(draws, CROP, 1, applied, identity[1]), 0.0, 0.0, 0};
  if (applied) {
    crop.box.width = lesser(sqrt(crop.area.value * crop.ratio.value / aspect), 1.0);
    crop.box.height = lesser(sqrt(crop.area.value / crop.ratio.value * aspect), 1.0);
  }
  return crop;
}

static Crop plan_crop(const ImageStats *stats, Draws *draws, double *evidence) {
  const Policy *policy = draws->policy;
  const Operation *op = &policy->operation[CROP];
  double aspect = (double)stats->width / stats->height;
  Crop crop = drawn_crop(draws, aspect);
  crop.box.x = number_of(draws, CROP, 3) * (1.0 - crop.box.width);
  crop.box.y = number_of(draws, CROP, 4) * (1.0 - crop.box.height);
  crop.guarded = policy->guards && op->guard;
  if (!crop.guarded) return crop;
  crop.std_floor = lesser(stats->contrast * policy->std_share, policy->std) * 1.2;
  crop.content_floor = op->setting;
  Box drawn = crop.box;
  double std, content;
  judge_box(stats, drawn, &std, &content);
  evidence[DRAWN_STD] = std, evidence[DRAWN_CONTENT] = content;
  evidence[BOX_STD_FLOOR] = crop.std_floor, evidence[CONTENT_FLOOR] = crop.content_floor;
  int step = 0;
  while (!(std >= crop.std_floor && content >= crop.content_floor) && step < BOX_STEPS - 1) {
    crop.box = nested(drawn, (double)++step / (BOX_STEPS - 1));
    judge_box(stats, crop.box, &std, &content);
  }
  double final = crop.box.width * crop.box.height, shape = crop.box.width / crop.box.height * aspect;
  crop.area.value = final;
  crop.area.high = greater(crop.area.high, final);
  if (step) {
    crop.area.low = final;
    crop.ratio.value = crop.ratio.low = crop.ratio.high = shape;
    crop.area.reason = crop.ratio.reason = BOX_ENLARGED;
  }
  return crop;
}

double drawn_shortest_side(const Policy *policy, const int64_t key[3], int view, double width, double height) {
  if (!policy->operation[CROP].present) return lesser(width, height);
  Draws draws;
  start_draws(&draws, policy, key, view, 0, 0, 0);
  Crop crop = drawn_crop(&draws, width / height);
  return lesser(crop.box.width * width, crop.box.height * height);
}

// --- overlap with the first view's crop -------------------------------------------------------------------------------
static double overlap_of(Box a, Box b) {  // intersection over union
  double across = greater(lesser(a.x + a.width, b.x + b.width) - greater(a.x, b.x), 0.0);
  double down = greater(lesser(a.y + a.height, b.y + b.height) - greater(a.y, b.y), 0.0);
  return across * down / (a.width * a.height + b.width * b.height - across * down);
}

// What a place is judged by.
typedef struct { const ImageStats *stats; const Crop *crop; Box reference; double low, high, target; } Wanted;
// The best place so far.
typedef struct { Box box; double cost; int leg, reachable; } Found;

#define OUTSIDE 10.0  // costs that no distance makes up for
#define POOR 100.0

static int same_box(Box a, Box b) { return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height; }

static double cost_of(const Wanted *wanted, Box place, int resized, int *inside) {
  double overlap = overlap_of(place, wanted->reference);
  // A change of size must come a step nearer to be preferred to a mere move.
  double cost = fabs(overlap - wanted->target) + 1.0 / PLACES * resized;
  *inside = overlap >= wanted->low && overlap <= wanted->high;
  if (!*inside) cost += OUTSIDE;
  // Where the box is already the crop's own guard has had its say: it is the best that was found.
  if (wanted->crop->guarded && !same_box(place, wanted->crop->box)) {
    double std, content;
    judge_box(wanted->stats, place, &std, &content);
    if (std < wanted->crop->std_floor || content < wanted->crop->content_floor) cost += POOR;
  }
  return cost;
}

// Places in equal steps, sizes in equal ratios: area and shape stay between the two ends', no box leaves the frame.
static Box on_the_way(Box a, Box b, double step) {
  Box out = {a.x + step * (b.x - a.x), a.y + step * (b.y - a.y), a.width * pow(b.width / a.width, step), a.height * pow(b.height / a.height, step)};
  return out;
}

// One axis of `ways`: start and length of the box, of the reference; where each of the four ends begins and how long it is.
static void way_along(double first, double size, double start, double length, double like, const double scale[2], int closer, double at[4], double long_[4]) {
  double middle = start + length / 2;
  if (closer) {  // to the reference's centre, then to its shape and, within the range of area, its size
    double alike = lesser(length * like, 1.0);
    at[1] = clamp(middle - size / 2, 0.0, 1.0 - size), long_[1] = size;
    at[2] = at[3] = clamp(middle - alike / 2, 0.0, 1.0 - alike), long_[2] = long_[3] = alike;
  } else {       // to the end where it overlaps least, then smaller or larger there
    double at_start = lesser(greater(size - start, 0.0), length), at_end = lesser(greater(start + length - (1.0 - size), 0.0), length);
    int forward = at_end < at_start || (at_end == at_start && first + size / 2 >= middle);
    double scales[3] = {1.0, scale[0], scale[1]};
    for (int i = 0; i < 3; i++) {
      double scaled = lesser(size * scales[i], 1.0);
      at[1 + i] = forward ? 1.0 - scaled : 0.0, long_[1 + i] = scaled;
    }
  }
}

// Four boxes: where it is; moved as far as may help; and resized there, one way and the other.
static void ways(Box box, Box reference, double least, double most, int closer, Box node[4]) {
  double area = reference.width * reference.height, own = box.width * box.height, x[4], y[4], w[4], h[4];
  // A box that its guard enlarged, or that the frame cut, may lie outside the policy's range already.
  least = lesser(own, least), most = greater(own, most);
  double like = sqrt(clamp(area, least, most) / area), scale[2] = {sqrt(least / own), sqrt(most / own)};
  way_along(box.x, box.width, reference.x, reference.width, like, scale, closer, x, w);
  way_along(box.y, box.height, reference.y, reference.height, like, scale, closer, y, h);
  node[0] = box;
  for (int i = 1; i < 4; i++) node[i] = (Box){x[i], y[i], w[i], h[i]};
}

// The best box on three legs, move, then resize one way or the other: first in steps, then around the best of each leg
// in steps eight times finer.
static Found best_place(const Wanted *wanted, const Box node[4]) {
  Found best = {node[0], INFINITY, 0, 0};
  for (int leg = 0; leg < 3; leg++) {
    Box from = leg ? node[1] : node[0], to = node[leg + 1];
    int inside, middle = 0;
    double least = INFINITY;
    for (int i = 0; i <= PLACES; i++) {
      double cost = cost_of(wanted, on_the_way(from, to, (double)i / PLACES), leg > 0, &inside);
      best.reachable |= inside;
      if (cost < least) least = cost, middle = i;
    }
    for (int i = 0; i <= PLACES; i++) {
      double step = clamp((middle + (i * 2.0 / PLACES - 1.0)) / PLACES, 0.0, 1.0);
      Box place = on_the_way(from, to, step);
      double cost = cost_of(wanted, place, leg > 0, &inside);
      best.reachable |= inside;
      if (cost < best.cost) best.box = place, best.cost = cost, best.leg = leg;
    }
  }
  return best;
}

// Move a crop, and resize it where moving is not enough, until its overlap with view 0's lies in the interval.
static void place_crop(const ImageStats *stats, Draws *draws, Draws *first, Crop *crop, double *evidence) {
  double unused[EVIDENCES], low = first->policy->overlap[0], high = first->policy->overlap[1];
  Box reference = plan_crop(stats, first, unused).box;
  double drawn = overlap_of(crop->box, reference);
  evidence[DRAWN_OVERLAP] = evidence[OVERLAP] = drawn, evidence[OVERLAP_LOW] = low, evidence[OVERLAP_HIGH] = high;
  if ((drawn >= low && drawn <= high) || !crop->area.applied) return;  // one that was not applied stays the whole frame
  const Operation *op = &draws->policy->operation[CROP];
  Wanted wanted = {stats, crop, reference, low, high, low + number_of(draws, CROP, 5) * (high - low)};
  Box node[4];
  ways(crop->box, reference, op->low[0], op->high[0], drawn < low, node);
  Found found = best_place(&wanted, node);
  double final = overlap_of(found.box, reference);
  int reason = final >= low && final <= high ? (found.leg ? OVERLAP_RESIZED : OVERLAP_MOVED) : (found.reachable ? CONTENT_WON : OVERLAP_OUT_OF_REACH);
  evidence[OVERLAP] = final;
  crop->box = found.box;
  // A mere move leaves the numbers as they were, and the area its own reason if it was enlarged.
  if (reason == OVERLAP_MOVED) {
    if (crop->area.reason != BOX_ENLARGED) crop->area.reason = reason;
    crop->ratio.reason = reason;
    return;
  }
  double values[2] = {found.box.width * found.box.height, found.box.width / found.box.height * ((double)stats->width / stats->height)};
  Entry *entries[2] = {&crop->area, &crop->ratio};
  for (int i = 0; i < 2; i++) {
    entries[i]->value = values[i], entries[i]->reason = reason;
    entries[i]->low = lesser(entries[i]->low, values[i]), entries[i]->high = greater(entries[i]->high, values[i]);
  }
}

// --- distortions: 3x3 matrices from view to source, in coordinates centred on the crop -------------------------------
static void hflip(const double *amount, double m[9]) { m[0] = 1.0 - 2.0 * amount[0]; }
static void vflip(const double *amount, double m[9]) { m[4] = 1.0 - 2.0 * amount[0]; }
static void rotate(const double *degrees, double m[9]) {
  double angle = degrees[0] * (PI / 180);
  m[0] = m[4] = cos(angle), m[3] = sin(angle), m[1] = -m[3];
}
static void shear(const double *degrees, double m[9]) { m[1] = tan(degrees[0] * (PI / 180)), m[3] = tan(degrees[1] * (PI / 180)); }
static void stretch(const double *ratio, double m[9]) { m[4] = sqrt(ratio[0]), m[0] = 1.0 / m[4]; }
static void perspective(const double *share, double m[9]) { m[6] = share[0], m[7] = share[1]; }

static void (*const DISTORTIONS[SLOTS])(const double *amount, double m[9]) = {
  [HFLIP] = hflip, [VFLIP] = vflip, [ROTATE] = rotate, [SHEAR] = shear, [STRETCH] = stretch, [PERSPECTIVE] = perspective,
};
int distorts(int slot) { return DISTORTIONS[slot] != 0; }

static void distortion_of(int slot, const double *amount, double m[9]) {
  for (int i = 0; i < 9; i++) m[i] = i % 4 == 0;
  if (DISTORTIONS[slot]) DISTORTIONS[slot](amount, m);
}

static void product(const double a[9], const double b[9], double out[9]) {
  double made[9];
  for (int i = 0; i < 9; i++) {
    const double *row = a + i / 3 * 3;
    made[i] = row[0] * b[i % 3] + row[1] * b[3 + i % 3] + row[2] * b[6 + i % 3];
  }
  for (int i = 0; i < 9; i++) out[i] = made[i];
}

static int is_distortion(const Policy *policy, int slot) { return policy->operation[slot].kind == GEOMETRY && slot != CROP; }

// An amount moved towards its identity, in its logarithm where that is how it is drawn.
static double towards_identity(const Operation *op, int parameter, double value, double step) {
  if (step == 1.0) return value;
  if (op->logarithmic[parameter]) return pow(value, step);
  return op->identity[parameter] + (value - op->identity[parameter]) * step;
}

// Box and distortions as one matrix from the view's [-1, 1] square to the source's [0, 1] frame. Distortions act in
// pixels of the source over r = half the crop's geometric mean side: a rotation is one whatever the aspect.
static void compose(const ImageStats *stats, const Policy *policy, Box box, Entry entry[SLOTS][NUMBERS], double step, double out[9]) {
  double half_width = box.width * (stats->width / 2.0), half_height = box.height * (stats->height / 2.0);
  double radius = sqrt(half_width * half_height);
  double total[9] = {half_width / radius, 0, 0, 0, half_height / radius, 0, 0, 0, 1};
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (!is_distortion(policy, slot) || !entry[slot][0].applied) continue;
    double amount[NUMBERS], matrix[9], reduced = op->guard && !op->on_or_off ? step : 1.0;
    for (int k = 0; k < op->parameters; k++) amount[k] = towards_identity(op, k, entry[slot][k].value, reduced);
    distortion_of(slot, amount, matrix);
    product(matrix, total, total);
  }
  double place[9] = {radius / stats->width, 0, box.x + box.width / 2, 0, radius / stats->height, box.y + box.height / 2, 0, 0, 1};
  product(place, total, out);
}

// The greatest of SHRINKS at which the distortions keep enough detail in view.
static double shrink_distortions(const ImageStats *stats, const Policy *policy, Box box, double content, double floor, Report *report) {
  double matrix[3][9], kept[3] = {content};
  for (int i = 0; i < 9; i++) matrix[0][i] = report->matrix[i];
  for (int i = 1; i < 3; i++) {
    compose(stats, policy, box, report->entry, SHRINKS[i], matrix[i]);
    kept[i] = content_in_view(stats, matrix[i]);
  }
  // The undistorted crop may hold less than the floor in whole cells; a distortion may not cost much more.
  double wanted = lesser(kept[2] * 0.9, floor);
  int chosen = kept[0] >= wanted ? 0 : kept[1] >= wanted ? 1 : 2;
  for (int i = 0; i < 9; i++) report->matrix[i] = matrix[chosen][i];
  double shrink = SHRINKS[chosen];
  for (int i = 0; i < policy->count && shrink < 1.0; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (!is_distortion(policy, slot) || op->on_or_off || !op->guard) continue;
    for (int k = 0; k < op->parameters; k++) {
      Entry *entry = &report->entry[slot][k];
      if (!entry->applied) continue;
      entry->value = towards_identity(op, k, entry->value, shrink);
      entry->low = lesser(entry->value, op->identity[k]), entry->high = greater(entry->value, op->identity[k]);
      entry->reason = DISTORTION_REDUCED;
    }
  }
  return shrink;
}

// Where to look: the crop, from nested boxes that hold enough; distortions, shrunk where they lose it. `first`: view 0's
// draws, where this view's crop must overlap that of view 0.
void plan_geometry(const ImageStats *stats, Draws *draws, const Draws *first, Report *report) {
  const Policy *policy = draws->policy;
  Crop crop = {{0.0, 0.0, 1.0, 1.0}, {1, 1, 1, 0, 0}, {1, 1, 1, 0, 0}, 0.0, 0.0, 0};
  double *evidence = report->evidence;
  if (policy->operation[CROP].present) {
    crop = plan_crop(stats, draws, evidence);
    if (first) {
      Draws others = *first;
      place_crop(stats, draws, &others, &crop, evidence);
    }
    report->entry[CROP][0] = crop.area, report->entry[CROP][1] = crop.ratio;
    evidence[BOX_X] = crop.box.x, evidence[BOX_Y] = crop.box.y, evidence[BOX_WIDTH] = crop.box.width, evidence[BOX_HEIGHT] = crop.box.height;
  }
  int distorted = 0, distorts = 0;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    if (!is_distortion(policy, slot)) continue;
    int applied = applied_of(draws, slot);
    for (int k = 0; k < policy->operation[slot].parameters; k++) report->entry[slot][k] = draw(draws, slot, k, applied, policy->operation[slot].identity[k]);
    distorts |= !policy->operation[slot].on_or_off;
    distorted |= applied && !policy->operation[slot].on_or_off;
  }
  compose(stats, policy, crop.box, report->entry, 1.0, report->matrix);
  double floor = policy->operation[CROP].present ? policy->operation[CROP].setting : 0.0;
  if (policy->guards && floor > 0.0 && (distorted || (distorts && draws->report))) {
    double content = content_in_view(stats, report->matrix);
    evidence[WARPED_CONTENT] = content, evidence[SHRINK] = 1.0;
    if (distorted && content < floor) evidence[SHRINK] = shrink_distortions(stats, policy, crop.box, content, floor, report);
  }
  double shortest = lesser(crop.box.width * stats->width, crop.box.height * stats->height);
  report->span = shortest / (stats->width < stats->height ? stats->width : stats->height);
}
