// Round two: how a view looks, from the crop's statistics: filters, tone and colour, late operations
// (planning/appearance.py, promise/guards.py).
#include "plan.h"
#include <string.h>

static const double LUMA[3] = {0.299, 0.587, 0.114};

// What gain and offset may do to a crop; means are of luma in [0, 1].
typedef struct { double mean, low, high, least_gain, high_tail, low_tail; int reason_low, reason_high; } ToneRoom;

// A crop's sampled colours after a map, one row a channel.
typedef struct { double channel[3][SAMPLES_MOST]; } Colours;

// --- filters and tables -----------------------------------------------------------------------------------------------
static void gamma_table(double exponent, double *levels) { for (int i = 0; i < 256; i++) levels[i] = pow(levels[i], exponent); }
static void invert_table(double amount, double *levels) { for (int i = 0; i < 256; i++) levels[i] += amount * (1.0 - 2.0 * levels[i]); }
static void solarize_table(double threshold, double *levels) { for (int i = 0; i < 256; i++) if (levels[i] >= threshold) levels[i] = 1.0 - levels[i]; }
static void posterize_table(double bits, double *levels) {
  double step = exp2(8.0 - rint(bits));
  for (int i = 0; i < 256; i++) levels[i] = floor(levels[i] * 255.0 / step + 1e-6) * step / 255.0;
}

static void (*const TABLES[SLOTS])(double amount, double *levels) = {
  [GAMMA] = gamma_table, [INVERT] = invert_table, [SOLARIZE] = solarize_table, [POSTERIZE] = posterize_table,
};
int tabulates(int slot) { return TABLES[slot] != 0; }

void table_of(int slot, double amount, uint8_t table[256]) {
  double levels[256];
  for (int i = 0; i < 256; i++) levels[i] = i / 255.0;
  if (TABLES[slot]) TABLES[slot](amount, levels);
  for (int i = 0; i < 256; i++) table[i] = (uint8_t)rint(clamp(levels[i], 0.0, 1.0) * 255.0);
}

// The greatest sigma that leaves a crop most of its contrast: .6 correlation lengths.
static void guard_blur(const CropStats *crop, Draws *draws, int size, Entry *entry) {
  double limit = size > 32 ? clamp(0.6 * crop->reach, 0.0, 5.0) : 0.0, policy_high = entry->high;
  entry->low = lesser(limit, entry->low), entry->high = lesser(limit, entry->high);
  if (!entry->applied) return;
  if (entry->high < policy_high) entry->reason = size <= 32 ? TOO_SMALL : SHARPNESS;
  entry->value = between(entry->low, entry->high, within_of(draws, BLUR, 1, entry->low, entry->high, 0.0, 0), 0);
  entry->applied = entry->value > 0.0;
}

void plan_filters(const CropStats *crop, Draws *draws, int size, Report *report) {
  const Policy *policy = draws->policy;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (op->kind != FILTER && op->kind != TABLE) continue;
    int applied = applied_of(draws, slot);
    for (int k = 0; k < op->parameters; k++) report->entry[slot][k] = draw(draws, slot, k, applied, op->identity[k]);
    if (slot == BLUR && policy->guards && op->guard) guard_blur(crop, draws, size, &report->entry[BLUR][0]);
  }
}

