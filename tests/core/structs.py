"""What crosses the border to pixels.h's functions, and memory that shows what is written outside it."""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_int64, c_size_t, c_void_p

GUARD, MARK = 64, 0xA5  # bytes that nothing may write to, before and behind


class Arena(ctypes.Structure):
    _fields_ = [("start", c_void_p), ("room", c_size_t), ("used", c_size_t), ("failed", c_int)]


class Planes(ctypes.Structure):
    _fields_ = [("plane", c_void_p * 4)]


class Sums(ctypes.Structure):
    _fields_ = [("sum", c_int64), ("square", c_int64)]

    def told(self) -> tuple[int, int]:
        return self.sum, self.square
