// What the library shows: functions marked CORE_API, and nothing else (-fvisibility=hidden).
#pragma once
#include <stdint.h>

#ifdef _WIN32
#define CORE_API __declspec(dllexport)
#else
#define CORE_API __attribute__((visibility("default")))
#endif

CORE_API const char *core_source_hash(void);  // of the sources that this library was compiled from
CORE_API int core_runs_v3(void);              // 1 where this processor and its system run x86-64-v3
CORE_API int64_t core_size(const char *name); // of the struct of this name in bytes, -1 where there is none
