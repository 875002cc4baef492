"""What a part of an image holds: the guards of crops and distortions."""

from __future__ import annotations

from adaptaug.arrays import (
    Array,
    arange,
    clamp,
    cofactors,
    column,
    first_true,
    integer,
    is_number,
    larger,
    logical_not,
    may_look,
    namespace,
    number,
    part,
    pick,
    stack,
)
from adaptaug.measure import ImageStats

BOX_STEPS = 7  # nested boxes from the drawn one to the full frame
SHRINK_STEPS = (1.0, 0.5, 0.0)  # of a distortion that would lose the content


def judge_boxes(stats: ImageStats, boxes: Array) -> tuple[Array, Array]:
    """Luma std in [0, 1] and share of the image's detail of (B, K, 4) boxes: two (B, K), from sums over boxes."""
    return _judge(stats, [boxes[..., i] for i in range(4)])


def _judge(stats: ImageStats, box: list[Array]) -> tuple[Array, Array]:
    """The same of boxes as x0, y0, w, h: (B, K) each, or four numbers of a single image."""
    x, y, width, height = box
    xp = namespace(x)
    rows, columns = stats.thumb.shape[1:]
    x0 = clamp(xp.floor(x * columns + 0.5), 0.0, columns - 1.0)
    y0 = clamp(xp.floor(y * rows + 0.5), 0.0, rows - 1.0)
    x1 = clamp(xp.floor((x + width) * columns + 0.5), x0 + 1.0, float(columns))
    y1 = clamp(xp.floor((y + height) * rows + 0.5), y0 + 1.0, float(rows))
    luma, squares, detail = stats.box_sums(x0, y0, x1, y1)
    count = (x1 - x0) * (y1 - y0)
    mean = luma / count
    std = xp.sqrt(larger(squares / count - mean * mean, 0.0)) / 255.0
    whole = larger(stats.detail_total, 1e-9)
    return std, detail / (number(whole) if is_number(x) else whole[:, None])


def _nested(box: Array, step: Array | float) -> list[Array]:
    """The box `step` of the way from the drawn one to the full frame: x0, y0, w, h."""
    x, y, width, height = (column(part(box, i)) for i in range(4))
    return [x * (1.0 - step), y * (1.0 - step), width * (1.0 - step) + step, height * (1.0 - step) + step]


def choose_box(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: float
) -> tuple[Array, Array, Array, Array]:
    """The first of seven nested boxes, from the drawn one to the full frame, that holds enough contrast and detail.

    Returns: box (B, 4), steps taken (B,) (0: as drawn), and the drawn box's std and detail share.
    """
    if is_number(std_floor):  # one image: no box is judged after the first that will do
        drawn = _judge(stats, box)
        std, content, step = *drawn, 0
        while not (std >= std_floor and content >= content_floor) and step < BOX_STEPS - 1:
            step += 1
            std, content = _judge(stats, _nested(box, step / (BOX_STEPS - 1)))
        return _nested(box, step / (BOX_STEPS - 1)) if step else box, step, *drawn
    if not may_look(box):
        return _enlarged(stats, box, std_floor, content_floor)
    std, content = (found[:, 0] for found in _judge(stats, _nested(box, 0.0)))
    enough = (std >= std_floor) & (content >= content_floor)
    step, rows = integer(std * 0.0), logical_not(enough).nonzero()[:, 0]
    if len(rows):  # few of a batch
        box = box.clone()
        box[rows], step[rows], _, _ = _enlarged(stats.rows(rows), box[rows], std_floor[rows], content_floor)
    return box, step, std, content


def _enlarged(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: float
) -> tuple[Array, Array, Array, Array]:
    """What `choose_box` gives, with all seven boxes of every image of a batch judged."""
    boxes = _nested(box, (arange(BOX_STEPS, box) / (BOX_STEPS - 1))[None, :])
    std, content = _judge(stats, boxes)
    step = first_true((std >= std_floor[:, None]) & (content >= content_floor))
    return stack([pick(side, step) for side in boxes]), step, std[:, 0], content[:, 0]


def content_in_view(stats: ImageStats, matrix: Array) -> Array:
    """(B,) share of the image's detail that a view's (B, 3, 3) matrix keeps: cells of the detail map whose
    centre, taken back to the view, lies inside it."""
    detail = stats.detail_map
    xp, cells = namespace(detail), detail.shape[-1]
    centre = (arange(cells, detail) + 0.5) / cells
    x, y = centre[None, None, :], centre[None, :, None]

    # The adjugate is the inverse up to a factor, which homogeneous coordinates do not see.
    c = cofactors(matrix)
    u, v, w = (
        column(part(c, 0, i), 2) * x + column(part(c, 1, i), 2) * y + column(part(c, 2, i), 2)
        for i in range(3)
    )
    reach = xp.abs(w)
    inside = (xp.abs(u) <= reach) & (xp.abs(v) <= reach)
    return number((detail * inside).sum((1, 2)))
