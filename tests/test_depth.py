"""Images of more than 8 bits a channel: one rule, wherever they come from."""

from __future__ import annotations

import io
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

import adaptaug
from adaptaug import cli
from adaptaug.core.engine import off
from adaptaug.data import depth, files, open_data
from adaptaug.pipeline.inputs import read

KEY = (1, 0, 0)
MODES = {"I;16": np.uint16, "I;16B": ">u2", "I": np.int32, "F": np.float32}


@pytest.fixture
def scan() -> np.ndarray:
    """A 12-bit picture in 16 bits, as X-rays are kept: a ramp from 300 to 4000."""
    return np.linspace(300, 4000, 48 * 40).reshape(48, 40).astype(np.uint16)


def levels_of(values: np.ndarray) -> np.ndarray:
    """By hand: its lowest 0, its highest 255."""
    values = values.astype(np.float64)
    return np.rint(255 * (values - values.min()) / (values.max() - values.min())).astype(np.uint8)


def in_mode(values: np.ndarray, mode: str) -> Image.Image:
    if mode == "I;16B":
        return Image.frombytes(mode, values.shape[::-1], values.astype(">u2").tobytes())
    return Image.fromarray(values.astype(MODES[mode]))


@pytest.mark.parametrize("mode", MODES)
def test_deep_pil_images_are_read_by_their_own_range(mode, scan):
    image = in_mode(scan, mode)
    assert image.mode == mode
    assert np.array_equal(np.asarray(depth.to_levels(image)), levels_of(scan))
    same = Image.fromarray(levels_of(scan))
    augment = adaptaug.AdaptiveAugment("natural", 32)
    view = augment(image, key=KEY)
    assert view.mode == "L" and np.array_equal(np.asarray(view), np.asarray(augment(same, key=KEY)))
    assert float(adaptaug.measure(image).contrast[0]) > 0.2
    assert np.array_equal(np.asarray(adaptaug.show(image, pairs=1)), np.asarray(adaptaug.show(same, pairs=1)))
    plan = augment.plan(image, key=KEY)
    assert np.array_equal(np.asarray(adaptaug.render(image, plan)), np.asarray(view))


@pytest.mark.parametrize("kind", [*depth.KINDS, ">u2", ">f4"])
@pytest.mark.parametrize("shape", [(48, 40), (48, 40, 1), (16, 40, 3)])
def test_deep_arrays_are_read_by_their_own_range(kind, shape, scan):
    array = scan.reshape(shape).astype(kind)
    augment = adaptaug.AdaptiveAugment("natural", 32)
    view = augment(array, key=KEY)
    assert view.dtype == np.uint8 and np.array_equal(view, augment(levels_of(array), key=KEY))


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(array).transpose(2, 0, 1)))


