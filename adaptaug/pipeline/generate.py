"""The one path from an image to a view in torch: measure, plan where, warp, measure, plan tone, render, certify.

The core goes the same path in C (core/views.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from adaptaug import planning
from adaptaug.backend.arrays import Array, choose, matrices
from adaptaug.device import engine as engine
from adaptaug.params import Entry, ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.conditional import Moves
from adaptaug.policy.ops import OPS
from adaptaug.promise import guards
from adaptaug.promise.certificate import Evidence, certify
from adaptaug.promise.reasons import Reason
from adaptaug.stats.crop import CropStats
from adaptaug.stats.image import ImageStats, measure_pixels


@dataclass(frozen=True)
class Look:
    """What is known of the sources before any view is drawn, shared by all views of an image."""

    stats: ImageStats
    frame: Any  # the full frame at the view's size; None without guards
    limit: guards.Limits | None
    blank: Array
    push: Array | Moves | None = None  # (B,) how much stronger than the policy each image's views shall be


def look(pixels: torch.Tensor, policy: Policy, size: int) -> Look:
    """Measure the sources and, for a guarded policy, their full frames at the view's size."""
    stats = measure_pixels(pixels)
    if not policy.guards:
        return Look(stats, None, None, torch.zeros_like(pixels[:, 0, 0, 0], dtype=torch.bool))
    frame = full_frame(pixels, stats, size)
    mean, std = engine.moments(engine.luma(frame))
    return Look(stats, frame, guards.limits(policy.promise, mean, std, stats.mean), engine.blank(frame, std))


def full_frame(pixels: torch.Tensor, stats: ImageStats, size: int) -> torch.Tensor:
    """The whole image squeezed into a view."""
    if stats.height == stats.width == size:
        return pixels
    matrix, span = _frame_geometry(stats)
    return engine.warp(pixels, matrix, span, size)


def _frame_geometry(stats: ImageStats) -> tuple[Array, Array]:
    """Matrices and spans of the whole image squeezed into a view."""
    zero = stats.mean * 0.0
    half = zero + 0.5
    return matrices([[half, 0.0, half], [0.0, half, half], [0.0, 0.0, 1.0]], half), zero + 1.0


def make_view(
    pixels: torch.Tensor, keys: torch.Tensor, view: int, policy: Policy, size: int, seen: Look
) -> tuple[torch.Tensor, ViewParams]:
    """One view of each image, and everything that was decided for it.

    Args:
        pixels: (B, 3, H, W) float levels; keys: (B, 3) rows of (seed, epoch, index); view: its number; size: side in
            pixels; seen: from `look`.
    Returns: the views' pixels and their ViewParams.
    """
    # Overlap is with view 0's crop, which is planned again: a plan is a function of statistics and key alone.
    overlaps = view and policy.pair.overlap is not None
    first = planning.Draws(policy, keys, 0, seen.stats, seen.push) if overlaps else None
    policy = policy.for_view(view)
    draws = planning.Draws(policy, keys, view, seen.stats, seen.push)
    where = planning.plan_where(seen.stats, policy, draws, size, first)
    safe = _safe_crop(pixels, where, size, seen)
    evidence = where.evidence | {"image_mean": seen.stats.mean, "image_std": seen.stats.contrast}
    limit = seen.limit
    if limit is not None:
        limit = limit._replace(own=safe.stats.mean)
        evidence |= {"flat_std": safe.drawn_std, "reach": safe.stats.reach}

    entries = planning.plan_filters(safe.stats, policy, draws, size)
    filtered, now = safe.pixels, safe.stats
    if entries and engine.any_true(_any([entry.applied for entry in entries.values()])):
        filtered = engine.filters(safe.pixels, entries)
        now = engine.crop_stats(filtered, engine.luma(filtered))
    colour, tone, tone_evidence = planning.plan_tone(now, policy, draws, limit)
    toned = engine.affine(filtered, colour)
    late, seed = planning.plan_late(policy, draws)
    noised = engine.late(toned, late, seed, covers=False)
    out = engine.late(noised, late, seed, covers=True)

    strength = torch.ones_like(safe.stats.mean)
    failed = torch.zeros_like(strength, dtype=torch.int64)
    if limit is not None:
        certificate = certify(_evidence(safe, toned, noised, out, limit), limit)
        strength, failed = torch.where(seen.blank, 0.0, certificate[0]), certificate[1]
        if engine.any_true(strength < 1.0):
            out = engine.blend(safe.pixels, out, strength)
    if seen.push is not None and not isinstance(seen.push, Moves):
        evidence |= {"push": seen.push, "image_contrast": seen.stats.contrast}
    drawn = _framed(where.entries, safe.frame) | entries | tone | late
    params = ViewParams(
        size=size, view=view, keys=keys, entries=drawn, matrix=safe.matrix, span=safe.span,
        lift=safe.lift, colour=colour, noise_seed=seed, strength=strength, failed=failed,
        frame=safe.frame & ~seen.blank, blank=seen.blank, guards=policy.guards,
        evidence=evidence | tone_evidence | draws.evidence(),
    )  # fmt: skip
    return out, params


