"""What a part of an image holds: the guards of crops and distortions."""

from __future__ import annotations

import torch

from adaptaug.backend.arrays import Array, arange, clamp, cofactors, first_true, larger, may_look, pick
from adaptaug.stats.image import ImageStats

BOX_STEPS = 7  # nested boxes from the drawn one to the full frame
SHRINK_STEPS = (1.0, 0.5, 0.0)  # of a distortion that would lose the content


def judge_boxes(stats: ImageStats, boxes: Array) -> tuple[Array, Array]:
    """Luma std in [0, 1] and share of the image's detail of (B, K, 4) boxes: two (B, K), from sums over boxes."""
    return _judge(stats, [boxes[..., i] for i in range(4)])


def _judge(stats: ImageStats, box: list[Array]) -> tuple[Array, Array]:
    """The same of boxes as x0, y0, w, h: (B, K) each."""
    x, y, width, height = box
    rows, columns = stats.thumb.shape[1:]
    x0 = clamp(torch.floor(x * columns + 0.5), 0.0, columns - 1.0)
    y0 = clamp(torch.floor(y * rows + 0.5), 0.0, rows - 1.0)
    x1 = clamp(torch.floor((x + width) * columns + 0.5), x0 + 1.0, float(columns))
    y1 = clamp(torch.floor((y + height) * rows + 0.5), y0 + 1.0, float(rows))
    luma, squares, detail = stats.box_sums(x0, y0, x1, y1)
    count = (x1 - x0) * (y1 - y0)
    mean = luma / count
    std = torch.sqrt(larger(squares / count - mean * mean, 0.0)) / 255.0
    return std, detail / larger(stats.detail_total, 1e-9)[:, None]


def _nested(box: Array, step: Array | float) -> list[Array]:
    """The box `step` of the way from the drawn one to the full frame: x0, y0, w, h."""
    x, y, width, height = (box[:, i, None] for i in range(4))
    return [x * (1.0 - step), y * (1.0 - step), width * (1.0 - step) + step, height * (1.0 - step) + step]


def choose_box(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: Array | float
) -> tuple[Array, Array, Array, Array]:
    """The first of seven nested boxes, from the drawn one to the full frame, that holds enough contrast and detail.

    Returns: box (B, 4), steps taken (B,) (0: as drawn), and the drawn box's std and detail share.
    """
    if not may_look(box):
        return _enlarged(stats, box, std_floor, content_floor)
    std, content = (row[:, 0] for row in _judge(stats, _nested(box, 0.0)))
    enough = (std >= std_floor) & (content >= content_floor)
    step, rows = torch.zeros_like(std, dtype=torch.int64), (~enough).nonzero()[:, 0]
    if len(rows):  # few of a batch
        box = box.clone()
        least = content_floor if isinstance(content_floor, float) else content_floor[rows]
        box[rows], step[rows], _, _ = _enlarged(stats.rows(rows), box[rows], std_floor[rows], least)
    return box, step, std, content


def _enlarged(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: Array | float
) -> tuple[Array, Array, Array, Array]:
    """What `choose_box` gives, with all seven boxes of every image of a batch judged."""
    boxes = _nested(box, (arange(BOX_STEPS, box) / (BOX_STEPS - 1))[None, :])
    std, content = _judge(stats, boxes)
    least = content_floor if isinstance(content_floor, float) else content_floor[:, None]
    step = first_true((std >= std_floor[:, None]) & (content >= least))
    return torch.stack([pick(side, step) for side in boxes], -1), step, std[:, 0], content[:, 0]


def content_in_view(stats: ImageStats, matrix: Array) -> Array:
    """(B,) share of the image's detail that a view's (B, 3, 3) matrix keeps: cells of the detail map whose
    centre, taken back to the view, lies inside it."""
    detail = stats.detail_map
    cells = detail.shape[-1]
    centre = (arange(cells, detail) + 0.5) / cells
    x, y = centre[None, None, :], centre[None, :, None]

    # The adjugate is the inverse up to a factor, which homogeneous coordinates do not see.
    c = cofactors(matrix)
    u, v, w = (
        c[:, 0, i, None, None] * x + c[:, 1, i, None, None] * y + c[:, 2, i, None, None] for i in range(3)
    )
    reach = torch.abs(w)
    inside = (torch.abs(u) <= reach) & (torch.abs(v) <= reach)
    return (detail * inside).sum((1, 2))