// --- colour: 3x3 matrices on RGB that keep luma -----------------------------------------------------------------------
// Chroma turned in YIQ: RGB_from_YIQ diag(0, 1, 1) YIQ_from_RGB, and the same of the quarter turn (policy/ops.py).
static const double HUE_COS[9] = {0.7010000000000002, -0.587, -0.11400000000000016, -0.29900000000000004, 0.413, -0.11399999999999996, -0.299, -0.587, 0.8859999999999999};
static const double HUE_SIN[9] = {0.16773971356167122, 0.32930952231240845, -0.4970492358740797, -0.3281131289851208, 0.035466986935642715, 0.29264614204947803, 1.249545897888826, -1.046339197391512, -0.2032067004973141};
static void saturation(double amount, double m[9]) {
  double factor = 1.0 + amount;
  for (int i = 0; i < 9; i++) m[i] = factor * (i % 4 == 0) + (1.0 - factor) * LUMA[i % 3];
}
static void hue(double turns, double m[9]) {
  double c = cos(turns * (2 * PI)), s = sin(turns * (2 * PI));
  for (int i = 0; i < 9; i++) m[i] = LUMA[i % 3] + c * HUE_COS[i] + s * HUE_SIN[i];
}
static void temperature(double amount, double m[9]) {
  double gains[3] = {1.0 + 0.5 * amount, 1.0, 1.0 - 0.5 * amount};
  for (int i = 0; i < 9; i++) m[i] = gains[i / 3] * (i % 4 == 0) + LUMA[i % 3] * (1.0 - gains[i % 3]);
}
static void grey(double amount, double m[9]) { for (int i = 0; i < 9; i++) m[i] = (1.0 - amount) * (i % 4 == 0) + amount * LUMA[i % 3]; }

static void (*const COLOURS[SLOTS])(double amount, double m[9]) = {
  [SATURATION] = saturation, [HUE] = hue, [TEMPERATURE] = temperature, [GREY] = grey,
};
int colours(int slot) { return COLOURS[slot] != 0; }

static void colour_of(int slot, double amount, double m[9]) {
  for (int i = 0; i < 9; i++) m[i] = i % 4 == 0;
  if (COLOURS[slot]) COLOURS[slot](amount, m);
}

// No grey, no desaturation, where luma carries less than 30 % of the colour variance.
static void keep_colour(const CropStats *crop, Draws *draws, int slot, Entry *entry) {
  if (crop->luma_share >= 0.3) return;
  int drawn = entry->applied;
  double low = entry->low;
  if (draws->policy->operation[slot].on_or_off) {
    entry->applied = 0;
    entry->value = entry->low = entry->high = 0.0;
    if (drawn) entry->reason = ISOLUMINANT;
    return;
  }
  entry->low = greater(entry->low, 0.0);
  entry->high = greater(entry->high, entry->low);
  if (!drawn) return;
  entry->value = between(entry->low, entry->high, within_of(draws, slot, 1, entry->low, entry->high, 0.0, 0), 0);
  if (low != entry->low) entry->reason = ISOLUMINANT;
}

static void plan_colour(const CropStats *crop, Draws *draws, int guarded, double map[9], Report *report) {
  const Policy *policy = draws->policy;
  for (int i = 0; i < 9; i++) map[i] = i % 4 == 0;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (op->kind != COLOUR || slot == CHROMA) continue;
    Entry *entry = &report->entry[slot][0];
    *entry = draw(draws, slot, 0, applied_of(draws, slot), op->identity[0]);
    if (guarded && op->guard && (slot == GREY || slot == SATURATION)) keep_colour(crop, draws, slot, entry);
    if (!entry->applied) continue;
    double m[9], made[9];
    colour_of(slot, entry->value, m);
    for (int k = 0; k < 9; k++) made[k] = m[k / 3 * 3] * map[k % 3] + m[k / 3 * 3 + 1] * map[3 + k % 3] + m[k / 3 * 3 + 2] * map[6 + k % 3];
    for (int k = 0; k < 9; k++) map[k] = made[k];
  }
}

// --- tone -------------------------------------------------------------------------------------------------------------
static double smallest(double a, double b, double c) { return lesser(lesser(a, b), c); }
static double largest(double a, double b, double c) { return greater(greater(a, b), c); }

// The value that `rank` others precede in order; `values` are put in another order.
static double ranked_by_parts(double *values, int count, int rank) {
  int from = 0, to = count - 1;
  while (from < to) {
    double pivot = values[(from + to) / 2];
    int i = from, j = to;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        double kept = values[i];
        values[i++] = values[j], values[j--] = kept;
      }
    }
    if (rank <= j) to = j;
    else if (rank >= i) from = i;
    else break;
  }
  return values[rank];
}

