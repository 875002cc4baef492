"""Which function makes the values of which page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from benchmarks.groups import bouts
from benchmarks.pages import of_accuracy, of_claims, of_learning, of_mixed, of_speed, of_views, show
from benchmarks.plots import plot_bouts, plot_targets, plot_views

MADE: dict[str, Callable[[], dict[str, str]]] = {
    function.__name__: function
    for function in (
        of_views.promise, of_views.tone, of_views.manual, of_views.shortcuts, of_views.torchvision, of_views.fuzz,
        of_views.routing, of_views.attack,
        of_accuracy.accuracy, of_accuracy.rows, of_accuracy.tuning, of_accuracy.views, of_accuracy.colour,
        of_claims.claims, of_mixed.mixed,
        of_learning.search, of_learning.proxies, of_learning.heads, of_learning.controller, of_learning.bank,
        of_speed.throughput, of_speed.trainer, of_speed.million, of_speed.pretraining, of_speed.head, of_speed.band,
        of_speed.load,
    )
}  # fmt: skip


@cache
def values(page: str) -> dict[str, str]:
    return MADE[page]()


def value(name: str) -> str:
    """`promise.views` -> what stands for it on a page."""
    page, _, key = name.partition(".")
    if page not in MADE or key not in values(page):
        names = ", ".join(sorted(values(page))) if page in MADE else ", ".join(MADE)
        raise KeyError(f"no value {name}: there are {names}")
    return values(page)[key]


def draw() -> None:
    """The pictures of the pages about accuracy, beside them."""
    here = Path(__file__).parent / "img"
    here.mkdir(exist_ok=True)
    groups = of_accuracy.accuracy_groups()
    plot_bouts([bout for bout in bouts(list(groups.values())) if bout.intervals], here / "accuracy.png")
    plot_targets(groups[of_accuracy.SHORT], here / "targets-mixed.png")
    plot_targets(groups[of_accuracy.PARTS], here / "targets-clean.png")
    plot_views(show.groups("views-*")[of_accuracy.SHORT], here / "views.png")
