import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

import adaptaug
from adaptaug.data import files
from adaptaug.report import captions
from adaptaug.report import text as lettering
from adaptaug.report.sheet import contact_sheet


@pytest.fixture(scope="module")
def samples():
    return files.sample_images()


@pytest.fixture(scope="module")
def made(samples):
    return contact_sheet(samples, "natural", pairs=2, seed=5, size=64)


def test_the_report_reproduces_every_view(samples, made):
    report = json.loads(json.dumps(made[1], allow_nan=False))
    policy = adaptaug.Policy.loads(report["policy"]["yaml"])
    views = adaptaug.Views(policy, size=report["size"], finish="none")
    seen = set()
    for (name, image), entry in zip(samples, report["images"], strict=True):
        assert entry["name"] == name
        for pair in entry["pairs"]:
            seen.add(tuple(pair["key"]))
            for view, told in zip(views(image, key=tuple(pair["key"])), pair["views"], strict=True):
                assert hashlib.sha256(view.tobytes()).hexdigest() == told["sha256"]
                assert told["lines"]
                assert told["parameters"][0]["reason"]
    assert seen == {(5, 0, index) for index in range(2 * len(samples))}


def test_the_sheet_shows_the_views_themselves(samples):
    _, image = samples[0]
    sheet = np.asarray(adaptaug.show(image, "natural", pairs=1, seed=2, size=160))
    for view in adaptaug.Views("natural", size=160, finish="none")(image, key=(2, 0, 0)):
        pixels = np.asarray(view)
        corner = (sheet == pixels[0, 0]).all(-1)
        ys, xs = np.nonzero(corner[: sheet.shape[0] - 159, : sheet.shape[1] - 159])
        assert any(
            np.array_equal(sheet[y : y + 160, x : x + 160], pixels) for y, x in zip(ys, xs, strict=True)
        )


def test_a_set_of_views_is_shown_and_reproduced(samples):
    name, image = samples[0]
    sheet, report = contact_sheet([(name, image)], pairs=2, seed=5, size=64, views=9)
    made = adaptaug.Views("natural", report["views"], 64, finish="none")(image, key=(5, 0, 1))
    told = report["images"][0]["pairs"][1]["views"]
    assert [hashlib.sha256(view.tobytes()).hexdigest() for view in made] == [view["sha256"] for view in told]
    pixels = np.asarray(sheet)
    for view in made:
        shown = np.asarray(view).repeat(3, 0).repeat(3, 1)  # small views are enlarged
        ys, xs = np.nonzero((pixels == shown[0, 0]).all(-1)[: sheet.height - 191, : sheet.width - 191])
        assert any(
            np.array_equal(pixels[y : y + 192, x : x + 192], shown) for y, x in zip(ys, xs, strict=True)
        )


def test_a_sheet_is_the_same_twice_and_another_seed_is_another(samples):
    image = samples[1][1]
    first, again, other = (adaptaug.show(image, pairs=1, seed=seed, size=32) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_show_takes_what_views_takes(samples):
    array = np.asarray(samples[1][1])
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    sheets = [
        adaptaug.show(x, pairs=1, size=32).tobytes() for x in (samples[1][1], array, tensor, tensor / 255)
    ]
    assert len(set(sheets)) == 1
    assert adaptaug.show(array[:, :, 0], pairs=1, size=32).mode == "RGB"
    with pytest.raises(adaptaug.AdaptAugError, match="one image"):
        adaptaug.show(torch.stack([tensor, tensor]), pairs=1, size=32)


@pytest.mark.parametrize("policy", ["natural", "simclr", "digits", "simclr-cifar"])
def test_nothing_is_too_small_wide_or_blank(policy):
    odd = [
        (
            "a name that is far too long for the column that it has to stand in.png",
            Image.new("RGB", (2, 900)),
        ),
        ("日本 é.png", Image.effect_noise((900, 2), 80)),
        ("", Image.new("L", (28, 28), 128)),
    ]
    sheet, report = contact_sheet(odd, policy, pairs=1, seed=-1, size=8)
    assert sheet.mode == "RGB"
    assert len(report["images"]) == 3


@pytest.mark.parametrize(
    "bad",
    [
        {"pairs": 0},
        {"pairs": 65},
        {"pairs": True},
        {"size": 4},
        {"seed": 0.5},
        {"policy": "?"},
        {"views": 1},
        {"views": 17},
    ],
)
def test_bad_numbers_are_refused(samples, bad):
    with pytest.raises(adaptaug.AdaptAugError):
        contact_sheet(samples[:1], **bad)
    with pytest.raises(adaptaug.AdaptAugError, match="at least one"):
        contact_sheet([])


def test_text_keeps_to_its_width_and_loses_nothing():
    text = "dark source: no darker than its own crop; andonewordthatiswiderthanthewholeline"
    for width in (40, 100, 160):
        lines = lettering.wrap(text, 13, width)
        assert all(lettering.font(13).getlength(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    name = lettering.shortened("x" * 100 + ".png", 15, 120)
    assert name.endswith(".png")
    assert lettering.font(15).getlength(name) <= 120
    assert lettering.drawable("Zürich 日 34 % ±.5°") == "Zurich ? 34 % ±.5°"


def test_lines_say_what_the_image_changed(samples, made):
    told = [
        (row, view["lines"])
        for image in made[1]["images"] for pair in image["pairs"] for view in pair["views"]
        for row in view["parameters"]
    ]  # fmt: skip
    enlarged = [lines for row, lines in told if row["reason"].startswith("the drawn box was enlarged")]
    dark = [lines for row, lines in told if row["applied"] and row["reason"].startswith("dark source")]
    assert enlarged
    assert dark
    assert all(any("enlarged" in line for line in lines) for lines in enlarged)
    assert all(any("no darker" in line for line in lines) for lines in dark)


def test_a_view_that_the_certificate_changed_says_so(samples):
    wild = {
        "exposure": {"p": 1.0, "guard": False, "mean": [0.02, 0.02], "std": [0.01, 0.01]},
        "posterize": {"p": 1, "range": [1, 1]},
        "crop": {"area": [0.1, 0.2]},
    }
    policy = adaptaug.Policy.parse({"version": 1, "operations": wild})
    _, report = contact_sheet(samples[:4], policy, pairs=2, size=32)
    views = [view for image in report["images"] for pair in image["pairs"] for view in pair["views"]]
    changed = [view for view in views if view["certificate"].startswith("pulled back")]
    assert changed
    assert all(f"certificate: {view['certificate']}" in view["lines"] for view in changed)


def test_a_blank_image_says_so():
    _, report = contact_sheet([("grey", Image.new("RGB", (50, 50), (90, 90, 90)))], pairs=1, size=32)
    assert report["images"][0]["pairs"][0]["views"][0]["lines"] == ["blank image: returned as it is"]


def test_numbers_are_short():
    values = [captions.short(v) for v in (0.463, -0.04, 1.084, 12.34, 123.4, 0.001, -0.001)]
    assert values == [".46", "-.04", "1.08", "12.3", "123", "0", "0"]
    assert captions.short(0.04, sign=True) == "+.04"


def test_the_statistics_in_words():
    dark = np.zeros((64, 64, 3), np.uint8)
    dark[40:60, 4:24] = np.random.default_rng(0).integers(0, 200, (20, 20, 1), np.uint8)
    assert captions.describe_image(adaptaug.measure(dark)) == [
        "mean .04 (dark)", "contrast .13 (medium)", "detail mostly lower left", "no colour",
    ]  # fmt: skip
