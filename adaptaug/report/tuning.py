"""`tune`: the app on one image, inside a notebook. It is imported when it is called for, and gradio with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adaptaug.policy import Policy
from adaptaug.report.sheet import as_pil
from adaptaug.views import as_policy

if TYPE_CHECKING:
    from adaptaug.ui.notebook import Tuning


def tune(image: Any, policy: Policy | str = "natural", port: int = 7860, height: int = 800) -> Tuning:
    """Open the app on an image, in a notebook below the cell, and give back the policy as it is tuned there.

    Args:
        image: one image, as `Views` takes it.
        policy: to begin with: a Policy, a preset's name, or a policy file's path.
        port: the first to try. height: of the page in the notebook, in pixels.

    Returns: what has `policy`, the policy as the page has it by now, `url`, and `close()`, which stops the page. The
    notebook must run on the machine of the browser: the page is served to that alone.

    Raises: AdaptAugError: no such policy, no image, gradio is not installed (`pip install 'adaptaug[ui]'`).

    >>> tuning = tune(image, "natural")  # doctest: +SKIP
    >>> views = Views(tuning.policy, size=96)  # doctest: +SKIP
    """
    from adaptaug.ui.notebook import tune as open_page

    return open_page(as_pil(image), as_policy(policy), port, height)
