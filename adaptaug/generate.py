"""The one path from an image to a view: measure, plan where, warp, measure, plan tone, render, certify.

Written once over an engine (`render.torch` for batches, `render.opencv` for one image) whose functions have
the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from adaptaug import guard, plan
from adaptaug.arrays import Array, double, integer, matrices, namespace
from adaptaug.conditional import Moves
from adaptaug.measure import ImageStats, measure_pixels
from adaptaug.ops import OPS
from adaptaug.params import Entry, ViewParams
from adaptaug.policy import Policy


@dataclass(frozen=True)
class Look:
    """What is known of the sources before any view is drawn, shared by all views of an image."""

    stats: ImageStats
    frame: Any  # the full frame at the view's size
    limit: guard.Limits | None
    blank: Array
    push: Array | Moves | None = None  # (B,) how much stronger than the policy each image's views shall be


def look(engine: ModuleType, pixels: Any, policy: Policy, size: int) -> Look:
    """Measure the sources and, for a guarded policy, their full frames at the view's size."""
    stats = measure_pixels(pixels)
    if not policy.guards:
        return Look(stats, None, None, stats.mean > 9.0)
    matrix, reduce = _frame(stats, size)
    same = stats.height == stats.width == size
    frame = pixels if same else engine.warp(pixels, matrix, reduce, size)
    mean, std = engine.moments(engine.luma(frame))
    return Look(stats, frame, guard.limits(policy.promise, mean, std, stats.mean), engine.blank(frame))


