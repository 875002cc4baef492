"""What the Dataset tab computes, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

import adaptaug
from adaptaug import AdaptAugError, Policy
from adaptaug.report.profile import Profile
from adaptaug.ui import dataset, dataset_html, logic
from adaptaug.ui.oddities import KINDS

SIMCLR, NATURAL = Policy.load("simclr"), Policy.load("natural")


def files(folder, count: int, hostile: bool = False) -> list[tuple[str, str]]:
    out = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
        path = folder / f"{number:02d}.png"
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(path)
        out.append((str(path), "<img src=x onerror=alert(1)>.png" if hostile else path.name))
    return out


def finished(items, one=SIMCLR, other=NATURAL, seed=0, size=48, said=None) -> dataset.Look:
    return list(dataset.look(items, one, other, seed, size, said))[-1]


@pytest.fixture(scope="module")
def photographs() -> dataset.Look:
    return finished(dataset.photographs()[:6], size=96)


def test_the_shares_are_those_of_the_judge(photographs) -> None:
    columns = [logic.make_pairs(i.open(), SIMCLR, 0, dataset.PAIRS, 96) for i in dataset.photographs()[:6]]
    tally = photographs.tallies[0]
    assert tally.broken == sum(column.broken for column in columns) > 0
    assert tally.views == 2 * dataset.PAIRS * 6
    assert photographs.tallies[1].broken == 0


def test_a_view_counts_once_for_each_test_it_breaks(photographs) -> None:
    tally = photographs.tallies[0]
    assert max(tally.tests.values()) <= tally.broken <= sum(tally.tests.values())


def test_the_worst_pairs_break_most_and_can_be_made_again(photographs) -> None:
    failures = [pair.failures for pair in photographs.worst]
    assert failures == sorted(failures, reverse=True) and 0 < len(failures) <= dataset.WORST
    pair = photographs.worst[0]
    views = adaptaug.Views(SIMCLR, n=2, size=96, finish="none")(
        pair.item.open().pixels, key=(0, 0, pair.index)
    )
    assert all(np.array_equal(view.pixels, made) for view, made in zip(pair.views, views, strict=True))


def test_the_suggestion_and_the_statistics_are_the_profiles(photographs) -> None:
    profile = Profile()
    for item in dataset.photographs()[:6]:
        profile.add(item.name, item.open().pixels)
    html = dataset_html.view(photographs)
    policy, because = profile.advice()
    assert f"<span data-preset>{policy}</span>" in html and because.split(":")[0] in html
    assert all(f'data-chart="{name}"' in html for name in profile.histograms)


def test_histograms_have_the_thresholds_of_promise_and_presets(photographs) -> None:
    html = dataset_html.view(photographs)
    brightness = html[html.index('data-chart="mean"') :].split("</figure>")[0]
    assert brightness.count('class="promise"') == 2 and brightness.count('class="preset"') == 1


def test_the_band_of_the_adaptive_policy_is_drawn() -> None:
    look = finished(dataset.photographs()[:1], other=NATURAL.edit(band=(0.2, 0.7)))
    assert "shaded: the band of natural, 0.20 to 0.70" in dataset_html.view(look)


def test_files_that_cannot_be_read_are_a_sentence_each(tmp_path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.new("1", (8000, 5200)).save(tmp_path / "bomb.png")
    (tmp_path / "heavy.png").write_bytes(b"x" * (dataset.MAX_BYTES + 1))
    bad = [(str(tmp_path / name), name) for name in ("text.png", "bomb.png", "heavy.png", "gone.png")]
    look = finished(dataset.uploaded(bad + files(tmp_path, 1))[0])
    assert [said.split(":")[0] for said in look.said] == ["text.png", "bomb.png", "heavy.png", "gone.png"]
    assert len(look.profile.names) == 1 and str(tmp_path) not in dataset_html.problems(look.said)


def test_no_more_files_than_it_takes_and_it_says_so(tmp_path) -> None:
    items, said = dataset.uploaded([("x.png", f"{i}.png") for i in range(70)])
    assert len(items) == 64 and said == ["6 of 70 files are left out: this page takes 64 at a time."]


def test_a_large_folder_is_spread_over(tmp_path, monkeypatch) -> None:
    files(tmp_path, 9)
    monkeypatch.setattr(dataset, "MAX_FILES", 3)
    items, said = dataset.from_folder(tmp_path)
    assert [item.name for item in items] == ["00.png", "03.png", "06.png"] and "3 of the 9 images" in said[0]


def test_blank_images_are_counted_apart(tmp_path) -> None:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "blank.png")
    look = finished([dataset.Item("blank.png", str(tmp_path / "blank.png"))])
    assert look.blank == 1 and look.tallies[0].views == 0
    assert "1 blank image counted apart" in dataset_html.view(look)


def odd_files(folder) -> list[tuple[str, str]]:
    """A photograph, and one of each kind of odd image made of it."""
    photo = dict(dataset.logic.sample_images())["cat"]
    made = {
        "cat.png": photo, "dark.png": photo.point(lambda v: v // 8), "light.png": photo.point(lambda v: 245 + v // 26),
        "blurry.png": photo.filter(ImageFilter.GaussianBlur(8)), "narrow.png": photo.crop((0, 100, 450, 200)),
        "empty.png": Image.fromarray(np.full((200, 200, 3), 90, np.uint8)), "again.png": photo.resize((440, 293)),
    }  # fmt: skip
    for name, image in made.items():
        image.save(folder / name)
    return [(str(folder / name), name) for name in made]


def test_odd_images_are_told_by_kind(tmp_path) -> None:
    look = finished(dataset.uploaded(odd_files(tmp_path))[0])
    found = {(look.seen[odd.image].item.name, odd.kind) for odd in look.odd}
    assert {(f"{kind}.png", kind) for kind in KINDS} <= found
    assert not [kind for name, kind in found if name == "cat.png"]
    html = dataset_html.view(look)
    assert all(f"<h3>{title}: " in html for title, _ in KINDS.values())


def test_a_bar_and_a_number_have_the_images_they_stand_for(tmp_path) -> None:
    look = finished(dataset.uploaded(odd_files(tmp_path))[0])
    counts = look.profile.histograms["mean"].reshape(dataset.BARS, -1).sum(1)
    for bar, count in enumerate(counts):
        images, low, high = dataset.within(look, "mean", (bar + 0.5) / dataset.BARS)
        assert len(images) == count and all(low <= look.seen[i].values["mean"] <= high for i in images)
    for side, tally in enumerate(look.tallies):
        for test in dataset.TESTS:
            images = dataset.chosen(look, test, side)
            assert bool(images) == bool(tally.tests[test])
        assert set(dataset.chosen(look, "", side)) >= set(dataset.chosen(look, "b", side))
    shown = dataset_html.gallery(look, "<b>", [(0, "x")])
    assert "1 image<" in shown and "&lt;b&gt;" in shown


def test_names_are_text(tmp_path) -> None:
    items, _ = dataset.uploaded(files(tmp_path, 4, hostile=True))
    html = dataset_html.view(finished(items)) + dataset_html.problems([items[0].name])
    assert "<img src=x" not in html and "&lt;img src=x" in html


def test_sample_sets_can_be_read() -> None:
    pytest.importorskip("sklearn")
    assert len(dataset.photographs()) >= 10
    digits = dataset.digits()
    assert len(digits) == 64 and digits[0].open().pixels.shape == (32, 32, 3)


def test_without_scikit_learn_the_way_out_is_said(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(AdaptAugError, match=r"need scikit-learn, .* pip install 'adaptaug\[train\]'"):
        dataset.digits()