// The same: counted in drawers first, as no branch can be foretold in `ranked_by_parts`, of which one is looked through.
double ranked(double *values, int count, int rank) {
  enum { DRAWERS = 64, MIDDLE = DRAWERS / 4 };  // 0 ... 1 are the middle half; what lies farther out is in the outermost
  int in_drawer[DRAWERS] = {0}, kept = 0, drawer = 0;
  uint8_t drawer_of[SAMPLES_MOST];
  for (int i = 0; i < count; i++) {
    drawer_of[i] = (uint8_t)clamp(values[i] * (DRAWERS / 2) + MIDDLE, 0.0, DRAWERS - 1.0);
    in_drawer[drawer_of[i]]++;
  }
  while (rank >= in_drawer[drawer]) rank -= in_drawer[drawer++];
  for (int i = 0; i < count; i++) {
    values[kept] = values[i];
    kept += drawer_of[i] == drawer;
  }
  return ranked_by_parts(values, kept, rank);
}

// Feasible means and gains: with H and L the channel values that the allowed share of pixels exceeds, gain g and mean'
// must satisfy mean' + g (H - mean) <= TOP and mean' - g (mean - L) >= BOTTOM.
static ToneRoom tone_room(const CropStats *crop, const Colours *coloured, const Limits *limits) {
  double most[SAMPLES_MOST], least[SAMPLES_MOST];
  int count = crop->samples, allowed = (int)(0.8 * limits->promise->clip * count);  // 0.8: the samples are a part of the pixels
  for (int i = 0; i < count; i++) {
    double r = coloured->channel[0][i], g = coloured->channel[1][i], b = coloured->channel[2][i];
    most[i] = crop->clipped[i] ? -9.0 : largest(r, g, b), least[i] = crop->clipped[i] ? 9.0 : smallest(r, g, b);
  }
  ToneRoom room = {crop->mean, 0, 0, 0, ranked(most, count, count - 1 - allowed), ranked(least, count, allowed), CLIPPING, CLIPPING};
  room.least_gain = clamp(1.1 * limits->std / greater(crop->std, 1e-6), 0.0, 6.0);
  double low = greater(BOTTOM + room.least_gain * greater(crop->mean - room.low_tail, 0.0), limits->low + LEVEL);
  double high = lesser(TOP - room.least_gain * greater(room.high_tail - crop->mean, 0.0), limits->high - LEVEL);
  if (limits->dark && limits->own > low) low = limits->own, room.reason_low = DARK;
  if (limits->bright && limits->own < high) high = limits->own, room.reason_high = BRIGHT;
  if (low > high) low = high = clamp(crop->mean, limits->low, limits->high);
  room.low = low, room.high = high;
  return room;
}

static double greatest_gain(const ToneRoom *room, double target) {
  double above = room->high_tail - room->mean, below = room->mean - room->low_tail;
  double top = above > 1e-6 ? (TOP - target) / above : 1e6, bottom = below > 1e-6 ? (target - BOTTOM) / below : 1e6;
  return greater(lesser(top, bottom), room->least_gain);
}

