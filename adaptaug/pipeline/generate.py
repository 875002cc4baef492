"""The one path from an image to a view in torch: measure, plan where, warp, measure, plan tone, render, certify.

The core goes the same path in C (core/views.c).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from adaptaug import planning
from adaptaug.backend.arrays import Array, choose, matrices
from adaptaug.device import engine as engine
from adaptaug.params import Entry, ViewParams, left_out
from adaptaug.policy import Policy
from adaptaug.policy.conditional import Moves
from adaptaug.policy.ops import OPS
from adaptaug.policy.routes import choose as choose_route
from adaptaug.policy.routes import plain
from adaptaug.policy.terms import Terms, absent, terms_of
from adaptaug.promise import guards
from adaptaug.promise.certificate import Evidence, certify
from adaptaug.promise.reasons import Reason
from adaptaug.stats.crop import CropStats
from adaptaug.stats.image import ImageStats, measure_pixels
from adaptaug.stats.subject import statistic


@dataclass(frozen=True)
class Look:
    """What is known of the sources before any view is drawn, shared by all views of an image."""

    policy: Policy
    size: int
    stats: ImageStats
    frame: Any  # the full frame at the view's size; None without guards
    limit: guards.Limits | None
    blank: Array
    route: Array | None = None  # (B,) which of the policy's routes each image takes, and by which statistics
    ruled: dict[str, Array] = field(default_factory=dict)
    push: Array | Moves | None = None  # (B,) how much stronger than the policy each image's views shall be


def look(pixels: torch.Tensor, policy: Policy, size: int) -> Look:
    """Measure the sources, choose their routes and, for a guarded policy, their full frames at the view's size."""
    stats = measure_pixels(pixels)
    route, ruled = _route(stats, policy)
    if not policy.guards:
        blank = torch.zeros_like(pixels[:, 0, 0, 0], dtype=torch.bool)
        return Look(policy, size, stats, None, None, blank, route, ruled)
    frame = full_frame(pixels, stats, size)
    mean, std = engine.moments(engine.luma(frame))
    limit = guards.limits(terms_of(policy, 0, route).promise, mean, std, stats.mean)
    return Look(policy, size, stats, frame, limit, engine.blank(frame, std), route, ruled)


def _route(stats: ImageStats, policy: Policy) -> tuple[Array | None, dict[str, Array]]:
    """The routes that images take, and the statistics that rules name; None and none without routes."""
    if not policy.routes:
        return None, {}
    names = dict.fromkeys(name for route in policy.routes for name in route.when)
    values = {name: statistic(stats, name) for name in names} or {"mean": stats.mean}
    return choose_route(policy.routes, values.__getitem__), values


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
    pixels: torch.Tensor, keys: torch.Tensor, view: int, look: Look
) -> tuple[torch.Tensor, ViewParams]:
    """One view of each image, and everything that was decided for it.

    Args: pixels: (B, 3, H, W) float levels; keys: (B, 3) rows of (seed, epoch, index); view: its number.
    Returns: the views' pixels and their ViewParams.
    """
    stats, size, limit = look.stats, look.size, look.limit
    # Overlap is with view 0's crop, which is planned again: a plan is a function of statistics and key alone.
    overlaps = view and look.policy.pair.overlap is not None
    first = (
        planning.Draws(terms_of(look.policy, 0, look.route), keys, 0, stats, look.push) if overlaps else None
    )
    policy = terms_of(look.policy, view, look.route)
    draws = planning.Draws(policy, keys, view, stats, look.push)
    where = planning.plan_where(stats, policy, draws, size, first)
    safe = _safe_crop(pixels, where, look)
    evidence = where.evidence | {"image_mean": stats.mean, "image_std": stats.contrast}
    evidence |= {f"subject.{name}": value for name, value in look.ruled.items()}
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
        strength, failed = torch.where(look.blank, 0.0, certificate[0]), certificate[1]
        if engine.any_true(strength < 1.0):
            out = engine.blend(safe.pixels, out, strength)
    if look.push is not None and not isinstance(look.push, Moves):
        evidence |= {"push": look.push, "image_contrast": stats.contrast}
    every_entry = _framed(where.entries, safe.frame) | entries | tone | late
    params = ViewParams(
        size=size, view=view, keys=keys, entries=_left_out(every_entry, policy), matrix=safe.matrix, span=safe.span,
        lift=safe.lift, colour=colour, noise_seed=seed, strength=strength, failed=failed,
        frame=safe.frame & ~look.blank, blank=look.blank, guards=policy.guards,
        evidence=evidence | tone_evidence | draws.evidence(), route=look.route, routes=plain(look.policy.routes),
    )  # fmt: skip
    return out, params


def _left_out(entries: dict[str, Entry], policy: Policy | Terms) -> dict[str, Entry]:
    """The entries, those of images whose policies have no such operation marked."""
    out = {}
    for name, entry in entries.items():
        op, _, part = name.partition(".")
        missing, parameter = absent(policy, op), OPS[op].parameters[part or "range"]
        out[name] = entry if missing is None else left_out(entry, missing, parameter.identity, torch.where)
    return out


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


def _safe_crop(pixels: torch.Tensor, where: planning.Where, look: Look) -> _Safe:
    """The crop where the plan says; the full frame where that is flat; lifted where it is too dark or too bright."""
    matrix, span, limit, size = where.matrix, where.span, look.limit, look.size
    crop = engine.warp(pixels, matrix, span, size)
    plane = engine.luma(crop)
    stats = engine.crop_stats(crop, plane)
    mean, std = stats.moments
    frame, scale, offset = mean > 9.0, torch.ones_like(mean), torch.zeros_like(mean)
    if limit is not None:
        scale, offset = guards.lift(mean, limit)
        frame = (std * scale < limit.std + 0.5 * guards.LEVEL * (scale < 1.0)) | look.blank
        scale, offset = torch.where(frame, 1.0, scale), torch.where(frame, 0.0, offset)
        if engine.any_true(frame | (scale < 1.0)):
            frame_matrix, frame_span = _frame_geometry(look.stats)
            matrix, span = choose(frame, frame_matrix, matrix), torch.where(frame, frame_span, span)
            crop = engine.select(frame, look.frame, crop)
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
    clipped = engine.newly_clipped(out, safe.pixels, limit.clip)
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
