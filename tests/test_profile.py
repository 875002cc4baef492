"""What a data set is like, and the preset that suits it."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data as samples
from sklearn.datasets import load_digits

from adaptaug.cli import run
from adaptaug.policy import Policy
from adaptaug.report.profile import STATISTICS, Profile, view_size


def rgb(image):
    return np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else image


def crops(image, count=12, side=128, seed=0):
    image = rgb(image)
    rng = np.random.default_rng(seed)
    for i in range(count):
        top, left = rng.integers(0, image.shape[0] - side), rng.integers(0, image.shape[1] - side)
        yield f"{i}", np.ascontiguousarray(image[top : top + side, left : left + side])


def profile_of(images):
    found = Profile()
    for name, image in images:
        found.add(name, image)
    return found


def digits(count=40):
    """As MNIST: strokes in 20 x 20, four pixels of black around."""
    for i, digit in enumerate(load_digits().images[:count]):
        large = cv2.resize((digit * 15.9).astype(np.uint8), (20, 20), interpolation=cv2.INTER_CUBIC)
        yield f"{i}", rgb(cv2.copyMakeBorder(large, 4, 4, 4, 4, cv2.BORDER_CONSTANT))


def scan():
    """A page as a scanner gives it: two levels, white to the edge, as a glyph's ground is."""
    page = samples.page()
    black = page < cv2.medianBlur(page, 41) * 0.8
    return rgb(
        cv2.copyMakeBorder(255 - black.astype(np.uint8) * 255, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)
    )


@pytest.mark.parametrize(
    ("images", "preset"),
    [
        (lambda: crops(samples.astronaut()), "natural"),
        (lambda: crops(samples.coffee()), "natural"),
        (lambda: crops(samples.camera()), "natural"),
        (lambda: crops(samples.page()), "documents"),
        (lambda: ((n, 255 - i) for n, i in crops(samples.page())), "documents"),
        (lambda: [("scan", scan())], "documents"),
        (lambda: ((n, (i * 0.15).astype(np.uint8)) for n, i in crops(samples.coffee())), "lowlight"),
        (lambda: crops(samples.hubble_deep_field(), side=256), "lowlight"),
        (digits, "digits"),
        (lambda: ((n, 255 - i) for n, i in digits()), "digits"),
    ],
    ids=[
        "portrait",
        "coffee",
        "grey",
        "page",
        "light on dark",
        "scan",
        "dark",
        "stars",
        "digits",
        "dark digits",
    ],
)
def test_the_preset_that_suits(images, preset):
    assert profile_of(images()).suggestion()[0] == preset


def test_grey_photographs_are_told_that_colour_operations_do_nothing():
    assert "100% are grey" in profile_of(crops(samples.camera())).suggestion()[1]


def test_a_mixture_names_both_presets():
    found = profile_of([*crops(samples.coffee(), 6), *crops(samples.page(), 4)])
    assert (found.suggestion()[0], found.runner_up()[0]) == ("natural", "documents")
    assert "60% suit natural and 40% documents" in found.warnings()[0]
    assert found.advice() == (
        "auto", "60% of the images suit natural and 40% documents, and it takes for each image its own"
    )  # fmt: skip


def test_no_votes_leave_a_runner_up():
    assert profile_of(digits()).runner_up()[0] == "natural"


def test_blank_images_have_no_vote_and_are_counted():
    found = profile_of([("a", np.zeros((9, 9, 3), np.uint8)), ("b", np.full((9, 9, 3), 200, np.uint8))])
    assert found.suggestion()[0] == "natural"
    assert "2 blank images" in found.warnings()[-1]


def test_quantiles_agree_with_numpy():
    images = list(crops(samples.coffee(), 40))
    means = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).mean() / 255 for _, i in images]
    found = profile_of(images)
    for share in (0.05, 0.5, 0.95):
        assert found.quantile("mean", share) == pytest.approx(np.quantile(means, share), abs=0.03)


# --- near-duplicates ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("again", ["saved", "scaled"])
def test_a_copy_is_found_and_others_are_not(again):
    images = list(crops(samples.astronaut(), 20))
    image = images[3][1]
    saved = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_COLOR)
    copy = {"saved": saved, "scaled": cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)}[again]
    assert profile_of([*images, ("copy", copy)]).duplicates() == [(20, 3)]


def test_more_copies_than_are_compared_are_all_found():
    image = next(crops(samples.coffee()))[1]
    assert [again for again, _ in profile_of([("a", image)] * 30).duplicates()] == list(range(1, 30))