// Whether the samples keep the promise with the tone at a share of its strength.
static int tone_keeps(const CropStats *crop, const Colours *target, double share, const Limits *limits) {
  double total = 0.0, squares = 0.0, luma[SAMPLES_MOST];
  int count = crop->samples, newly = 0;
  for (int i = 0; i < count; i++) {
    double c[3];
    for (int k = 0; k < 3; k++) {
      double from = crop->sample[k][i];
      c[k] = share == 1.0 ? target->channel[k][i] : from + share * (target->channel[k][i] - from);
    }
    newly += (largest(c[0], c[1], c[2]) > TOP || smallest(c[0], c[1], c[2]) < BOTTOM) && !crop->clipped[i];
    luma[i] = clamp(c[0], 0.0, 1.0) * LUMA[0] + clamp(c[1], 0.0, 1.0) * LUMA[1] + clamp(c[2], 0.0, 1.0) * LUMA[2];
    total += luma[i];
  }
  double sampled = total / count;
  for (int i = 0; i < count; i++) squares += (luma[i] - sampled) * (luma[i] - sampled);
  // The samples give the change of mean and std; where it starts is known from all of the pixels.
  double mean = crop->mean + sampled - crop->sampled_mean;
  double std = crop->std * sqrt(squares / count / greater(crop->sampled_variance, 1e-9));
  return (double)newly / count <= 0.87 * limits->promise->clip && std >= 1.05 * limits->std + (limits->std > 0.0 ? 0.5 * LEVEL : 0.0)
      && mean >= limits->low + 0.5 * LEVEL && mean <= limits->high - 0.5 * LEVEL
      && !(limits->dark && mean < limits->own - 0.2 * LEVEL) && !(limits->bright && mean > limits->own + 0.2 * LEVEL);
}

// A target for the view's mean: the wanted interval cut to the feasible one, reported as (mean - origin) / unit.
static Entry mean_entry(Draws *draws, int slot, double want_low, double want_high, int applied, const ToneRoom *room, double origin, double unit) {
  double low = clamp(want_low, room->low, room->high), high = clamp(want_high, room->low, room->high);
  Entry entry = {0.0, (low - origin) / unit, (high - origin) / unit, NOT_DRAWN, applied};
  if (!applied && !draws->met) return entry;
  double mean = low + within_of(draws, slot, 1, low, high, room->mean, 0) * (high - low);
  if (!applied) return entry;
  entry.value = (mean - origin) / unit;
  entry.reason = low > want_low ? room->reason_low : high < want_high ? room->reason_high : WHOLE_RANGE;
  return entry;
}

// torchvision's brightness and contrast, fused: x (1 + b) (1 + c) - (1 + b) c mean. The order is immaterial.
static void manual_tone(const CropStats *crop, Draws *draws, double *gain, double *offset, Report *report) {
  const Policy *policy = draws->policy;
  int exposed = applied_of(draws, EXPOSURE);
  *gain = 1.0, *offset = 0.0;
  if (policy->operation[EXPOSURE].present) {
    report->entry[EXPOSURE][0] = draw(draws, EXPOSURE, 0, exposed, crop->mean);
    report->entry[EXPOSURE][1] = draw(draws, EXPOSURE, 1, exposed, crop->std);
  }
  static const int pair[2] = {BRIGHTNESS, CONTRAST};
  for (int i = 0; i < 2; i++) {
    if (!policy->operation[pair[i]].present) continue;
    Entry entry = draw(draws, pair[i], 0, applied_of(draws, pair[i]) && !exposed, 0.0);
    report->entry[pair[i]][0] = entry;
    if (pair[i] == CONTRAST) *offset = -*gain * entry.value * crop->mean;
    *gain *= 1.0 + entry.value;
  }
  if (!exposed) return;
  *gain = clamp(report->entry[EXPOSURE][1].value / greater(crop->std, 1e-6), 0.0, policy->operation[EXPOSURE].setting);
  *offset = report->entry[EXPOSURE][0].value - *gain * crop->mean;
}

// Who sets the view's tone, and to what mean; the range of the gain and where in it.
typedef struct { double mean, gain_low, gain_high, fraction; int exposed, contrasted, drawn; } Tone;

