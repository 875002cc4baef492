"""Colour to targets of its own: what exposure is for tone, for chroma. After tone, in the one map of RGB."""

from __future__ import annotations

import torch

from adaptaug.backend.arrays import Array, larger, matrices, mix, product, smaller
from adaptaug.params import Entry
from adaptaug.planning.draws import Draws, between, drawn_back, full, guarded, unrestricted
from adaptaug.policy import Policy
from adaptaug.policy.ops import LUMA, OPS
from adaptaug.policy.terms import Terms
from adaptaug.promise import guards
from adaptaug.promise.reasons import Reason
from adaptaug.stats.crop import CropStats

# RGB of a unit of red against green and of yellow against blue, without luma.
_ALONG = ((0.644, 0.114), (-0.356, 0.114), (0.144, -0.886))


def plan_chroma(
    crop: CropStats,
    policy: Policy | Terms,
    draws: Draws,
    colour: Array,
    toned: Array,
    limit: guards.Limits | None,
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    """Cast and deviation of the view's colours, moved to targets that do not depend on the image.

    Args: crop: of the crop after filters; colour: (B, 3, 3) of the other colour operations, by which a crop is grey;
        toned: (B, 3, 4) map of RGB with tone and these; limit: the promise's numbers, None without guards.
    Returns: the (B, 3, 4) map with chroma at its targets, entries, and the statistics behind the reasons.
    """
    applied = draws.applied("chroma")
    chroma = crop.colouring(colour).chroma
    share, reason = guards.coloured(chroma), torch.full_like(applied, Reason.GREY_STAYS, dtype=torch.int64)
    now = crop.colouring(toned[:, :, :3], toned[:, 0, 3])
    own = {"rg": now.rg, "yb": now.yb, "std": larger(now.std, 1e-6)}
    targets = {name: _target(policy, draws, name, applied, value) for name, value in own.items()}
    move = _move(own, targets)
    if limit is not None and policy["chroma"].guard is not False:
        before = mix(toned[:, :, :3], crop.samples) + toned[:, :, 3:]
        room = guards.chroma_room(crop, before, mix(move, before), limit)
        room = guarded(policy, "chroma", room, share)
        reason = torch.where(room < share, Reason.COLOUR_CLIPS, reason)
        share = smaller(room, share)
    share = torch.where(applied, share, 0.0)
    grey = (share == 0.0) & (reason == Reason.GREY_STAYS)
    entries = {}
    for name, target in targets.items():
        entry = drawn_back(target, share, own[name], reason)
        value = torch.where(grey, 0.0, entry.value)
        entries[f"chroma.{name}"] = entry._replace(value=value, applied=entry.applied & ~grey)
    identity = matrices([[float(i == j) for j in range(3)] for i in range(3)], share)
    moved = product(identity + (move - identity) * share[:, None, None], toned)
    return moved, entries, {"crop_chroma": chroma, "chroma_share": share}


def _target(policy: Policy | Terms, draws: Draws, name: str, applied: Array, own: Array) -> Entry:
    """A target from the policy's range, that of the deviation cut to what its gain reaches."""
    op, entry = OPS["chroma"], policy["chroma"]
    spec, index = op.parameters[name], 1 + list(op.parameters).index(name)
    low, high = (full(end, own) for end in entry.bounds(name))
    if name == "std":
        low, high = smaller(low, entry.gain * own), smaller(high, entry.gain * own)
    value = between(low, high, draws.within("chroma", index, low, high, own, spec.log), spec.log)
    reason = torch.where(applied, unrestricted(policy, op), Reason.NOT_DRAWN)
    return Entry(torch.where(applied, value, spec.identity), low, high, reason, applied, entry.bounds(name))


def _move(own: dict[str, Array], targets: dict[str, Entry]) -> Array:
    """(B, 3, 3): y + gain (rgb - y), and a cast that grows with luma y, so that black stays black."""
    gain = targets["std"].value / own["std"]
    rg, yb = (targets[name].value - gain * own[name] for name in ("rg", "yb"))
    rows = [1.0 - gain + a * rg + b * yb for a, b in _ALONG]
    return matrices([[gain * (i == j) + rows[i] * LUMA[j] for j in range(3)] for i in range(3)], gain)
