// Memory for one thread's work: see pixels.h.
#include "pixels.h"

enum { ALIGNED = 64, BEHIND = 64 };

void *arena_take(Arena *arena, size_t bytes) {
  const uintptr_t front = (uintptr_t)arena->start + arena->used;
  const size_t skipped = (size_t)(-front & (ALIGNED - 1)), left = arena->room - arena->used;
  if (skipped + BEHIND > left || bytes > left - skipped - BEHIND) {
    arena->failed = 1;
    return NULL;
  }
  arena->used += skipped + bytes + BEHIND;
  return (u8 *)front + skipped;
}