static Tone choose_mean(const CropStats *crop, Draws *draws, const ToneRoom *room, const Limits *limits, Report *report) {
  const Operation *exposure = &draws->policy->operation[EXPOSURE], *brightness = &draws->policy->operation[BRIGHTNESS];
  int repair = needs_repair(crop, limits);
  Tone tone = {repair ? clamp(crop->mean, room->low, room->high) : crop->mean, 1.0, 1.0, 0.0, applied_of(draws, EXPOSURE), 0, repair};
  if (exposure->present) {
    Entry *entry = &report->entry[EXPOSURE][0];
    *entry = mean_entry(draws, EXPOSURE, exposure->low[0], exposure->high[0], tone.exposed, room, 0.0, 1.0);
    if (tone.exposed) tone.mean = entry->value, tone.drawn = 1;
  }
  if (brightness->present) {
    int applied = applied_of(draws, BRIGHTNESS) && !tone.exposed;
    Entry *entry = &report->entry[BRIGHTNESS][0];
    // Half the amount of mid-grey, whatever the crop's own mean: a dark crop moves as far as any.
    *entry = mean_entry(draws, BRIGHTNESS, crop->mean + 0.5 * brightness->low[0], crop->mean + 0.5 * brightness->high[0], applied, room, crop->mean, 0.5);
    if (applied) tone.mean = crop->mean + 0.5 * entry->value, tone.drawn = 1;
    if (tone.exposed) entry->reason = EXCLUSIVE;
  }
  return tone;
}

static void choose_gain_range(const CropStats *crop, Draws *draws, Tone *tone) {
  const Operation *exposure = &draws->policy->operation[EXPOSURE], *contrast = &draws->policy->operation[CONTRAST];
  tone->contrasted = applied_of(draws, CONTRAST) && !tone->exposed;
  if (tone->contrasted) {
    tone->gain_low = 1.0 + contrast->low[0], tone->gain_high = 1.0 + contrast->high[0];
    tone->fraction = fraction_of(draws, CONTRAST, 1), tone->drawn = 1;
  }
  if (tone->exposed) {
    tone->gain_low = lesser(exposure->low[1] / greater(crop->std, 1e-6), exposure->setting);
    tone->gain_high = lesser(exposure->high[1] / greater(crop->std, 1e-6), exposure->setting);
    tone->fraction = fraction_of(draws, EXPOSURE, 2);
  }
}

// Tone in the coordinates (mean, std) of the view: the mean from its feasible interval, then the gain.
static void guarded_tone(const CropStats *crop, const Colours *coloured, Draws *draws, const Limits *limits, double *gain, double *offset, Report *report) {
  const Policy *policy = draws->policy;
  ToneRoom room = tone_room(crop, coloured, limits);
  Tone tone = choose_mean(crop, draws, &room, limits, report);
  choose_gain_range(crop, draws, &tone);
  double greatest = greatest_gain(&room, tone.mean);
  double low = clamp(tone.gain_low, room.least_gain, greatest), high = clamp(tone.gain_high, room.least_gain, greatest);
  static const int slots[2] = {CONTRAST, EXPOSURE};  // a gain of 1 is where both start
  for (int i = 0; i < 2; i++) {
    if (!draws->has_power[slots[i]] || !policy->operation[slots[i]].present) continue;
    double moved = moved_of(draws, slots[i], i + 1, tone.fraction, position_of(1.0, low, high, 0));
    if (i ? tone.exposed : tone.contrasted) tone.fraction = moved;
  }
  *gain = tone.drawn ? low + tone.fraction * (high - low) : 1.0;
  *offset = tone.drawn ? tone.mean - *gain * crop->mean : 0.0;
  int reason = tone.gain_high > greatest ? CLIPPING : tone.gain_low < room.least_gain ? KEEPS_CONTRAST : WHOLE_RANGE;
  if (policy->operation[CONTRAST].present) {
    const Operation *op = &policy->operation[CONTRAST];
    Entry entry = {0.0, tone.exposed ? op->low[0] : low - 1.0, tone.exposed ? op->high[0] : high - 1.0, tone.exposed ? EXCLUSIVE : NOT_DRAWN, tone.contrasted};
    if (tone.contrasted) entry.value = *gain - 1.0, entry.reason = reason;
    report->entry[CONTRAST][0] = entry;
  }
  if (policy->operation[EXPOSURE].present) {
    Entry entry = {tone.exposed ? *gain * crop->std : 0.0, low * crop->std, high * crop->std, tone.exposed ? reason : NOT_DRAWN, tone.exposed};
    report->entry[EXPOSURE][1] = entry;
  }
}

