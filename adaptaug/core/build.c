// What the loader asks before it trusts a library. (The sources' hash is in a file that setup.py writes: a change in one
// of them compiles that one and the hash, not all.)
#include "build.h"

#include <string.h>

#include "views.h"

// Structs that Python has too, by name.
int64_t core_size(const char *name) {
#define SIZE(Struct) {#Struct, sizeof(Struct)}
  static const struct { const char *name; int64_t bytes; } sizes[] = {SIZE(Operation), SIZE(Policy), SIZE(Moves), SIZE(Entry), SIZE(Report), SIZE(Routing), SIZE(Source), SIZE(Output)};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!strcmp(name, sizes[i].name)) return sizes[i].bytes;
  return -1;
}

#ifdef __x86_64__
#include <cpuid.h>

// Registers that a function of CPUID's `leaf` fills, zeros where this processor has no such leaf.
typedef struct { unsigned a, b, c, d; } Leaf;
static Leaf leaf(unsigned number) {
  Leaf l = {0, 0, 0, 0};
  __get_cpuid_count(number, 0, &l.a, &l.b, &l.c, &l.d);
  return l;
}

// Asked by hand: zig's __builtin_cpu_supports links and always says no.
int core_runs_v3(void) {
  const unsigned one = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C, seven = bit_AVX2 | bit_BMI | bit_BMI2;
  if ((leaf(1).c & one) != one || (leaf(7).b & seven) != seven || !(leaf(0x80000001).c & bit_LZCNT)) return 0;
  unsigned low, high;  // XCR0: does the system keep xmm (bit 1) and ymm (bit 2) when it switches threads?
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & 6) == 6;
}
#else
int core_runs_v3(void) { return 0; }
#endif