class _Safe(NamedTuple):
    """The safe crop: what a view is judged against, and what it falls back to."""

    pixels: Any
    plane: Any  # its luma
    stats: CropStats
    drawn_std: Array  # of the crop as it was drawn
    matrix: Array
    span: Array
    lift: Array
    frame: Array  # (B,) whether the full frame took its place


def _safe_crop(pixels: torch.Tensor, where: planning.Where, size: int, seen: Look) -> _Safe:
    """The crop where the plan says; the full frame where that is flat; lifted where it is too dark or too bright."""
    matrix, span, limit = where.matrix, where.span, seen.limit
    crop = engine.warp(pixels, matrix, span, size)
    plane = engine.luma(crop)
    stats = engine.crop_stats(crop, plane)
    mean, std = stats.moments
    frame, scale, offset = mean > 9.0, torch.ones_like(mean), torch.zeros_like(mean)
    if limit is not None:
        scale, offset = guards.lift(mean, limit)
        frame = (std * scale < limit.std + 0.5 * guards.LEVEL * (scale < 1.0)) | seen.blank
        scale, offset = torch.where(frame, 1.0, scale), torch.where(frame, 0.0, offset)
        if engine.any_true(frame | (scale < 1.0)):
            frame_matrix, frame_span = _frame_geometry(seen.stats)
            matrix, span = choose(frame, frame_matrix, matrix), torch.where(frame, frame_span, span)
            crop = engine.select(frame, seen.frame, crop)
            crop = engine.lift(crop, torch.stack([scale, offset], -1))
            plane = engine.luma_again(frame | (scale < 1.0), crop, plane)
            stats = engine.crop_stats(crop, plane)
    return _Safe(crop, plane, stats, std, matrix, span, torch.stack([scale, offset], -1), frame)


def _framed(entries: dict[str, Entry], frame: Array) -> dict[str, Entry]:
    """The geometry's entries where the full frame took the crop's place: nothing of them is left."""
    out = {}
    for name, entry in entries.items():
        op, _, part = name.partition(".")
        value = torch.where(frame, OPS[op].parameters[part or "range"].identity, entry.value)
        reason = torch.where(frame, Reason.FLAT_CROP, entry.reason)
        out[name] = entry._replace(value=value, reason=reason, applied=entry.applied & ~frame)
    return out


def _any(flags: list[Array]) -> Array:
    total = flags[0]
    for flag in flags[1:]:
        total = total | flag
    return total


def _evidence(
    safe: _Safe, toned: Any, noised: Any, out: Any, limit: guards.Limits
) -> Evidence:  # fmt: skip
    """The moments that the certificate judges, computed once where no late operation changes them."""
    toned_plane = engine.luma(toned)
    mean, std = engine.moments(toned_plane)
    covariance = engine.covariance(toned_plane, safe.plane)
    whole_std, whole_covariance = std, covariance
    if noised is not toned:
        noised_plane = engine.luma(noised)
        whole_mean, whole_std = engine.moments(noised_plane)
        whole_covariance, mean = engine.covariance(noised_plane, safe.plane), whole_mean
    if out is not noised:
        mean, _ = engine.moments(engine.luma(out))
    clipped = engine.newly_clipped(out, safe.pixels, limit.promise.clip)
    return Evidence(
        safe.stats.mean, safe.stats.std, mean, std, whole_std, whole_covariance, covariance, clipped
    )


def replay(
    pixels: torch.Tensor, params: ViewParams, nearest: bool = False, tone: bool = True
) -> torch.Tensor:
    """The views that `params` describe, measuring nothing. `tone=False` follows the geometry alone."""
    crop = engine.warp(pixels, params.matrix, params.span, params.size, nearest)
    if not tone:
        return crop
    crop = engine.lift(crop, params.lift)
    out = engine.affine(engine.filters(crop, params.entries), params.colour)
    for covers in (False, True):
        out = engine.late(out, params.entries, params.noise_seed, covers)
    return engine.blend(crop, out, params.strength)