def as_levels(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype == torch.uint8 else torch.round(tensor * 255).to(torch.uint8)


@pytest.mark.parametrize("engine", ["core", "torch"])
@pytest.mark.parametrize("kind", depth.KINDS)
@pytest.mark.parametrize("shape", [(48, 40), (16, 40, 3)])
def test_deep_tensors_are_read_as_arrays_are(kind, shape, engine, scan):
    """A batch, too, in which each image has its own range; floats stay floats, and of colours must be in 0 ... 1."""
    if len(shape) == 3 and kind.startswith("float"):
        with pytest.raises(adaptaug.AdaptAugError, match="augment before normalising"):
            adaptaug.AdaptiveAugment("natural", 32)(as_tensor(scan.reshape(shape).astype(kind)))
        return
    arrays = [(values.reshape(shape) - 5).astype(kind) for values in (scan, 2 * scan)]
    batch = torch.stack([as_tensor(array) for array in arrays])
    augment = adaptaug.AdaptiveAugment("natural", 32)
    with off() if engine == "torch" else nullcontext():
        wanted = augment(torch.stack([as_tensor(levels_of(array)) for array in arrays]), key=5)
        made = augment(batch, key=5)
        assert torch.equal(augment(batch[0], key=(5, 0, 0)), made[0])
    assert made.dtype == (batch.dtype if batch.is_floating_point() else torch.uint8)
    assert torch.equal(as_levels(made), wanted)


def test_float_tensors_in_0_to_1_are_what_they_are(scan):
    """Also the dark one beside one that is not, and where nobody may look at values."""
    dark = as_tensor(scan.astype(np.float32) / 1e5)
    batch = torch.stack([dark, 1e5 * dark])
    assert torch.equal(depth.to_unit(dark), dark)
    levels = torch.round(255 * dark)
    assert torch.equal(torch.round(255 * depth.to_unit(batch)[0]), levels)
    assert torch.equal(as_levels(depth.to_unit(batch)[1]), as_tensor(levels_of(scan)))
    unseen = torch.compile(depth.to_unit, backend="eager")(batch)
    assert torch.equal(as_levels(unseen), as_levels(depth.to_unit(batch)))


@pytest.mark.parametrize("mode", ["bicubic", "lanczos"])
def test_what_a_sharp_resampling_adds_is_cut(mode, photo):
    """Of black strokes on white, which are the worst, and of a photograph."""
    strokes = (np.random.default_rng(0).random((6, 6)) < 0.5).repeat(3, 0).repeat(3, 1).astype(np.float32)
    image = strokes if mode == "bicubic" else photo("astronaut", 24, 24)[..., 0] / np.float32(255)
    large = np.array(Image.fromarray(image).resize((72, 72), getattr(Image.Resampling, mode.upper())))
    assert large.min() < -0.1
    wanted = np.rint(255 * large.clip(0, 1)).astype(np.uint8)
    assert np.array_equal(depth.to_levels(large), wanted)
    assert torch.equal(as_levels(depth.to_unit(as_tensor(large))), as_tensor(wanted))
    batch = torch.nn.functional.interpolate(torch.from_numpy(image).expand(2, 3, -1, -1), 96, mode="bicubic")
    assert torch.equal(as_levels(depth.to_unit(batch)), as_levels(batch.clamp(0, 1)))


@pytest.mark.parametrize(
    "values", [[-0.2, 0.15], [-0.3, 0.9], [0.2, 1.3], [1.1, 1.2], [-0.2, -0.1], [-1.0, 1.0], [-2.1, 2.6]]
)
def test_floats_that_no_resampling_gives_have_their_own_range(values):
    assert depth.to_levels(np.float32(values)).tolist() == [0, 255]
    assert as_levels(depth.to_unit(torch.tensor(values)[None, None])).flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "said"),
    [(np.zeros((9, 9), np.int64), "int64"), (np.zeros((9, 9), np.int8), "int8"), (np.zeros((9, 9), bool), "bool")],
)  # fmt: skip
def test_arrays_that_are_likely_levels_of_another_type_are_still_refused(array, said):
    with pytest.raises(adaptaug.AdaptAugError, match=f"{said}: scale it to 0..255 and use uint8"):
        adaptaug.measure(array)


def test_values_that_are_not_finite_do_not_decide():
    values = np.array([[0, 10, 20], [np.nan, np.inf, -np.inf]], np.float32)
    assert depth.to_levels(values).tolist() == [[0, 128, 255], [0, 255, 0]]
    for nothing in (np.nan, np.inf):
        with pytest.raises(adaptaug.AdaptAugError, match=r"expected an image with finite values, got none"):
            adaptaug.Views(size=32)(np.full((9, 9), nothing, np.float32))


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.uint16([7, 7]), [0, 0]),
        (np.float32([7, 7]), [0, 0]),
        (np.float32([0.5, 0.5]), [128, 128]),
        (np.float32([0, 1]), [0, 255]),
        (np.float32([0.2, 0.6]), [51, 153]),
        (np.float32([0.001, 0.002, 0.003]), [0, 128, 255]),  # as it is, it were one single level
        (np.float32([-1, 0, 1]), [0, 128, 255]),
        (np.float64([-1.7e308, 0, 1.7e308]), [0, 128, 255]),
        (np.float64([5e-324, 1e-323]), [0, 255]),
        (np.int32([-(2**31), 2**31 - 1]), [0, 255]),
        (np.uint16([0, 1]), [0, 255]),
    ],
)
def test_the_rule(values, levels):
    assert depth.to_levels(values).tolist() == levels


def test_a_range_is_said_and_what_lies_beyond_is_cut():
    values = np.int16([-1000, -160, 40, 240, 3000])
    for said in ("-160,240", (-160, 240), depth.Range(-160, 240)):
        assert depth.to_levels(values, said).tolist() == [0, 0, 128, 255, 255]
    assert depth.to_levels(np.uint8([3, 4]), "0,9").tolist() == [3, 4]
    assert str(depth.parse("-160,240.5")) == "-160,240.5"


