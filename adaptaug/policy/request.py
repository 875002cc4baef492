"""What is asked for, as planning, the engines and the pipeline hand it on."""

from __future__ import annotations

from dataclasses import dataclass

from adaptaug.policy.model import Policy


@dataclass(frozen=True)
class Request:
    """The views `numbers` of each image, by a policy, `size` pixels a side.

    `finish`: how they are written (types.Finish); `params`: whether what was decided is wanted, too.
    """

    policy: Policy
    size: int
    numbers: range
    finish: str = "uint8"
    params: bool = True
