"""What one visitor has before them, without a page."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from adaptaug import AdaptAugError, Policy
from adaptaug.ui import desk as desks
from adaptaug.ui import logic, sharing
from adaptaug.ui.desk import CURRENT, Desk, Desks

POLICIES = {name: Policy.load(name) for name in ("natural", "digits", "documents")}


def standing(desk: Desk) -> str:
    """What the selector shows, which is among what it offers."""
    offered, value = desk.offer(POLICIES)
    labels = {value: label for label, value in offered}
    assert len(labels) == len(offered) and value.startswith(CURRENT) and value not in POLICIES
    return labels[value]


def source(seed: int = 0) -> logic.Source:
    return logic.as_source("noise", np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8))


def test_the_selector_says_which_policy_stands_whatever_was_done() -> None:
    desk = Desk(POLICIES["natural"])
    assert standing(desk) == "natural"
    desk.replace(POLICIES["digits"])
    assert standing(desk) == "digits"
    desk.undo()
    assert standing(desk) == "natural"
    assert ("digits", "digits") in desk.offer(POLICIES)[0], "choosing it again is news"
    desk.edit({"grey": {"p": 0.9}}, desk.drawing)
    assert standing(desk) == "natural (edited)"
    assert ("natural", "natural") in desk.offer(POLICIES)[0], "so is what it was edited from"
    desk.replace(Policy.load("simclr").edit(name="mine"))
    assert standing(desk) == "mine"
    desk.replace(POLICIES["digits"].edit({"grey": None}, name="natural"))
    assert standing(desk) == "natural (not the one below)"


def test_steps_go_back_and_forth_and_a_reset_is_one() -> None:
    desk = Desk(POLICIES["natural"])
    for value in (0.1, 0.2):
        desk.edit({"grey": {"p": value}}, desk.drawing)
    dragged = desk.policy
    desk.edit({"grey": {"p": 0.2}, "hue": {"p": 0.3}}, desk.drawing)
    both = desk.policy
    desk.undo()
    assert desk.policy == desk.drawn == dragged, "a slider that is dragged is one step"
    desk.redo()
    assert desk.policy == both
    desk.reset()
    assert desk.policy == POLICIES["natural"]
    desk.undo()
    assert desk.policy == both
    desk.undo()
    desk.undo()
    assert desk.policy == POLICIES["natural"]
    with pytest.raises(AdaptAugError, match="nothing to undo"):
        desk.undo()
    with pytest.raises(AdaptAugError, match="nothing to reset"):
        desk.reset()
    desk.redo()
    desk.edit({"hue": {"p": 0.9}}, desk.drawing)
    with pytest.raises(AdaptAugError, match="nothing to redo"):
        desk.redo()


def test_a_reset_goes_back_to_what_was_chosen_last_also_after_an_undo() -> None:
    desk = Desk(POLICIES["natural"])
    desk.replace(POLICIES["digits"])
    desk.undo()
    desk.edit({"grey": {"p": 0.9}}, desk.drawing)
    desk.reset()
    assert desk.policy == POLICIES["natural"]


def test_a_version_is_kept_under_a_name_and_a_reload_brings_all_back() -> None:
    desk = Desk(POLICIES["natural"])
    desk.edit({"grey": {"p": 0.9}}, desk.drawing)
    desk.keep(" all  grey ", POLICIES)
    assert desk.policy.name == "all grey" and desk.versions["all grey"] == desk.policy
    desk.edit({"grey": {"p": 0.1}}, desk.drawing)
    other = Desk(POLICIES["digits"])
    other.recall(desk.remembered(sharing.encode), sharing.decode)
    assert (other.policy, other.versions) == (desk.policy, desk.versions)
    kept = desk.remembered(sharing.encode)
    assert desk.news("kept", kept) and not desk.news("kept", desk.remembered(sharing.encode))  # once
    other.reset()  # to what was edited, not to the edit that the browser had
    assert other.policy == desk.versions["all grey"]
    for name in ("", "natural", "x" * 41, "a\x00b"):
        with pytest.raises(AdaptAugError, match="version: "):
            desk.keep(name, POLICIES)
    with pytest.raises(AdaptAugError, match="choose the one to delete"):
        desk.drop()
    other.drop()
    assert other.versions == {} and other.policy.name == "all grey"
    for number in range(desks.MOST_VERSIONS - 1):
        desk.keep(f"v{number}", POLICIES)
    with pytest.raises(AdaptAugError, match="12 are kept"):
        desk.keep("one more", POLICIES)


@pytest.mark.parametrize(
    "had", ["", "AAAA", {}, {"policy": 3, "versions": [1]}, {"policy": "AAAA", "versions": {"a": "b"}}]
)
def test_what_a_browser_brings_may_be_anything(had) -> None:
    desk = Desk(POLICIES["natural"])
    desk.recall(had, sharing.decode)
    assert desk.policy == desk.begun == POLICIES["natural"] and desk.versions == {}


def test_controls_of_an_earlier_drawing_are_not_heard() -> None:
    desk = Desk(POLICIES["natural"])
    before = desk.drawing
    desk.replace(POLICIES["digits"])
    desk.edit({"grey": {"p": 0.9}}, before)
    assert desk.policy == POLICIES["digits"]


def test_an_edit_of_policy_b_makes_and_sends_nothing_of_policy_a() -> None:
    desk, image = Desk(POLICIES["natural"]), source()
    seen = None
    for policy in (desk.policy, POLICIES["digits"], POLICIES["digits"]):
        before, seen = seen, logic.compare(image, Policy.load("simclr"), policy, 0, 2, 32, before=seen)
        news = [desk.news(f"views {end}", column) for end, column in zip("ab", seen.columns, strict=True)]
        if before is None:
            assert news == [True, True]
        else:
            assert news == [False, before.columns[1] is not seen.columns[1]]
    for other in (source(1), image):  # another image, or the first again, is all new
        found = logic.compare(other, Policy.load("simclr"), POLICIES["digits"], 0, 2, 32, before=seen)
        assert (found.columns[0] is seen.columns[0]) == (other is image)
    later = logic.compare(image, Policy.load("simclr"), POLICIES["digits"], 1, 2, 32, before=seen)
    assert not {id(column) for column in later.columns} & {id(column) for column in seen.columns}


def test_who_leaves_gives_pixels_back_and_who_comes_back_has_them_again() -> None:
    desk, all_desks = Desk(POLICIES["natural"]), Desks()
    opened = []
    desk.lay(lambda: opened.append(1) or source())
    desk.news("statistics", desk.source)
    all_desks.at("me", desk)
    all_desks.leave("me")
    assert desk.bytes == 0 and "statistics" not in desk.sent
    assert desk.source is not None and len(opened) == 2


def test_all_desks_together_hold_so_many_pixels(monkeypatch) -> None:
    monkeypatch.setattr(desks, "MOST_BYTES", 2 * 40 * 60 * 3)
    all_desks, those = Desks(), [Desk(POLICIES["natural"]) for _ in range(3)]
    for number, desk in enumerate(those):
        desk.lay(source)
        all_desks.at(str(number), desk)
    assert [desk.bytes > 0 for desk in those] == [False, True, True]


def test_views_count_as_pixels_that_a_desk_holds() -> None:
    desk = Desk(POLICIES["natural"])
    desk.lay(source)
    alone = desk.bytes
    assert alone == desk.source.pixels.nbytes
    desk.seen = logic.compare(desk.source, Policy.load("simclr"), desk.policy, 0, 2, 32)
    compared = desk.bytes
    assert compared >= alone + 2 * 2 * 2 * 32 * 32 * 3  # two columns of two pairs
    desk.sweeps.of(desk.source, "hue", 32, desk.policy.promise)
    assert desk.bytes > compared
    desk.give_back()
    assert desk.bytes == 0


def test_of_a_long_text_a_desk_keeps_no_copy() -> None:
    """It has pictures in it, and is compared at each event of each page."""
    desk, text = Desk(POLICIES["natural"]), "x" * 1_000_000
    assert (
        desk.news("detail", text) and not desk.news("detail", str(text)) and desk.news("detail", text + "y")
    )
    assert len(pickle.dumps(desk.sent)) < 1000


def test_so_many_desks_are_known_at_a_time(monkeypatch) -> None:
    monkeypatch.setattr(desks, "MOST_PAGES", 2)
    all_desks, those = Desks(), [Desk(POLICIES["natural"]) for _ in range(3)]
    for number, desk in enumerate(those):
        desk.lay(source)
        all_desks.at(str(number), desk)
    assert [desk.bytes > 0 for desk in those] == [False, True, True]
    all_desks.leave("0")  # is not known any more
    all_desks.leave("2")
    assert [desk.bytes > 0 for desk in those] == [False, True, False]