@pytest.mark.parametrize("range", ["", "1", "1,1", "2,1", "0,nan", "0,inf", "a,b", "1,2,3", 7, None, "type"])
def test_another_range_is_refused(range):
    with pytest.raises(adaptaug.AdaptAugError, match=r"range: expected auto, data, or LOW,HIGH .*, got"):
        depth.parse(range)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_deep_files_and_their_bytes(suffix, scan, tmp_path):
    path = tmp_path / f"scan.{suffix}"
    Image.fromarray(scan).save(path, **({"irreversible": False} if suffix == "jp2" else {}))
    opened = np.asarray(files.open_image(path))
    assert np.array_equal(opened[:, :, 0], levels_of(scan)) and opened.shape == (48, 40, 3)
    assert np.array_equal(adaptaug.decode(path.read_bytes()), opened)
    low = np.asarray(files.open_image(path, range=depth.Range(300, 8000)))
    assert low.max() < 130 and np.array_equal(adaptaug.decode(path.read_bytes(), range=(300, 8000)), low)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_tiff_of_floats_or_signed_numbers(mode, scan, tmp_path):
    values = scan.astype(np.float32) - 2000
    in_mode(values, mode).save(tmp_path / "scan.tif")
    assert np.array_equal(np.asarray(files.open_image(tmp_path / "scan.tif"))[:, :, 0], levels_of(values))


def test_deep_images_are_turned_and_their_white_is_white(scan, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scan).save(tmp_path / "turned.png", exif=exif)
    turned = np.asarray(files.open_image(tmp_path / "turned.png"))[:, :, 0]
    assert np.array_equal(turned, np.rot90(levels_of(scan), -1))
    # A TIFF may say that its least value is white; with a transparent level, that is white, too.
    Image.fromarray(scan).save(tmp_path / "white.tif", tiffinfo={262: 0})
    least = np.asarray(files.open_image(tmp_path / "white.tif"))[:, :, 0]
    assert np.array_equal(least, 255 - levels_of(scan))
    Image.fromarray(scan).save(tmp_path / "clear.png", transparency=int(scan[0, 0]))
    clear = np.asarray(files.open_image(tmp_path / "clear.png"))[:, :, 0]
    assert clear[0, 0] == 255 and np.array_equal(clear[1:], levels_of(scan)[1:])
    assert np.array_equal(read(Image.open(tmp_path / "clear.png")).data[:, :, 0], clear)


def test_a_file_without_a_finite_value_is_named(tmp_path):
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "nothing.tif")
    Image.fromarray(np.eye(9, dtype=np.float32)).save(tmp_path / "a.tif")
    data = open_data(tmp_path)
    assert [name for name, _ in data] == ["a.tif"]
    said = "expected an image with finite values, got none; leave it out."
    assert data.bad == [("nothing.tif", f"{tmp_path / 'nothing.tif'}: {said}")]