// Entries of tone and colour after all of it was weakened together: the values that the view really has.
static void draw_back(const CropStats *crop, const Policy *policy, double strength, Report *report) {
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (op->kind != TONE && op->kind != COLOUR) continue;
    for (int k = 0; k < op->parameters; k++) {
      Entry *entry = &report->entry[slot][k];
      if (!entry->applied) continue;
      double start = slot != EXPOSURE ? 0.0 : k ? crop->std : crop->mean;
      entry->value = start + strength * (entry->value - start), entry->reason = TONE_REDUCED;
    }
  }
}

// Gain, offset and colour as one affine map of RGB in [0, 1], into report->colour (3 x 4).
void plan_tone(const CropStats *crop, Draws *draws, const Limits *limits, Report *report) {
  double map[9], colour[9], gain, offset;
  report->evidence[CROP_MEAN] = crop->mean, report->evidence[CROP_STD] = crop->std;
  plan_colour(crop, draws, limits != 0, map, report);
  memcpy(colour, map, sizeof colour);
  if (!limits) {
    manual_tone(crop, draws, &gain, &offset, report);
    for (int i = 0; i < 9; i++) map[i] *= gain;
  } else {
    Colours coloured;
    for (int k = 0; k < 3; k++)
      for (int i = 0; i < crop->samples; i++)
        coloured.channel[k][i] = map[3 * k] * crop->sample[0][i] + map[3 * k + 1] * crop->sample[1][i] + map[3 * k + 2] * crop->sample[2][i];
    guarded_tone(crop, &coloured, draws, limits, &gain, &offset, report);
    for (int k = 0; k < 3; k++)
      for (int i = 0; i < crop->samples; i++) coloured.channel[k][i] = coloured.channel[k][i] * gain + offset;
    double strength = tone_keeps(crop, &coloured, 1.0, limits) ? 1.0 : tone_keeps(crop, &coloured, 0.5, limits) ? 0.5 : 0.0;
    report->evidence[LUMA_SHARE] = crop->luma_share, report->evidence[CLIP] = limits->promise->clip;
    report->evidence[STD_FLOOR] = limits->std, report->evidence[TONE_STRENGTH] = strength;
    for (int i = 0; i < 9; i++) map[i] *= gain;
    if (strength < 1.0) {
      for (int i = 0; i < 9; i++) map[i] = (i % 4 == 0) + (map[i] - (i % 4 == 0)) * strength;
      offset *= strength;
      draw_back(crop, draws->policy, strength, report);
    }
  }
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) report->colour[4 * i + j] = map[3 * i + j];
    report->colour[4 * i + 3] = offset;
  }
  plan_chroma(crop, draws, colour, limits, report);
}

// --- late -------------------------------------------------------------------------------------------------------------
void plan_late(Draws *draws, Report *report) {
  const Policy *policy = draws->policy;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (op->kind != LATE) continue;
    int applied = applied_of(draws, slot);
    for (int k = 0; k < op->parameters; k++) report->entry[slot][k] = draw(draws, slot, k, applied, op->identity[k]);
  }
  if (policy->guards && policy->operation[ERASE].present) {
    Entry *area = &report->entry[ERASE][0];
    area->value = lesser(area->value, policy->erased), area->low = lesser(area->low, policy->erased), area->high = lesser(area->high, policy->erased);
  }
  report->noise_seed = (int64_t)(number_of(draws, NOISE, 7) * 0x1p24);
}