def _frame(stats: ImageStats, size: int) -> tuple[Array, Array]:
    """Matrices and reduction factors of the whole image squeezed into a view."""
    half = stats.mean * 0.0 + 0.5
    matrix = matrices([[half, 0.0, half], [0.0, half, half], [0.0, 0.0, 1.0]], half)
    return matrix, integer(stats.mean * 0.0 + max(1, min(stats.height, stats.width) // size))


def make_view(
    engine: ModuleType, pixels: Any, keys: Array, view: int, policy: Policy, size: int, seen: Look
) -> tuple[Any, ViewParams]:
    """One view of each image, and everything that was decided for it.

    Args:
        engine: `render.torch` or `render.opencv`; pixels: what it renders; keys: (B, 3) rows of
            (seed, epoch, index); view: its number; size: side in pixels; seen: from `look`.
    Returns: the views' pixels and their ViewParams.
    """
    # Overlap is with view 0's crop, which is planned again: a plan is a function of statistics and key alone.
    overlaps = view and policy.pair.overlap is not None
    first = plan.Draws(policy, keys, 0, seen.stats, seen.push) if overlaps else None
    policy = policy.for_view(view)
    draws = plan.Draws(policy, keys, view, seen.stats, seen.push)
    where = plan.plan_where(seen.stats, policy, draws, size, first)
    matrix, reduce, evidence = where.matrix, where.reduce, where.evidence
    crop = engine.warp(pixels, matrix, reduce, size)
    plane = engine.luma(crop)
    crop_mean, crop_std = engine.moments(plane)
    xp = namespace(crop_mean)
    limit, nothing = seen.limit, crop_mean > 9.0
    frame, scale, offset = nothing, crop_mean * 0.0 + 1.0, crop_mean * 0.0
    if limit is not None:
        scale, offset = guard.lift(crop_mean, limit)
        frame = (crop_std * scale < limit.std + 0.5 * guard.LEVEL * (scale < 1.0)) | seen.blank
        scale, offset = xp.where(frame, 1.0, scale), xp.where(frame, 0.0, offset)
        if engine.any_true(frame | (scale < 1.0)):
            frame_matrix, frame_reduce = _frame(seen.stats, size)
            matrix = xp.where(frame[:, None, None], frame_matrix, matrix)
            reduce = xp.where(frame, frame_reduce, reduce)
            crop = engine.lift(engine.select(frame, seen.frame, crop), xp.stack([scale, offset], -1))
            plane = engine.luma(crop)
    safe = engine.crop_stats(crop, plane)
    if limit is not None:
        limit = replace(limit, own=safe.mean)
        evidence |= {"flat_std": crop_std, "reach": safe.reach}

    entries = plan.plan_filters(safe, policy, draws, size)
    filtered, now = crop, safe
    if entries and engine.any_true(_any([entry.applied for entry in entries.values()])):
        filtered = engine.filters(crop, entries)
        now = engine.crop_stats(filtered, engine.luma(filtered))
    colour, tone, tone_evidence = plan.plan_tone(now, policy, draws, limit)
    toned = engine.affine(filtered, colour)
    late, seed = plan.plan_late(policy, draws)
    noised = engine.noise(toned, late, seed)
    out = engine.erase(noised, late)

    strength, failed = scale * 0.0 + 1.0, integer(scale * 0.0)
    if limit is not None:
        certificate = guard.certify(_evidence(engine, safe, plane, crop, toned, noised, out, late), limit)
        strength, failed = xp.where(seen.blank, 0.0, certificate[0]), certificate[1]
        if engine.any_true(strength < 1.0):
            out = engine.blend(crop, out, strength)
    if seen.push is not None and not isinstance(seen.push, Moves):
        evidence |= {"push": seen.push, "image_mean": seen.stats.mean, "image_contrast": seen.stats.contrast}
    drawn = _framed(where.entries, frame) | entries | tone | late
    params = ViewParams(
        size=size, view=view, keys=keys, entries=drawn, matrix=matrix, reduce=reduce,
        lift=xp.stack([scale, offset], -1), colour=colour, noise_seed=seed, strength=strength, failed=failed,
        frame=frame & ~seen.blank, blank=seen.blank, guards=policy.guards,
        evidence=evidence | tone_evidence | draws.evidence(),
    )  # fmt: skip
    return out, params


def _framed(entries: dict[str, Entry], frame: Array) -> dict[str, Entry]:
    """The geometry's entries where the full frame took the crop's place: nothing of them is left."""
    xp = namespace(frame)
    out = {}
    for name, entry in entries.items():
        op, _, part = name.partition(".")
        value = xp.where(frame, OPS[op].parameters[part or "range"].identity, entry.value)
        reason = integer(xp.where(frame, float(guard.FLAT_CROP), double(entry.reason)))
        out[name] = replace(entry, value=value, reason=reason, applied=entry.applied & ~frame)
    return out


def _any(flags: list[Array]) -> Array:
    total = flags[0]
    for flag in flags[1:]:
        total = total | flag
    return total


def _evidence(
    engine: ModuleType,
    safe: Any,
    plane: Any,
    crop: Any,
    toned: Any,
    noised: Any,
    out: Any,
    late: dict[str, Any],
) -> guard.Evidence:
    """The moments that the certificate judges, computed once where no late operation changes them."""
    toned_plane = engine.luma(toned)
    mean, std = engine.moments(toned_plane)
    covariance = engine.covariance(toned_plane, plane)
    whole_std, whole_covariance = std, covariance
    if "noise" in late:
        noised_plane = engine.luma(noised)
        whole_mean, whole_std = engine.moments(noised_plane)
        whole_covariance, mean = engine.covariance(noised_plane, plane), whole_mean
    if "erase.area" in late:
        mean, _ = engine.moments(engine.luma(out))
    return guard.Evidence(
        safe.mean,
        safe.std,
        mean,
        std,
        whole_std,
        whole_covariance,
        covariance,
        engine.newly_clipped(out, crop),
    )


def replay(
    engine: ModuleType, pixels: Any, params: ViewParams, nearest: bool = False, tone: bool = True
) -> Any:
    """The views that `params` describe, measuring nothing. `tone=False` follows the geometry alone."""
    crop = engine.warp(pixels, params.matrix, params.reduce, params.size, nearest)
    if not tone:
        return crop
    crop = engine.lift(crop, params.lift)
    out = engine.affine(engine.filters(crop, params.entries), params.colour)
    out = engine.erase(engine.noise(out, params.entries, params.noise_seed), params.entries)
    return engine.blend(crop, out, params.strength)
