"""The map of a data set: what its two numbers say, and that they are of the features, not of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from adaptaug import Policy
from adaptaug.ui import atlas, dataset, dataset_html
from adaptaug.ui.atlas import Atlas

pytest.importorskip("sklearn")


def made(spread: float, classes: tuple[str, ...] = ("cat", "cat", "dog", "dog")) -> Atlas:
    """Images in corners of 5 dimensions, classes at two ends of the last, views around their image."""
    found, numbers = Atlas(), np.random.default_rng(0)
    for number, label in enumerate(classes):
        image = np.zeros(5)
        image[number % 4], image[4] = 1.0, 10.0 * (label == "dog")
        views = image + spread * numbers.normal(size=(40, 5))
        found.add(number, f"{number}.png", label, np.stack([image, *views]))
    return found


def test_views_stay_near_their_image_or_do_not() -> None:
    assert made(0.01).near() == 1.0
    assert 0.2 < made(50.0).near() < 0.4  # of four images, by chance


def test_classes_stay_apart_or_there_is_nothing_to_say() -> None:
    assert made(0.1).kept_apart() == 1.0
    assert made(0.1, ("cat", "dog", "bird", "cow")).kept_apart() is None
    assert made(0.1, ("cat", "cat", "", "")).kept_apart() is None
    mixed = made(0.1)
    mixed.classes = ["cat", "dog", "cat", "dog"]
    assert mixed.kept_apart() == 0.0


def test_the_map_is_the_two_main_axes_and_what_is_named_on_it_is_text() -> None:
    found = made(0.01)
    found.names[0], found.classes[3] = "<img src=x>.png", "<b>"
    images, views, share = found.places()
    assert images.shape == (4, 2) and views.shape == (160, 2) and share > 0.9
    first = images[:, 0]
    assert min(first) < 0.1 and max(first) > 0.9  # the classes' axis, which has most of the spread
    html = atlas.html(found, "natural")
    assert html.count("data-image=") == 4 and "data-near>100%" in html and "&lt;img src=x&gt;.png" in html
    assert "<img src=x" not in html and "{" not in html
    assert atlas.html(Atlas(), "natural") == ""


def test_a_look_maps_whole_images_and_their_views_with_the_classes_of_folders(tmp_path) -> None:
    for label, level in (("night", 20), ("day", 200)):
        (tmp_path / label).mkdir()
        for number in range(2):
            noise = np.random.default_rng(number).normal(level, 18, (60, 80, 3)).clip(0, 255)
            Image.fromarray(noise.astype(np.uint8)).save(tmp_path / label / f"{number}.png")
    items, _ = dataset.from_folder(tmp_path)
    asked = []

    def features(images: np.ndarray) -> np.ndarray:
        asked.append(images.shape)
        return atlas.pixels(images)

    simclr, natural = Policy.load("simclr"), Policy.load("natural")
    look = list(dataset.look(items, simclr, natural, 0, 32, features=features, by="mine"))[-1]
    assert asked == [(1 + 2 * dataset.PAIRS, 32, 32, 3)] * 4
    assert look.atlas.kept_apart() == 1.0
    look.atlas.numbers[0] = 7
    html = dataset_html.view(look)
    assert 'data-image="7"' in html and 'data-image="1"' in html  # by its number in the data set
    assert "By mine, on the two main axes" in html and "data-apart>100%" in html
