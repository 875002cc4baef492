// Statistics + policy + key -> parameters. Nothing here sees a pixel, allocates, or keeps anything between calls; plain
// loops over small arrays, so that the same files can be compiled for a device. The same rules as planning in Python,
// which runs on tensors: tests/core/test_plans.py holds the two to each other.
#pragma once
#include <math.h>
#include <stdint.h>

// Slots are for ever: they fix an operation's random numbers (policy/ops.py). 5 was given back and stays empty. A new
// operation needs no name here: its row in a table of functions has the number.
enum {
  CROP, HFLIP, VFLIP, ROTATE, SHEAR, STRETCH = 6, PERSPECTIVE, BLUR, SHARPEN, GAMMA, INVERT, SOLARIZE, POSTERIZE,
  EXPOSURE, BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY, NOISE, ERASE, TEMPERATURE, CHROMA
};
enum { SLOTS = 32 };  // room for those to come, so that a record that C does not know yet changes no struct
enum { NUMBERS = 4, SLOTS_PER_OP = 8 };  // most parameters of an operation; numbers that it may draw
enum { GEOMETRY, FILTER, TABLE, TONE, COLOUR, LATE };
enum {  // promise/reasons.py
  NOT_DRAWN, WHOLE_RANGE, UNGUARDED, BOX_ENLARGED, DISTORTION_REDUCED, DARK, BRIGHT, CLIPPING, EXCLUSIVE, TOO_SMALL,
  SHARPNESS, ISOLUMINANT, FLAT_CROP, KEEPS_CONTRAST, TONE_REDUCED, OVERLAP_MOVED, OVERLAP_RESIZED, CONTENT_WON,
  OVERLAP_OUT_OF_REACH, GREY_STAYS, COLOUR_CLIPS, ABSENT
};
enum {  // the statistics that reasons quote, by name in records.EVIDENCE
  DRAWN_STD, DRAWN_CONTENT, BOX_STD_FLOOR, CONTENT_FLOOR, DRAWN_OVERLAP, OVERLAP_LOW, OVERLAP_HIGH, OVERLAP, BOX_X,
  BOX_Y, BOX_WIDTH, BOX_HEIGHT, WARPED_CONTENT, SHRINK, IMAGE_MEAN, IMAGE_STD, FLAT_STD, REACH, CROP_MEAN, CROP_STD,
  LUMA_SHARE, CLIP, STD_FLOOR, TONE_STRENGTH, CROP_CHROMA, CHROMA_SHARE, EVIDENCES
};
enum {  // conditional.STATISTICS; a new one needs no name here: the line in measure.c that sets it has the number
  MEAN, CONTRAST_STATISTIC, DARK_FRACTION, BRIGHT_FRACTION, ENTROPY, CHROMA_STATISTIC, COLOURFULNESS, SPREAD, SHARPNESS_STATISTIC,
  BORDER_UNIFORMITY, FOREGROUND_FRACTION,
  STATISTICS = 16,  // room for those to come
  LEVELS = STATISTICS, BLACK, INK, STROKES, RULED  // what rules may name besides (routes.RULED)
};
enum { ROUTES = 16 };  // most of a policy (routes.MOST)

#define PI 3.14159265358979323846
#define LEVEL (1.0 / 255.0)
#define TOP (254.5 / 255.0)    // where rounding reaches 255
#define BOTTOM (0.5 / 255.0)   // and 0

// --- what a caller gives --------------------------------------------------------------------------------------------
typedef struct {  // one operation: its record in policy/ops.py, and what the policy says of it
  double p, shape[2], setting;                     // `setting`: crop's content, exposure's and chroma's gain
  double low[NUMBERS], high[NUMBERS], identity[NUMBERS];
  int32_t logarithmic[NUMBERS], place[NUMBERS];
  int32_t present, kind, parameters, leader, guard, lock, shared, on_or_off;
} Operation;

typedef struct {
  double std, std_share, clip, dark, bright, correlation, erased;  // the promise
  double overlap[2];
  double usual[STATISTICS], deviation[STATISTICS];                 // conditional: of the data set
  double weight_p[SLOTS][STATISTICS], weight_strength[SLOTS][STATISTICS];
  Operation operation[SLOTS];
  int32_t order[SLOTS];  // the policy's operations in the table's order, `count` of them
  int32_t count, guards, overlaps, conditional;
} Policy;

typedef struct {  // what moves an image's draws beside the policy's weights
  double push;                                  // 0 where there is none
  double p[SLOTS], strength[SLOTS];             // by operation (`conditional.Moves`)
  int32_t pushed, moved, moves_p[SLOTS], moves_strength[SLOTS];
} Moves;

typedef struct { int32_t count, order[RULED]; double low[RULED], high[RULED]; } Rule;  // statistics in the file's order
typedef struct { int32_t count, unused; Rule rule[ROUTES]; } Routing;  // each route has its policies: of view 0, of others

