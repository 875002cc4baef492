"""What a data set is like, and the preset that suits it."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data as samples
from sklearn.datasets import load_digits

from adaptaug.cli import run
from adaptaug.profile import STATISTICS, Profile, ink, separation, view_size


def crops(image, count=12, side=128, seed=0):
    image = np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else image
    rng = np.random.default_rng(seed)
    for i in range(count):
        top, left = rng.integers(0, image.shape[0] - side), rng.integers(0, image.shape[1] - side)
        yield f"{i}", np.ascontiguousarray(image[top : top + side, left : left + side])


def profile_of(images):
    found = Profile()
    for name, image in images:
        found.add(name, image)
    return found


def glyphs():
    for i, digit in enumerate(load_digits().images[:40]):
        large = cv2.resize((digit * 15.9).astype(np.uint8), (24, 24), interpolation=cv2.INTER_CUBIC)
        stroke = (cv2.copyMakeBorder(large, 4, 4, 4, 4, cv2.BORDER_CONSTANT) > 100).astype(np.uint8) * 255
        yield f"{i}", np.repeat(stroke[:, :, None], 3, 2)


@pytest.mark.parametrize(
    ("images", "preset"),
    [
        (lambda: crops(samples.astronaut()), "natural"),
        (lambda: crops(samples.coffee()), "natural"),
        (lambda: crops(samples.page()), "documents"),
        (lambda: ((n, 255 - i) for n, i in crops(samples.page())), "documents"),
        (lambda: ((n, (i * 0.15).astype(np.uint8)) for n, i in crops(samples.coffee())), "lowlight"),
        (glyphs, "digits"),
    ],
    ids=["portrait", "coffee", "page", "light on dark", "dark", "glyphs"],
)
def test_the_preset_that_suits(images, preset):
    chosen, why = profile_of(images()).suggestion()
    assert chosen == preset
    assert len(why) > 20


def test_grey_photographs_are_photographs():
    chosen, why = profile_of(crops(samples.camera())).suggestion()
    assert chosen == "natural"
    assert "grey" in why


def test_quantiles_agree_with_numpy():
    images = list(crops(samples.coffee(), 40))
    means = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).mean() / 255 for _, i in images]
    found = profile_of(images)
    for share in (0.05, 0.5, 0.95):
        assert found.quantile("mean", share) == pytest.approx(np.quantile(means, share), abs=0.03)


def test_separation_agrees_with_scikit_image():
    from skimage.filters import threshold_otsu

    image = samples.coins()
    histogram = np.bincount(image.ravel(), minlength=256)
    upper = image > threshold_otsu(image)
    between = upper.mean() * (1 - upper.mean()) * (image[upper].mean() - image[~upper].mean()) ** 2
    assert separation(histogram) == pytest.approx(between / image.var(), rel=1e-3)


def test_separation_of_one_level_is_nothing():
    assert separation(np.eye(256)[7]) == 0


def test_ink_is_on_one_side_of_text_only():
    page, cat = (np.repeat(samples.page()[:, :, None], 3, 2), samples.chelsea())
    assert ink(page) > 0.8
    assert ink(255 - page) < -0.8
    assert abs(ink(cat)) < 0.5


def test_near_duplicates_are_found_and_others_are_not():
    images = list(crops(samples.astronaut(), 20))
    again = cv2.imdecode(cv2.imencode(".jpg", images[3][1])[1], cv2.IMREAD_COLOR)
    assert profile_of([*images, ("copy", again)]).duplicates == [("copy", "3")]


def test_memory_does_not_grow_with_the_size_of_images():
    found = profile_of(crops(samples.astronaut(), 20))
    kept = {id(pixels): pixels.nbytes for others in found._seen.values() for _, pixels in others}
    assert sum(kept.values()) <= 20 * 64


def test_small_images_are_viewed_at_their_size():
    assert view_size(profile_of(glyphs())) == 32


# --- the command -------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name, image in crops(samples.coffee(), 8):
        Image.fromarray(image).save(tmp_path / "data" / f"{name}.png")
    return tmp_path / "data"


def test_command_writes_plot_and_numbers(folder, tmp_path, capsys):
    out = tmp_path / "p.png"
    assert run(["profile", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "suggested policy: natural, because" in printed
    assert "a view costs" in printed
    assert Image.open(out).size[0] > 800
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["images"] == 8
    assert set(report["quantiles"]) == set(STATISTICS)


def test_bad_files_are_named_and_the_rest_is_done(folder, tmp_path, capsys):
    (folder / "broken.png").write_bytes(b"nothing")
    assert run(["profile", str(folder), "--out", str(tmp_path / "p.png")]) == 0
    printed = capsys.readouterr()
    assert "broken.png" in printed.err
    assert "8 images" in printed.out


def test_nothing_readable_is_a_failure(tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    assert run(["profile", str(tmp_path), "--out", str(tmp_path / "p.png")]) == 1
    assert "none of 1 files" in capsys.readouterr().err


def test_mixed_sizes_are_a_warning(folder, tmp_path, capsys):
    Image.fromarray(np.asarray(Image.open(folder / "0.png"))[:90]).save(folder / "other.png")
    assert run(["profile", str(folder), "--out", str(tmp_path / "p.png")]) == 0
    assert "2 sizes" in capsys.readouterr().out
