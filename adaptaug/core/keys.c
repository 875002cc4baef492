// Random numbers from a key, and what a view draws with them (backend/keys.py, planning/draws.py).
#include "plan.h"

#define GOLDEN 0x9E3779B97F4A7C15ull
#define FURTHEST 3.0  // standard deviations beyond which an image counts as no more unusual (conditional.REACH)

uint64_t mixed(uint64_t bits) {  // one SplitMix64 step
  bits += GOLDEN;
  bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9ull;
  bits = (bits ^ bits >> 27) * 0x94D049BB133111EBull;
  return bits ^ bits >> 31;
}

static uint64_t state_of(const int64_t key[3], int view) {
  uint64_t state = 0;
  for (int i = 0; i < 3; i++) state = mixed(state ^ (uint64_t)key[i]);
  return mixed(state ^ (uint64_t)view);
}

static void times(double *factors, uint8_t *has, int slot, double factor) {
  factors[slot] = has[slot] ? factors[slot] * factor : factor;
  has[slot] = 1;
}

// exp(w . s) of every operation with weights; those of 0 are left out: they change no bit.
static void condition(Draws *draws, const ImageStats *stats) {
  const Policy *policy = draws->policy;
  double unusual[STATISTICS];
  for (int k = 0; k < STATISTICS; k++)
    unusual[k] = policy->deviation[k] > 0.0
        ? clamp((stats->statistic[k] - policy->usual[k]) / policy->deviation[k], -FURTHEST, FURTHEST) : 0.0;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    for (int kind = 0; kind < 2; kind++) {
      const double *weights = kind ? policy->weight_strength[slot] : policy->weight_p[slot];
      double total = 0.0;
      int any = 0;
      for (int k = 0; k < STATISTICS; k++)
        if (weights[k] != 0.0) total += (kind ? -weights[k] : weights[k]) * unusual[k], any = 1;
      if (any && kind) times(draws->power, draws->has_power, slot, exp(total));
      if (any && !kind) times(draws->odds, draws->has_odds, slot, exp(total));
    }
  }
}

static void push(Draws *draws, double by) {
  const Policy *policy = draws->policy;
  double odds = exp(by), power = exp(-by);
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    const Operation *op = &policy->operation[slot];
    if (op->lock || op->p == 0.0) continue;
    // Two views differ most where half of them are flipped: no push takes a switch's p further than that.
    double most = greater((1.0 - op->p) / op->p, 1.0);
    times(draws->odds, draws->has_odds, slot, op->on_or_off ? clamp(odds, 0.0, most) : odds);
    times(draws->power, draws->has_power, slot, power);
  }
}

void start_draws(Draws *draws, const Policy *policy, const int64_t key[3], int view, const ImageStats *stats, const Moves *moves, Report *report) {
  draws->policy = policy;
  draws->own = state_of(key, view);
  draws->first = view ? state_of(key, 0) : draws->own;
  draws->report = report;
  draws->met = moves && moves->moved;
  for (int i = 0; i < SLOTS; i++) draws->has_odds[i] = draws->has_power[i] = 0;
  if (policy->conditional && stats) condition(draws, stats);
  if (moves && moves->moved) {
    for (int slot = 0; slot < SLOTS; slot++) {
      if (moves->moves_p[slot]) times(draws->odds, draws->has_odds, slot, exp(moves->p[slot]));
      if (moves->moves_strength[slot]) times(draws->power, draws->has_power, slot, exp(-moves->strength[slot]));
    }
  } else if (moves && moves->pushed) {
    push(draws, moves->push);
  }
}

double number_of(const Draws *draws, int slot, int index) {
  uint64_t state = draws->policy->operation[slot].shared ? draws->first : draws->own;
  return (double)(mixed(state ^ (uint64_t)(slot * SLOTS_PER_OP + index)) >> 40) * 0x1p-24;
}

double probability_of(const Draws *draws, int slot) {
  const Operation *op = &draws->policy->operation[slot];
  if (!draws->has_odds[op->leader]) return op->p;
  double odds = draws->odds[op->leader];
  return op->p * odds / (1.0 - op->p + op->p * odds);
}

int applied_of(const Draws *draws, int slot) {
  const Operation *op = &draws->policy->operation[slot];
  return op->present && number_of(draws, op->leader, 0) < probability_of(draws, slot);
}

double fraction_of(const Draws *draws, int slot, int index) {  // Kumaraswamy's inverse
  const double *shape = draws->policy->operation[slot].shape, uniform = number_of(draws, slot, index);
  if (shape[0] == 1.0 && shape[1] == 1.0) return uniform;
  return pow(1.0 - pow(1.0 - uniform, 1.0 / shape[1]), 1.0 / shape[0]);
}

double position_of(double value, double low, double high, int logarithmic) {
  if (logarithmic) value = log(value), low = log(low), high = log(high);
  return clamp((value - low) / greater(high - low, 1e-12), 0.0, 1.0);
}

double between(double low, double high, double fraction, int logarithmic) {
  if (!logarithmic) return low + fraction * (high - low);
  double start = log(low);
  return exp(start + fraction * (log(high) - start));
}

// A fraction moved away from `start`, the identity's, for a power below 1, and towards it for one above.
static double further(double fraction, double power, double start) {
  double way = fraction >= start ? 1.0 - start : -start;
  double share = clamp((fraction - start) / (way == 0.0 ? 1.0 : way), 0.0, 1.0);
  return start + way * pow(share, power);
}

double moved_of(Draws *draws, int slot, int index, double fraction, double start) {
  if (draws->met && draws->report) {
    draws->report->fraction[slot][index] = fraction;
    draws->report->start[slot][index] = start;
  }
  return further(fraction, draws->power[slot], start);
}

double within_of(Draws *draws, int slot, int index, double low, double high, double identity, int logarithmic) {
  double fraction = fraction_of(draws, slot, index);
  if (!draws->has_power[slot]) return fraction;
  return moved_of(draws, slot, index, fraction, position_of(identity, low, high, logarithmic));
}

int unrestricted(const Policy *policy, int slot) {
  return policy->guards && policy->operation[slot].guard ? WHOLE_RANGE : UNGUARDED;
}

// A number from the policy's whole range; `origin`: what leaves the image alone.
Entry draw(Draws *draws, int slot, int parameter, int applied, double origin) {
  const Operation *op = &draws->policy->operation[slot];
  Entry entry = {op->identity[parameter], op->low[parameter], op->high[parameter], NOT_DRAWN, applied};
  if (!applied && !draws->met) return entry;
  int logarithmic = op->logarithmic[parameter];
  double fraction = op->place[parameter] ? fraction_of(draws, slot, 1 + parameter)
      : within_of(draws, slot, 1 + parameter, entry.low, entry.high, origin, logarithmic);
  if (!applied) return entry;
  entry.value = between(entry.low, entry.high, fraction, logarithmic);
  entry.reason = unrestricted(draws->policy, slot);
  return entry;
}

void report_draws(const Draws *draws) {
  const Policy *policy = draws->policy;
  for (int i = 0; i < policy->count; i++) {
    int slot = policy->order[i];
    if (draws->has_odds[policy->operation[slot].leader]) draws->report->probability[slot] = probability_of(draws, slot);
    if (draws->has_power[slot]) draws->report->power[slot] = draws->power[slot];
    draws->report->gate[slot] = applied_of(draws, slot);
  }
}