def test_digits_that_share_a_hash_are_not_duplicates():
    found = profile_of(digits(1000))
    hashes = np.frombuffer(bytes(found._marks), np.uint8).reshape(-1, 72)[:, :8]
    assert len(np.unique(hashes, axis=0)) < 1000
    assert found.duplicates() == []


def test_memory_is_72_bytes_an_image():
    assert len(profile_of(crops(samples.astronaut(), 20))._marks) == 20 * 72


def test_the_images_own_colours_are_told_as_targets():
    """As a policy takes them: 5 to 95 % of cast and deviation, by the formula of policies/README.md."""
    images = list(crops(samples.astronaut(), 40))
    found, rows = profile_of(images), []
    for _, image in images:
        red, green, blue = np.moveaxis(
            cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) / 255.0, -1, 0
        )
        luma, chroma = (
            0.299 * red + 0.587 * green + 0.114 * blue,
            np.stack([red - green, (red + green) / 2 - blue]),
        )
        cast = chroma.mean((1, 2)) / luma.mean()
        rest = chroma - cast[:, None, None] * luma
        rows.append([*cast, np.sqrt(rest.var((1, 2)).sum()) / luma.mean()])
    for told, values in zip(found.chroma().values(), np.array(rows).T, strict=True):
        assert told == pytest.approx(np.quantile(values, [0.05, 0.95], method="inverted_cdf"), abs=0.02)
    line = next(line for line in found.text().splitlines() if "chroma: {" in line)
    policy = Policy.loads("version: 1\noperations:\n  " + line[line.index("chroma: {") :])
    assert (
        policy["chroma"].p == 0.2
        and policy["chroma"].std == tuple(found.chroma()["std"])
        and found.report()["chroma"] == found.chroma()
    )


def test_grey_images_have_no_colours_to_tell():
    found = profile_of(digits())
    assert found.chroma() is None and "chroma: {" not in found.text()


def test_small_images_are_viewed_at_their_size():
    assert view_size(profile_of(digits())) == 28


# --- the command -------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name, image in crops(samples.coffee(), 8):
        Image.fromarray(image).save(tmp_path / "data" / f"{name}.png")
    return tmp_path / "data"


def profiled(capsys, folder, *options):
    """(exit code, stdout, stderr), with the plot beside the folder."""
    code = run(["profile", str(folder), "--size", "32", "--out", str(folder.parent / "p.png"), *options])
    return code, *capsys.readouterr()


def test_command_says_which_preset_and_what_else_came_near(folder, capsys):
    code, out, err = profiled(capsys, folder)
    assert (code, err) == (0, "")
    assert "suggested: natural, because 100% of the images are" in out
    assert "next: lowlight; 0 of 8 images" in out
    assert "ms here (natural, 32 px" in out


def test_command_writes_plot_and_numbers(folder, capsys):
    profiled(capsys, folder)
    assert Image.open(folder.parent / "p.png").size[0] > 800
    report = json.loads((folder.parent / "p.json").read_text())
    assert {name: sum(counts) for name, counts in report["histograms"].items()} == dict.fromkeys(
        STATISTICS, 8
    )
    assert report["view"]["size"] == 32


def test_a_limit_is_said(folder, capsys):
    assert profiled(capsys, folder, "--limit", "3")[1].startswith("3 of 8 images")


def test_bad_files_are_named_and_the_rest_is_done(folder, capsys):
    (folder / "0 broken.png").write_bytes(b"nothing")
    code, out, err = profiled(capsys, folder)
    assert code == 0
    assert f"left out {folder / '0 broken.png'}:" in err
    assert "1 of 9 files could not be read" in out


def test_nothing_readable_is_a_failure(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.png").write_bytes(b"nothing")
    code, _, err = profiled(capsys, tmp_path / "data")
    assert code == 1
    assert "none of 1 files" in err


@pytest.mark.parametrize("out", ["p.jpg", "no/such/folder/p.png"])
def test_a_bad_place_for_the_plot_is_refused_in_a_sentence(folder, capsys, out):
    code, _, err = profiled(capsys, folder, "--out", out.format(folder=folder))
    assert code == 2
    assert err.startswith("adaptaug: --out") and err.count("\n") == 1


def test_what_cannot_be_written_is_a_failure_that_names_it(folder, capsys):
    (folder.parent / "p.json").mkdir()
    code, _, err = profiled(capsys, folder)
    assert code == 1
    assert f"{folder.parent / 'p.json'}: could not be written" in err


def test_mixed_sizes_are_a_warning(folder, capsys):
    Image.fromarray(np.asarray(Image.open(folder / "0.png"))[:90]).save(folder / "other.png")
    assert "2 sizes, 128 x 90 to 128 x 128" in profiled(capsys, folder)[1]
