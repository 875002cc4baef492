"""The page's functions without a browser and without gradio."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug import AdaptAugError, Policy
from adaptaug.policy import preset_names
from adaptaug.policy.ops import OPS
from adaptaug.ui import (
    detail,
    editor,
    likeness,
    logic,
    measured_html,
    pairs_html,
    pictures,
    sharing,
    templates,
)
from adaptaug.ui.failures import failures

SAMPLES = dict(logic.sample_images())


def source(name: str = "cat") -> logic.Source:
    return logic.as_source(name, np.array(SAMPLES[name]))


def labels(view, crop, frame=None, **extra):
    frame = crop if frame is None else frame
    return [failure.label for failure in failures(view, crop, frame, **extra)]


def texture(mean: float, std: float, seed: int = 0) -> np.ndarray:
    """Grey noise of a mean and spread, in levels."""
    levels = np.random.default_rng(seed).normal(mean, std, (64, 64, 1)).round().clip(1, 254)
    return levels.astype(np.uint8).repeat(3, 2)


@pytest.mark.parametrize("policy", ["simclr", "natural", "digits"])
def test_pixels_are_those_that_training_code_gets(policy: str) -> None:
    image = source()
    column = logic.make_pairs(image, Policy.load(policy), seed=7, count=3, size=96)
    views = adaptaug.Views(policy, n=2, size=96, finish="none", return_params=True)
    for index, pair in enumerate(column.pairs):
        pixels, params = views(image.pixels, key=(7, 0, index))
        for view, expected, decided in zip(pair, pixels, params, strict=True):
            assert np.array_equal(view.pixels, expected)
            assert view.params.to_dict() == decided.to_dict()


def test_a_shown_picture_is_lossless() -> None:
    import base64
    import io

    pixels = np.array(SAMPLES["cat"])
    uri = pictures.lossless(pixels)
    back = np.array(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    assert np.array_equal(back, pixels)


@pytest.mark.parametrize(("count", "size"), [(6, 128), (12, 224)])
def test_a_view_among_others_is_packed_and_the_open_pair_is_not(count, size) -> None:
    import base64
    import io

    photo = logic.as_source("astronaut", np.array(SAMPLES["astronaut"]))
    seen = logic.compare(photo, Policy.load("simclr"), Policy.load("natural"), 0, count, size)
    html = detail.pair_detail(seen, (1, 0))
    sent = [pairs_html.views(column, side) for side, column in enumerate(seen.columns)]
    assert sum(map(len, (*sent, html, pairs_html.pairs(seen, (1, 0))))) < 600_000  # what another seed sends
    uris = re.findall(r'<img src="data:image/webp;base64,([^"]+)"', html)
    back = [np.array(Image.open(io.BytesIO(base64.b64decode(uri)))) for uri in uris]
    assert all(np.array_equal(a, b.pixels) for a, b in zip(back, seen.columns[1].pairs[0], strict=True))
    small = logic.compare(source(), Policy.load("simclr"), Policy.load("natural"), 0, 1, 32)
    assert "jpeg" not in pairs_html.views(small.columns[1], 1)  # each of its pixels is seen


def test_a_policy_with_routes_is_looked_at_and_says_what_it_took_the_image_for() -> None:
    for image, preset in ((source(), "natural"), (source("page"), "documents")):
        seen = logic.compare(image, Policy.load("simclr"), Policy.load("auto"), 0, 1, 64)
        subject, because = logic.taken_for(seen.columns[1].pairs[0][0])
        assert subject.endswith(f"policy {preset}") and because
        html = pairs_html.pairs(seen, (1, 0)), detail.pair_detail(seen, (1, 0))
        assert all(templates.escape(because) in part for part in html)
        own = logic.make_pairs(image, Policy.load(preset), 0, 1, 64)  # and is that preset's, to the bit
        assert all(
            np.array_equal(a.pixels, b.pixels)
            for a, b in zip(own.pairs[0], seen.columns[1].pairs[0], strict=True)
        )
        assert logic.taken_for(seen.columns[0].pairs[0][0]) is None


def test_more_views_of_a_draw_are_those_of_training_code_and_their_likeness_is_the_bands() -> None:
    policy = Policy.load("natural").edit(band=(0.1, 0.8))
    column = logic.make_pairs(source(), policy, seed=3, count=2, size=64, each=5)
    views = adaptaug.Views(policy, n=5, size=64, finish="none", return_params=True)
    for index, group in enumerate(column.pairs):
        pixels, params = views(source().pixels, key=(3, 0, index))
        assert all(np.array_equal(a.pixels, b) for a, b in zip(group, pixels, strict=True))
        assert column.alike[index] == pytest.approx(float(params[0].evidence["similarity"][0]), abs=1e-4)
    seen = logic.compare(source(), Policy.load("byol"), policy, 0, 2, 64, each=5)
    assert logic.status(seen).startswith("2 groups of 5 views, byol vs ")
    assert seen.columns[0].total == 10 and detail.pair_detail(seen, (0, 1)).count("aa-wipe") == 5
    assert logic.compare(source(), Policy.load("byol"), policy, 0, 2, 64, before=seen).columns[0].total == 4


def test_same_seed_same_pairs_other_seed_others() -> None:
    image, policy = source(), Policy.load("natural")
    one, again, other = (logic.make_pairs(image, policy, seed, 2, 64) for seed in (0, 0, 1))
    assert all(
        np.array_equal(one.pairs[i][v].pixels, again.pairs[i][v].pixels) for i in (0, 1) for v in (0, 1)
    )
    assert not np.array_equal(one.pairs[0][0].pixels, other.pairs[0][0].pixels)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_guarded_views_pass_the_judge_on_every_sample(name: str) -> None:
    """The judge shares no code with the certificate, so each checks the other."""
    image = source(name)
    for policy in ("natural", "digits"):
        column = logic.make_pairs(image, Policy.load(policy), seed=3, count=6, size=64)
        assert [view.failures for pair in column.pairs for view in pair] == [[]] * 12


def test_judge_passes_noise_and_erase_that_the_certificate_passed() -> None:
    policy = Policy.load("natural").edit({"noise": {"range": [0.02, 0.05]}, "erase": {"area": [0.1, 0.25]}})
    assert logic.make_pairs(source(), policy, seed=0, count=6, size=64).broken == 0


def test_the_manual_policy_breaks_the_promise_and_the_status_says_so() -> None:
    comparison = logic.compare(source(), Policy.load("simclr"), Policy.load("natural"), 0, 6, 128)
    broken = sum(bool(view.failures) for pair in comparison.columns[0].pairs for view in pair)
    assert broken > 0
    line = logic.status(comparison)
    assert line.startswith(
        f"6 pairs, simclr vs natural, seed 0: simclr {broken} of 12 views break the promise, natural 0"
    )
    html = pairs_html.pairs(comparison, (0, 0))
    assert html.count('class="aa-view bad"') == broken and html.count('class="aa-badge"') == broken


def test_a_large_image_is_judged_without_a_copy_of_it() -> None:
    import tracemalloc

    pixels = (
        np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(250, 0).repeat(250, 1)
    )
    tracemalloc.start()
    assert not logic.as_source("noise", pixels).blank(64)
    assert logic.as_source("flat", np.full_like(pixels, 200)).blank(64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * pixels.nbytes  # the second image, and no doubles


def test_judge_names_each_broken_test() -> None:
    crop = texture(128, 40)
    assert labels(crop, crop) == []
    assert labels(texture(128, 5), texture(128, 5), frame=crop) == ["flat"]
    clipped = crop.copy()
    clipped[:20] = 255
    assert "clipped" in labels(clipped, crop)
    dark = (crop * 0.15).astype(np.uint8) + 1
    assert "too dark" in labels(dark, crop)
    bright = 255 - (crop * 0.15).astype(np.uint8)
    assert "too bright" in labels(bright, crop)
    assert labels(texture(128, 40, seed=1), crop) == ["lost content"]
    assert labels(crop, crop, erased=0.3) == ["erased"]


def test_judge_allows_what_the_promise_allows() -> None:
    crop = texture(128, 40)
    few = crop.copy()
    few[:9] = 255  # 14 % of the rows
    assert labels(few, crop, quiet=crop, whole=crop) == []
    assert labels(255 - crop, crop) == [], "a negative keeps the content"
    night = texture(15, 6)
    assert labels(night, night) == [], "a dark frame's own tone is allowed"
    blank = np.full((64, 64, 3), 9, np.uint8)
    assert labels(blank, blank) == [], "blank images are counted apart"


def test_noise_and_erase_are_judged_where_the_promise_says() -> None:
    crop, flat = texture(128, 40), texture(128, 3)
    assert "flat" in labels(crop, crop, quiet=flat), "noise must not pass for contrast"
    assert "lost content" not in labels(flat, crop, quiet=crop, whole=crop)


def test_statistics_are_those_of_measure() -> None:
    image = source()
    summary = adaptaug.measure(image.pixels).summary()
    rows = logic.statistics(image.stats)
    assert {row["key"]: row["value"] for row in rows} == {row["key"]: summary[row["key"]] for row in rows}
    assert all(0 <= row["share"] <= 1 for row in rows)


def test_explanations_list_every_parameter_of_both_views() -> None:
    comparison = logic.compare(source(), Policy.load("simclr"), Policy.load("natural"), 0, 1, 64)
    pair = comparison.columns[1].pairs[0]
    explained = logic.explain_pair(pair)
    for number in (0, 1):
        expected = {row["parameter"]: row for row in pair[number].params.explain().rows}
        assert {row["parameter"] for row in explained["rows"]} == set(expected)
        for row in explained["rows"]:
            for key, value in row["views"][number].items():
                assert value == expected[row["parameter"]][key]
    html = detail.pair_detail(comparison, (1, 0))
    assert all(templates.escape(row["parameter"]) in html for row in explained["rows"])
    assert all(templates.escape(sentence) in html for sentence in explained["certificates"])


def test_views_of_an_asymmetric_policy_are_explained_each_with_its_own_ranges() -> None:
    changes = {"blur": {"p": 1.0, "range": [0.1, 1.0]}, "solarize": {"p": 1.0, "range": [0.4, 0.6]}}
    policy = Policy.load("simclr").edit(pair={"second": changes})
    comparison = logic.compare(source(), policy, Policy.load("natural"), 0, 1, 64)
    rows = {
        row["parameter"]: row["views"] for row in logic.explain_pair(comparison.columns[0].pairs[0])["rows"]
    }
    assert [view["policy"] for view in rows["blur"]] == [[0.1, 2.0], [0.1, 1.0]]
    assert rows["solarize"][0]["reason"] == logic.ABSENT and rows["solarize"][1]["applied"]
    assert logic.ABSENT in detail.pair_detail(comparison, (0, 0))


def test_outline_of_the_full_frame_and_of_a_flip() -> None:
    policy = Policy.load("simclr").edit({"crop": {"area": [1, 1], "ratio": [1, 1]}, "hflip": {"p": 1.0}})
    params = adaptaug.plan(np.array(SAMPLES["astronaut"]), policy, key=(0, 0, 0), size=64)
    corners = np.array(logic.outline(params))
    assert corners == pytest.approx(np.array([(1, 0), (0, 0), (0, 1), (1, 1)]), abs=0.03)


def test_pairs_are_compared_by_the_features_of_a_checkpoint(tmp_path) -> None:
    import torch
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.resnet18(weights=None)
    torch.save(net.state_dict(), tmp_path / "mine.pth")
    backbone = likeness.Backbone(str(tmp_path / "mine.pth"))
    comparison = logic.compare(source(), Policy.load("simclr"), Policy.load("natural"), 0, 2, 64, backbone)
    pair = comparison.columns[1].pairs[1]
    mean, std = (np.reshape(v, (3, 1, 1)) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    inputs = np.stack([(v.pixels.transpose(2, 0, 1) / 255 - mean) / std for v in pair]).astype(np.float32)
    net.fc = torch.nn.Identity()
    with torch.inference_mode():
        one, other = net.eval()(torch.from_numpy(inputs))
    expected = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
    found = comparison.columns[1].features[1]
    assert found == pytest.approx(expected, abs=1e-4)
    html = pairs_html.pairs(comparison, (0, 0))
    assert "mine.pth (resnet18, 512 features)" in html and f'data-features="{found:.4f}"' in html


# --- reading files ----------------------------------------------------------------------------------------
def test_decode_turns_upright(tmp_path) -> None:
    image = Image.fromarray(np.array(SAMPLES["cat"]))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(logic.decode(tmp_path / "a.png").pixels, np.rot90(np.array(image), -1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_decode_takes_every_common_mode(mode: str, tmp_path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(np.array(SAMPLES["cat"])).convert(mode).save(path)
    pixels = logic.decode(path).pixels
    assert pixels.shape == (300, 451, 3) and pixels.dtype == np.uint8


def test_what_became_of_transparency_is_said(tmp_path) -> None:
    image = Image.fromarray(np.array(SAMPLES["cat"]))
    for name, said in (("RGBA", True), ("RGB", False)):
        image.convert(name).save(tmp_path / "a.png")
        shown = measured_html.statistics(logic.decode(tmp_path / "a.png"))
        assert ("its transparency put on a plain ground" in shown) == said


def test_decode_refuses_in_a_sentence_without_the_path(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense" * 20)
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    Image.new("RGB", (400, 300)).save(tmp_path / "half.png")
    whole = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (5, 5)).save(tmp_path / "tiny.png")
    for file in sorted(tmp_path.iterdir()):
        with pytest.raises(AdaptAugError) as caught:
            logic.decode(file, "mine.png")
        sentence = str(caught.value)
        assert sentence.startswith("mine.png: ") and str(tmp_path) not in sentence and "\n" not in sentence


def test_decode_refuses_a_pixel_bomb_before_decoding(tmp_path, monkeypatch) -> None:
    Image.new("1", (8000, 5001)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(AdaptAugError, match="8000 x 5001 pixels are more than the 40 megapixels"):
        logic.decode(tmp_path / "bomb.png")


def test_own_images_in_the_samples_place(tmp_path) -> None:
    Image.fromarray(np.array(SAMPLES["cat"])).save(tmp_path / "b.png")
    (tmp_path / "a.png").write_text("not an image")
    assert [name for name, _ in logic.samples_from(tmp_path)] == ["b.png"]
    with pytest.raises(AdaptAugError):
        logic.samples_from(tmp_path / "nowhere")


def test_what_a_user_named_is_text() -> None:
    hostile = "<img src=x onerror=alert(1)>{{value}}${value}`'\".png"
    image = logic.as_source(hostile, np.array(SAMPLES["cat"]))
    comparison = logic.compare(
        image, Policy.load("simclr").edit(name=hostile), Policy.load("natural"), 0, 1, 64
    )
    written = [
        measured_html.statistics(image),
        pairs_html.pairs(comparison, (0, 0)),
        detail.pair_detail(comparison, (0, 0)),
    ]
    written += [templates.problem(hostile), templates.escape(logic.status(comparison))]
    for html in written:
        assert "<img src=x" not in html and "{{" not in html and "${" not in html and "`" not in html


def test_blank_images_are_counted_apart() -> None:
    image = logic.as_source("blank", np.full((100, 100, 3), 128, np.uint8))
    comparison = logic.compare(image, Policy.load("simclr"), Policy.load("natural"), 0, 2, 64)
    assert "the image is blank: counted apart" in logic.status(comparison)
    html = pairs_html.pairs(comparison, (0, 0))
    assert "blank image" in html and "counted apart" in html and "keep the promise" not in html


def test_importing_adaptaug_and_logic_leaves_gradio_out() -> None:
    code = "import sys, adaptaug, adaptaug.ui.logic, adaptaug.ui.detail; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- tuning -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", preset_names())
def test_the_controls_offer_every_operation_and_no_edit_changes_nothing(name: str) -> None:
    policy = Policy.load(name)
    html = editor.html(policy)
    if policy.routes:  # its rules, and the policies that it routes to
        assert all(
            f'data-preset="{route.policy}"' in html and route.subject in html for route in policy.routes
        )
    else:
        assert all(f'data-op="{op}"' in html for op in OPS)
    assert editor.apply(policy, {}).edit(name=policy.name) == policy


def test_every_operation_can_be_switched_on_with_something_to_see() -> None:
    empty = Policy.parse({"version": 1, "operations": {}})
    for name, op in OPS.items():
        changed = editor.apply(empty, {name: {"on": True}})
        assert list(changed.operations) == [name]
        if not op.switch:
            ranges = [changed[name].bounds(part) for part in op.parameters]
            assert any(low != high for low, high in ranges), name


def test_an_edit_touches_what_it_names() -> None:
    policy = Policy.load("natural")
    changes = {"hue": {"range": [-0.123456, 0.2]}, "grey": {"on": False}, "crop": {"lock": True},
               "policy": {"guards": False}}  # fmt: skip
    changed = editor.apply(policy, changes)
    assert changed.name == "natural (edited)" and not changed.guards and changed["crop"].lock
    assert changed["hue"].range == (-0.1235, 0.2) and "grey" not in changed
    same = set(policy.operations) - {"hue", "grey", "crop"}
    assert all(changed[op] == policy[op] for op in same)
    assert editor.apply(changed, {"hue": {"p": 0.1}}).name == "natural (edited)"


FORGED = [None, [], {"hue": 3}, {"nothing": {}}, {"hue": {"range": [9, 9]}}, {"hue": {"x": 1}},
          {"hue": {"p": float("nan")}}, {"hue": {"range": "<script>"}}]  # fmt: skip


@pytest.mark.parametrize("changes", FORGED, ids=str)
def test_a_forged_edit_is_refused(changes) -> None:
    with pytest.raises(AdaptAugError):
        editor.apply(Policy.load("natural"), changes)


@pytest.mark.parametrize("name", preset_names())
def test_a_link_gives_the_policy_back(name: str) -> None:
    policy = Policy.load(name)
    assert len(sharing.encode(policy)) < 1500
    assert sharing.decode(sharing.encode(policy)) == policy


@pytest.mark.parametrize("code", ["", "A", "****", "eJw", "A" * 7000, "eJxLBAAAYgBi"])
def test_a_forged_link_is_refused(code: str) -> None:
    with pytest.raises(AdaptAugError, match="the link's policy"):
        sharing.decode(code)


def test_a_bomb_in_a_link_is_not_unpacked() -> None:
    import base64
    import zlib

    code = base64.urlsafe_b64encode(zlib.compress(b" " * 3_000_000, 9)).decode()
    assert len(code) < sharing.MAX_LINK
    with pytest.raises(AdaptAugError):
        sharing.decode(code)


def test_a_link_is_unpacked_to_what_a_policy_needs_and_no_more(monkeypatch) -> None:
    """A megabyte of YAML packs into 1,300 characters, and takes seconds to read."""
    import base64
    import zlib

    text = "version: 1\nprovenance: {x: [" + "0, " * 320_000 + "0]}"
    code = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()
    assert len(code) < sharing.MAX_LINK
    monkeypatch.setattr(Policy, "loads", lambda *_: pytest.fail("it was read"))
    with pytest.raises(AdaptAugError, match="the link's policy"):
        sharing.decode(code)


def test_a_policy_that_unpacks_to_more_gets_no_link() -> None:
    policy = Policy.load("natural").edit(provenance={"study": "0" * 70_000})
    assert len(sharing.encode(policy)) < sharing.MAX_LINK and "data-code" not in sharing.share(policy)


def test_a_policy_too_long_for_a_link_says_so() -> None:
    import secrets

    policy = Policy.load("natural").edit(provenance={"study": secrets.token_hex(6000)})
    assert "too long for a link" in sharing.share(policy) and "data-code" not in sharing.share(policy)


def test_a_file_whose_name_is_no_text_is_shown(tmp_path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    assert pictures.samples(logic.samples_from(tmp_path)).encode()


def test_a_pipe_is_no_image(tmp_path) -> None:
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(AdaptAugError, match="not an image that can be read"):
        logic.decode(tmp_path / "image.png")


def test_more_pixels_than_pillow_takes_are_called_too_many(tmp_path) -> None:
    Image.new("1", (20_000, 14_000)).save(tmp_path / "large.png")
    with pytest.raises(AdaptAugError, match="megapixels"):
        logic.decode(tmp_path / "large.png")


def test_an_edit_is_told_by_what_it_changed() -> None:
    policy = Policy.load("natural")
    other = policy.edit({"hue": {"p": 0.1}, "grey": None}, guards=False)
    told = editor.difference(policy, other)
    assert {("hue", "p"), ("", "guards")} < told and {name for name, _ in told} == {"hue", "grey", ""}
    assert editor.difference(policy, policy.edit(name="other")) == frozenset()


def test_an_exported_file_is_written_anew_whenever_it_is_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first = sharing.write(Policy.load("natural"))
    os.utime(first, (0, 0))
    assert sharing.write(Policy.load("natural")) == first and Path(first).stat().st_mtime > 0