@pytest.fixture
def scans(tmp_path, scan):
    """Two files, the second twice as bright as the first, and one of 8 bits."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, values in (("a", scan), ("b", 2 * scan), ("c", levels_of(scan))):
        Image.fromarray(values).save(folder / f"{name}.png")
    return folder


def test_a_data_set_has_each_images_range_or_one_for_all(scans, scan):
    data = open_data(scans)
    assert all(np.array_equal(data[i][:, :, 0], levels_of(scan)) for i in range(3)) and data.range == "auto"
    data = open_data(scans, range="data")
    assert data.range == "300,8000" and [int(data[i].max()) for i in range(3)] == [123, 255, 255]
    assert np.array_equal(open_data(scans, range="300,8000").take(2)[0], data[0])
    assert open_data(scans / "..", range="0,4000")[0].max() == 255


def test_an_npz_has_one_range(tmp_path, scan):
    np.savez(tmp_path / "set.npz", x=np.stack([scan, 2 * scan]))
    data = open_data(tmp_path / "set.npz")
    assert data.range == "300,8000" and [int(data[i].max()) for i in (0, 1)] == [123, 255]
    assert open_data(tmp_path / "set.npz", range="0,4000")[0].max() == 255
    np.savez(tmp_path / "unit.npz", x=np.full((2, 9, 9, 3), 0.5, np.float32))
    assert (open_data(tmp_path / "unit.npz")[1] == 128).all()
    np.savez(tmp_path / "nan.npz", x=np.full((2, 9, 9), np.nan))
    with pytest.raises(adaptaug.AdaptAugError, match=r"nan\.npz: expected an image with finite values"):
        open_data(tmp_path / "nan.npz")


def test_deep_images_in_shards_and_in_a_hugging_face_data_set(tmp_path, scan):
    webdataset, datasets = pytest.importorskip("webdataset"), pytest.importorskip("datasets")
    written = io.BytesIO()
    Image.fromarray(scan).save(written, "PNG")
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        writer.write({"__key__": "0", "png": written.getvalue()})
    rows = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(scan)]}, datasets.Features(image=datasets.Image())
    )
    rows.save_to_disk(tmp_path / "hub")
    for path in (tmp_path / "a.tar", tmp_path / "hub"):
        assert np.array_equal(open_data(path)[0][:, :, 0], levels_of(scan))
        assert open_data(path, range="0,40000")[0].max() < 30


class Scans(torch.utils.data.Dataset):
    def __init__(self, image):
        self.image = image

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.image, index


def test_hosts_take_deep_images(scan):
    image, same = Image.fromarray(scan), Image.fromarray(levels_of(scan))
    views = adaptaug.Views("natural", size=32)
    keyed = [adaptaug.Keyed(Scans(one), views)[0][0] for one in (image, same)]
    assert all(torch.equal(a, b) for a, b in zip(*keyed, strict=True)) and keyed[0][0].std() > 0.05
    from adaptaug.hosts.torchvision import Adaptive

    made = []
    for one in (image, same):
        torch.manual_seed(0)
        made.append(np.asarray(Adaptive("natural", 32)(one)))
    assert np.array_equal(*made)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_albumentations_hands_on_deep_arrays(kind, scan):
    pytest.importorskip("albumentations")
    from adaptaug.hosts.albumentations import Adaptive

    made = []
    for one in (scan[:, :, None].repeat(3, 2).astype(kind), levels_of(scan)[:, :, None].repeat(3, 2)):
        torch.manual_seed(0)
        made.append(Adaptive("natural", 32)(image=one)["image"])
    assert np.array_equal(*made)


def test_the_command_line_takes_a_range(scans, tmp_path, capsys):
    def ran(*arguments):
        code = cli.run([str(argument) for argument in arguments])
        return code, capsys.readouterr().err

    out = tmp_path / "sheet.png"
    assert ran("preview", scans, "--pairs", 1, "--size", 32, "--out", out) == (0, "")
    own = np.asarray(Image.open(out))
    assert ran("preview", scans, "--pairs", 1, "--size", 32, "--out", out, "--range", "0,65535") == (0, "")
    assert not np.array_equal(own, np.asarray(Image.open(out)))
    code, err = ran("profile", scans, "--out", tmp_path / "p.png", "--range", "data")
    assert code == 0 and err == "adaptaug: --range 300,8000, which is that of the data.\n"
    code, err = ran("profile", scans, "--out", tmp_path / "p.png", "--range", "9,1")
    assert code == 2 and "range: expected auto, data, or LOW,HIGH" in err


def test_the_app_reads_deep_files(scan, tmp_path):
    pytest.importorskip("gradio")
    from adaptaug.ui import logic

    Image.fromarray(scan).save(tmp_path / "scan.png")
    assert np.array_equal(logic.decode(tmp_path / "scan.png").pixels[:, :, 0], levels_of(scan))


def test_the_app_takes_a_range(scans, monkeypatch):
    pytest.importorskip("gradio")
    from adaptaug.ui import app, dataset, tune

    served = []
    monkeypatch.setattr(
        tune,
        "build",
        lambda policies, first, samples, backbone, range, heard: served.append((samples, range)),
    )
    monkeypatch.setattr(app.dataset_tab, "build", lambda *args: served.append(args))
    monkeypatch.setattr(app.training, "build", lambda *args: None)
    app.build_app(images=str(scans), range="data")
    (samples, chosen), (*_, same, _) = served
    assert str(chosen) == str(same) == "300,8000" and np.asarray(samples[0][1]).max() == 123
    assert dataset.from_folder(scans, chosen)[0][0].open().pixels.max() == 123
    assert dataset.uploaded([(str(scans / "a.png"), "a.png")], chosen)[0][0].open().pixels.max() == 123
    with pytest.raises(adaptaug.AdaptAugError, match="range: expected auto or LOW,HIGH without --images"):
        app.build_app(range="data")
    told = {}
    monkeypatch.setattr(app, "main", lambda **options: told.update(options))
    assert cli.run(["ui", "--range", "0,9"]) == 0 and told["range"] == "0,9"