// --- what a caller gets: everything that was decided for a view ------------------------------------------------------
typedef struct { double value, low, high; int32_t reason, applied; } Entry;

typedef struct {
  double matrix[9], span, lift[2], colour[12], strength;
  int64_t noise_seed;
  Entry entry[SLOTS][NUMBERS];
  double evidence[EVIDENCES];             // NaN where there is none
  double probability[SLOTS], power[SLOTS];          // after the weights; NaN without any
  double fraction[SLOTS][NUMBERS + 1], start[SLOTS][NUMBERS + 1];  // met by `Moves`; NaN else
  double statistic[RULED];                // that the route was chosen by; NaN where it was not asked for
  int32_t gate[SLOTS];
  int32_t failed, frame, blank, route;
} Report;

// --- between the rooms ----------------------------------------------------------------------------------------------
enum { MAP_CELLS = 8, THUMB = 64, SAMPLES_MOST = 1024 };

typedef struct {  // a whole image (measure.c)
  int height, width, rows, columns;       // of the source; of its thumbnail
  double mean, contrast, fine_contrast, coarse_contrast, detail_total;
  double luma[(THUMB + 1) * (THUMB + 1)], square[(THUMB + 1) * (THUMB + 1)], detail[(THUMB + 1) * (THUMB + 1)];  // running sums
  double detail_map[MAP_CELLS * MAP_CELLS];
  double statistic[RULED];                // only for a policy with conditional weights, or asked for by its routes
  int32_t measured[RULED], route;         // whether it was
} ImageStats;

typedef struct {  // a crop as rendered
  double mean, std, reach, luma_share, sampled_mean, sampled_variance, channel_mean[3], covariance[9];
  int samples;                            // on a grid; in [0, 1]
  double sample[3][SAMPLES_MOST];
  uint8_t clipped[SAMPLES_MOST];
} CropStats;

typedef struct { double std, low, high, own; int dark, bright; const Policy *promise; } Limits;

typedef struct {
  const Policy *policy;
  uint64_t own, first;                    // states of this view's numbers and of view 0's
  double odds[SLOTS], power[SLOTS];
  uint8_t has_odds[SLOTS], has_power[SLOTS];
  int met;                                // whether somebody learns from what is drawn
  Report *report;
} Draws;

// keys.c
uint64_t mixed(uint64_t bits);
void start_draws(Draws *draws, const Policy *policy, const int64_t key[3], int view, const ImageStats *stats, const Moves *moves, Report *report);
double number_of(const Draws *draws, int slot, int index);
double probability_of(const Draws *draws, int slot);
int applied_of(const Draws *draws, int slot);
double fraction_of(const Draws *draws, int slot, int index);
double within_of(Draws *draws, int slot, int index, double low, double high, double identity, int logarithmic);
double moved_of(Draws *draws, int slot, int index, double fraction, double start);
double position_of(double value, double low, double high, int logarithmic);
double between(double low, double high, double fraction, int logarithmic);
Entry draw(Draws *draws, int slot, int parameter, int applied, double origin);
int unrestricted(const Policy *policy, int slot);
void report_draws(const Draws *draws);

// geometry.c
int distorts(int slot);  // whether there is a matrix for it
void plan_geometry(const ImageStats *stats, Draws *draws, const Draws *first, Report *report);
double drawn_shortest_side(const Policy *policy, const int64_t key[3], int view, double width, double height);

// appearance.c
void plan_filters(const CropStats *crop, Draws *draws, int size, Report *report);
void plan_tone(const CropStats *crop, Draws *draws, const Limits *limits, Report *report);  // limits NULL: no guards
void plan_late(Draws *draws, Report *report);
void table_of(int slot, double amount, uint8_t table[256]);
int tabulates(int slot), colours(int slot);  // whether there is a table, a matrix for it
double ranked(double *values, int count, int rank);  // the value that `rank` others precede; `values` are put in another order

// chroma.c
void plan_chroma(const CropStats *crop, Draws *draws, const double colour[9], const Limits *limits, Report *report);  // after tone

// guards.c
Limits limits_of(const Policy *policy, double frame_mean, double frame_std, double image_mean);
int quick_limits(const ImageStats *stats, const Policy *policy, Limits *limits);
void lift_of(double mean, const Limits *limits, double lift[2]);
int needs_repair(const CropStats *crop, const Limits *limits);

// certificate.c
typedef struct { double crop_mean, crop_std, mean, std, whole_std, covariance, plain_covariance, clipped; } Evidence;
double certify(const Evidence *seen, const Limits *limits, int32_t *failed);

static inline double lesser(double a, double b) { return a < b ? a : b; }
static inline double greater(double a, double b) { return a > b ? a : b; }
static inline double clamp(double value, double low, double high) {  // high wins where low is above it
  value = value < low ? low : value;
  return value > high ? high : value;
}
