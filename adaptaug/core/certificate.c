// The certificate: how much of a view may stand (promise/certificate.py has the reasoning).
#include "plan.h"

static const double STRENGTHS[] = {1.0, 0.75, 0.5, 0.25, 0.0};  // of the view against its safe crop
enum { PASSED, TOO_FLAT, TOO_CLIPPED, TOO_DARK_OR_BRIGHT, UNLIKE, FURTHER_OUT };  // certificate.TESTS

double certify(const Evidence *seen, const Limits *limits, int32_t *failed) {
  double variance = seen->whole_std * seen->whole_std, plain = seen->std * seen->std, own = seen->crop_std * seen->crop_std;
  *failed = PASSED;
  for (int i = 0; i < 5; i++) {
    double s = STRENGTHS[i], slack = s == 1.0 ? 0.0 : 0.5 * LEVEL;
    double mean = seen->crop_mean + s * (seen->mean - seen->crop_mean);
    double std2 = (1 - s) * (1 - s) * own + 2 * s * (1 - s) * seen->plain_covariance + s * s * plain;
    double all2 = (1 - s) * (1 - s) * own + 2 * s * (1 - s) * seen->covariance + s * s * variance;
    double common = (1 - s) * own + s * seen->covariance;
    int std_ok = sqrt(greater(std2, 0.0)) >= limits->std + (s > 0.0 ? slack : 0.0);
    int clip_ok = seen->clipped <= limits->promise->clip || s < 1.0;
    int mean_ok = mean >= limits->low && mean <= limits->high;
    all2 = greater(all2, 1e-12);
    double rounding = 0.5 * LEVEL * (1.0 / sqrt(greater(own, 1e-12)) + 1.0 / sqrt(all2));
    double floor = limits->promise->correlation + rounding + (s == 1.0 ? 0.0 : 0.02);
    int like_ok = (common * common >= floor * floor * own * all2 && common * common > 0.0) || s == 0.0;
    int further = (limits->dark && mean < seen->crop_mean - 0.5 * LEVEL) || (limits->bright && mean > seen->crop_mean + 0.5 * LEVEL);
    if (i == 0) *failed = !std_ok ? TOO_FLAT : !clip_ok ? TOO_CLIPPED : !mean_ok ? TOO_DARK_OR_BRIGHT : !like_ok ? UNLIKE : further ? FURTHER_OUT : PASSED;
    if (std_ok && clip_ok && mean_ok && like_ok && !further) return s;
  }
  return 0.0;
}
