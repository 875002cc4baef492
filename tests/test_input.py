"""Whatever comes in: a right result or one clear sentence, never another error."""

from __future__ import annotations

import io
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import adaptaug
from adaptaug.core.engine import off
from adaptaug.data.files import open_image
from adaptaug.hosts.webdataset import Keyed
from adaptaug.pipeline.inputs import read

SIZE = 32
KEY = (1, 0, 0)
ENGINES = ("torch", "core")


def augment(images: Any, policy: str = "natural", key: Any = KEY) -> Any:
    return adaptaug.AdaptiveAugment(policy, SIZE)(images, key=key)


def refusal(images: Any) -> str:
    """The sentence with which every face refuses these images."""
    params = adaptaug.plan(np.zeros((8, 8, 3), np.uint8), size=SIZE, key=KEY)
    said = set()
    for face in (augment, adaptaug.measure, adaptaug.Views(size=SIZE), lambda x: adaptaug.render(x, params)):
        with pytest.raises(adaptaug.AdaptAugError) as caught:
            face(images)
        said.add(str(caught.value))
    assert len(said) == 1
    sentence = said.pop()
    assert "\n" not in sentence and len(sentence) < 300 and sentence.endswith((".", ")"))
    return sentence


# --- PIL --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pil_modes_that_are_pictures(mode: str, photo):
    picture = Image.fromarray(photo("coffee", 60, 48))
    if mode == "LAB":
        from PIL import ImageCms

        lab = ImageCms.createProfile("LAB")
        picture = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    else:
        picture = picture.convert(mode)
    try:
        view = augment(picture)
    except adaptaug.AdaptAugError as error:  # PIL itself has no way from LAB to RGB
        assert mode == "LAB" and "LAB" in str(error)
        return
    assert view.size == (SIZE, SIZE) and view.mode == ("L" if mode in ("1", "L") else "RGB")
    if mode in ("P", "RGB", "YCbCr", "HSV"):
        reference = np.asarray(augment(Image.fromarray(np.array(picture.convert("RGB")))))
        assert np.array_equal(np.asarray(view), reference)


def test_other_pil_modes_are_named():
    assert repr("RGBX") in refusal(Image.new("RGBX", (40, 40)))


@pytest.mark.parametrize("drawing", [10, 200])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "La", "RGBa", "P", "I;16"])
def test_what_is_transparent_is_put_on_a_ground(mode: str, drawing: int, tmp_path):
    """That it stands out from, and the same of a PIL image, its file and its bytes."""
    ground = 255 if drawing < 190 else 0
    image = Image.new("LA", (48, 40), (drawing, 0))
    image.paste((drawing, 255), (8, 8, 40, 32))
    if mode in ("P", "I;16"):  # where one value stands for what is transparent
        levels = np.full((40, 48), 0, np.uint8 if mode == "P" else np.uint16)
        levels[8:32, 8:40] = 1 if mode == "P" else 257 * drawing
        levels[8, 8] = 1 if mode == "P" else 65535
        image = Image.fromarray(levels)
        if mode == "P":
            image = image.convert("P")
            image.putpalette([90, 90, 90, *(drawing,) * 3])
        image.info["transparency"] = 0
    else:
        image = image.convert("RGBA").convert(mode) if mode == "RGBa" else image.convert(mode)
    seen = np.asarray(pixels_of(image))
    assert (seen[0] == ground).all() and abs(int(seen[20, 20].max()) - drawing) <= 1
    if mode not in ("La", "RGBa"):
        image.save(tmp_path / "x.png", **({"transparency": 0} if mode in ("P", "I;16") else {}))
        opened = np.asarray(open_image(tmp_path / "x.png"))
        assert np.array_equal(np.broadcast_to(seen, opened.shape), opened)
        assert np.array_equal(adaptaug.decode((tmp_path / "x.png").read_bytes()), opened)


def pixels_of(image: Image.Image) -> np.ndarray:
    return read(image).data


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_truncated_file_is_one_sentence(format: str, photo):
    """PIL reads pixels only when asked, so a broken file shows itself here."""
    written = io.BytesIO()
    Image.fromarray(photo("coffee", 200, 160)).save(written, format)
    with pytest.raises(adaptaug.AdaptAugError, match="cannot be read"):
        augment(Image.open(io.BytesIO(written.getvalue()[:3000])))


# --- arrays -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 40, 50), np.uint8), r"\(3, 40, 50\), which looks like \(C, H, W\)"),
        (np.zeros((1, 40, 50), np.uint8), r"\(C, H, W\)"),
        (np.zeros((40, 50, 4), np.uint8), r"\(40, 50, 4\)"),
        (np.zeros((40, 50, 2), np.uint8), r"\(40, 50, 2\)"),
        (np.zeros((40, 50, 7), np.uint8), r"\(40, 50, 7\)"),
        (np.zeros((2, 40, 50, 3), np.uint8), r"\(2, 40, 50, 3\)"),
        (np.zeros(40, np.uint8), r"\(40,\)"),
        (np.zeros((), np.uint8), r"\(\)"),
        (np.zeros((40, 50, 3), np.int64), "int64.*uint8"),
        (np.zeros((3, 40, 50), np.uint16), r"\(3, 40, 50\), which looks like \(C, H, W\)"),
        (np.zeros((0, 9, 3), np.float32), "9 x 0"),
        (np.zeros((40, 50, 3), bool), "bool"),
        (np.full((4, 4, 3), "x"), "<U1"),
        (np.full((4, 4, 3), None), "object"),
        (np.zeros((1, 1, 3), np.uint8), "2 x 2 pixels; got 1 x 1"),
        (np.zeros((1, 90, 3), np.uint8), "got 90 x 1|looks like"),
        (np.zeros((90, 1, 3), np.uint8), "got 1 x 90"),
        (np.zeros((0, 9, 3), np.uint8), "9 x 0"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else "",
)
def test_wrong_arrays_are_refused(array: np.ndarray, said: str):
    import re

    assert re.search(said, refusal(array))


def test_grey_arrays_come_back_grey(photo):
    grey = photo("coffee", 60, 48)[..., 1]
    assert augment(grey[:, :, None]).shape == (SIZE, SIZE, 1)
    assert augment(grey).shape == (SIZE, SIZE)
    assert np.array_equal(
        augment(grey).reshape(-1), augment(np.repeat(grey[:, :, None], 3, 2))[..., 0].reshape(-1)
    )


def test_arrays_that_are_not_contiguous(photo):
    image = photo("coffee", 120, 96)
    wide = np.concatenate([image, image], 1)
    for other in (
        image[::-1],
        image[:, ::-1],
        image[::2, ::2],
        image.transpose(1, 0, 2),
        image[..., ::-1],
        wide[:, 9:99],
    ):
        assert np.array_equal(augment(other), augment(np.ascontiguousarray(other)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", ["natural", "digits", "simclr"])
def test_the_input_is_left_as_it_was(engine: str, policy: str, photo, to_tensor):
    image = photo("coffee", 60, 48)
    given = image if engine == "core" else to_tensor(image)
    before = np.array(image)
    for index in range(6):
        augment(given, policy, (1, 0, index))
    assert np.array_equal(before, image if engine == "core" else given.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("width", "height"), [(2, 2), (2, 300), (300, 2), (3, 5), (31, 33), (1000, 7)])
@pytest.mark.parametrize("policy", ["natural", "digits", "simclr"])
def test_small_and_slender_images(engine: str, policy: str, width: int, height: int, to_tensor):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in range(4):
            view = augment(image if engine == "core" else to_tensor(image), policy, (1, 0, index))
            assert SIZE in view.shape


# --- tensors ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.zeros(40, 50, 3), r"\(40, 50, 3\) \(it looks like \(H, W, C\): permute it\)"),
        (torch.zeros(2, 40, 50, 3), r"\(2, 40, 50, 3\)"),
        (torch.zeros(4, 40, 50), r"\(4, 40, 50\)"),
        (torch.zeros(40, 50), r"\(40, 50\)"),
        (torch.zeros(1, 1, 3, 40, 50), r"\(1, 1, 3, 40, 50\)"),
        (torch.zeros(3, 1, 50), "2 x 2"),
        (torch.zeros(3, 0, 50), "2 x 2"),
        (torch.zeros(3, 40, 50, dtype=torch.int64), "int64"),
        (torch.zeros(3, 40, 50, dtype=torch.bool), "bool"),
        (torch.zeros(3, 40, 50, dtype=torch.complex64), "complex64"),
        (torch.zeros(3, 40, 50, dtype=torch.int8), "int8: scale it"),
        (torch.full((3, 40, 50), 200.0), "200.*0, 1"),
        (torch.full((3, 40, 50), -1.0), "-1"),
        (torch.full((3, 40, 50), 1.5), "1.5"),
        (torch.full((3, 40, 50), float("nan")), "nan"),
        (torch.full((2, 3, 40, 50), float("inf")), "inf"),
        (torch.full((3, 40, 50), float("-inf"), dtype=torch.float16), "inf"),
        (torch.full((1, 40, 50), float("nan")), "finite values, got none"),
        (torch.zeros(3, 40, 50, device="meta"), "meta tensor: it holds no pixels"),
        (torch.zeros(3, 40, 50).to_sparse(), "sparse tensor: make it dense first"),
    ],
    ids=lambda value: f"{value.dtype}" if isinstance(value, torch.Tensor) else value[:24],
)
def test_wrong_tensors_are_refused(tensor: torch.Tensor, said: str):
    import re

    assert re.search(said.replace(".*0, 1", ""), refusal(tensor))


def test_one_nan_among_good_values():
    """Of colours it is a mistake, of grey values one that was not measured."""
    tensor = torch.rand(3, 40, 50)
    tensor[1, 7, 7] = float("nan")
    assert "nan" in refusal(tensor)
    grey, dark = tensor[1:2], tensor[1:2].clone()
    dark[0, 7, 7] = 0.0
    assert torch.equal(augment(grey), augment(dark))


@pytest.mark.parametrize("kind", ["array", "tensor", "batch"])
def test_colours_normalised_too_early_are_refused(kind: str):
    """As `Normalize` leaves them: stretched to their range they would look like an image, and be none."""
    colours = (np.random.default_rng(0).random((40, 50, 3), np.float32) - 0.45) / 0.225
    image = torch.from_numpy(colours).permute(2, 0, 1)
    given = {"array": colours, "tensor": image, "batch": torch.stack([image, image])}[kind]
    assert "augment before normalising" in refusal(given)


@pytest.mark.parametrize(
    "given", [None, 3, "photo.jpg", bytearray(), [], [np.zeros((9, 9, 3), np.uint8)], {}], ids=repr
)
def test_other_types_are_named(given: Any):
    assert type(given).__name__ in refusal(given)


def test_floats_are_levels_over_255(photo, to_tensor):
    tensor = to_tensor(photo("coffee", 60, 48))
    for dtype in (torch.float32, torch.float64):
        view = augment(tensor.to(dtype) / 255)
        assert torch.equal(torch.round(view * 255).to(torch.uint8), augment(tensor))
        assert view.min() >= 0 and view.max() <= 1


@pytest.mark.parametrize("guards", [True, False])
def test_grey_images_of_a_policy_that_colours_them_come_back_as_luma(guards: bool, photo, to_tensor):
    warm = {"version": 1, "guards": guards, "operations": {"temperature": {"range": [0.9, 1.0]}}}
    grey, make = photo("coffee", 60, 48)[..., 1], adaptaug.AdaptiveAugment(warm, SIZE)
    coloured = make(np.repeat(grey[:, :, None], 3, 2), key=(1, 0, 0))
    luma = np.asarray(Image.fromarray(coloured).convert("L")).astype(int)
    tensor = make(torch.from_numpy(np.ascontiguousarray(grey))[None], key=(1, 0, 0))
    for view in (
        make(grey, key=(1, 0, 0)),
        np.asarray(make(Image.fromarray(grey), key=(1, 0, 0))),
        tensor[0].numpy(),
    ):
        assert np.abs(view - luma).max() <= 1
    assert np.abs(coloured[..., 0] - luma).max() > 20


def test_grey_tensors_come_back_grey(photo, to_tensor):
    grey = to_tensor(photo("coffee", 60, 48))[1:2]
    assert augment(grey).shape == (1, SIZE, SIZE)
    assert augment(grey[None]).shape == (1, 1, SIZE, SIZE)
    assert torch.equal(augment(grey), augment(grey.expand(3, -1, -1))[:1])


def test_tensors_that_are_not_contiguous(photo, to_tensor):
    image = torch.from_numpy(photo("coffee", 120, 96)).permute(2, 0, 1)  # strides of an array
    batch = image[None].expand(2, -1, -1, -1)
    assert not image.is_contiguous() and not batch.is_contiguous()
    assert torch.equal(augment(image), augment(image.contiguous()))
    assert torch.equal(augment(image[:, ::2, ::2]), augment(image[:, ::2, ::2].contiguous()))
    assert torch.equal(augment(batch, key=5), augment(batch.contiguous(), key=5))


def test_a_tensor_with_gradients(photo, to_tensor):
    tensor = (to_tensor(photo()) / 255).requires_grad_()
    assert augment(tensor).shape == (3, SIZE, SIZE)


# --- batches ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("policy", ["natural", "digits", "simclr"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("side", [16, 100])  # below the view, and reduced to it
def test_an_empty_batch_gives_an_empty_batch(policy: str, dtype: torch.dtype, side: int):
    empty = torch.zeros(0, 3, side, side, dtype=dtype)
    for key in (None, 3, [], torch.zeros(0, 3, dtype=torch.int64)):
        view = augment(empty, policy, key)
        assert view.shape == (0, 3, SIZE, SIZE) and view.dtype == dtype
    views, params = adaptaug.Views(policy, size=SIZE, return_params=True)(empty)
    assert [v.shape for v in views] == [(0, 3, SIZE, SIZE)] * 2
    assert len(params[0]) == 0 and adaptaug.render(empty, params[0]).shape == (0, 3, SIZE, SIZE)
    assert len(adaptaug.measure(empty)) == 0


def test_an_empty_batch_with_every_operation():
    widest = {
        name: {part: [spec.low, spec.high] for part, spec in op.parameters.items()}
        for name, op in adaptaug.policy.ops.OPS.items()
    }
    policy = adaptaug.Policy.parse({"version": 1, "operations": widest})
    assert adaptaug.AdaptiveAugment(policy, SIZE)(torch.zeros(0, 3, 40, 40)).shape == (0, 3, SIZE, SIZE)


@pytest.mark.parametrize(
    "key", [(1, 2, 3), [(1, 2, 3)], torch.zeros(1, 3, dtype=torch.int64), torch.zeros(2, 3), "ab"]
)
def test_a_batch_wants_a_key_for_each(key: Any):
    with pytest.raises(adaptaug.AdaptAugError, match="key"):
        augment(torch.rand(2, 3, 40, 40), key=key)


# --- torch's default device ---------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
def test_another_default_device_changes_nothing(engine: str, photo, to_tensor):
    """meta is at hand everywhere: what is made there has no pixels, and the core would read where none are."""
    views, image = adaptaug.Views("natural", size=SIZE, return_params=True), photo("coffee", 60, 48)

    def make() -> tuple[Any, ...]:
        torch.manual_seed(0)
        with off() if engine == "torch" else nullcontext():
            (one, _), params = views(image, key=KEY)
            (fresh, _), _ = views(to_tensor(image)[None])
            replayed = adaptaug.render(image, params[0])
            keyed = adaptaug.Keyed([image] * 3, adaptaug.Views(size=SIZE))
            keyed.set_epoch(1)
            stream = Keyed(adaptaug.Views(size=SIZE))({"__key__": "a", "jpg": image})["jpg"][0]
            return (
                one,
                fresh,
                torch.from_numpy(replayed),
                keyed[1][0],
                stream,
                adaptaug.measure(image).contrast,
            )

    wanted = make()
    torch.set_default_device("meta")
    try:
        made = make()
    finally:
        torch.set_default_device(None)
    assert all(torch.equal(a, b) for a, b in zip(wanted, made, strict=True))


# --- blank ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", ["natural", "digits"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 90)], ids=str)
def test_a_blank_image_is_left_alone_and_flagged(
    engine: str, policy: str, colour: tuple[int, int, int], to_tensor
):
    image = np.full((48, 60, 3), colour, np.uint8)
    given = image if engine == "core" else to_tensor(image)
    for index in range(5):
        params = adaptaug.AdaptiveAugment(policy, SIZE).plan(given, key=(1, 0, index))
        view = augment(given, policy, (1, 0, index))
        view = view if engine == "core" else view.permute(1, 2, 0).numpy()
        assert bool(params.blank[0]) and (view == colour).all()
    assert "blank" in params.explain().certificate


def test_views_of_a_blank_image_are_copies_of_it():
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    for view in adaptaug.Views("natural", size=SIZE, finish="none")(image):
        view[:] = 0
    assert (image == 90).all()


def test_blank_images_leave_their_neighbours_alone(photo, to_tensor):
    image = to_tensor(photo("coffee", 60, 48))
    batch = torch.stack([image, torch.zeros_like(image), image])
    params = adaptaug.AdaptiveAugment("natural", SIZE).plan(batch, key=2)
    assert params.blank.tolist() == [False, True, False]
    assert torch.equal(augment(batch, key=2)[2], augment(image, key=(2, 0, 2)))


@pytest.mark.parametrize("engine", ENGINES)
def test_almost_blank_is_not_blank(engine: str, to_tensor):
    image = np.full((48, 60, 3), 100, np.uint8)
    image[:, 30:] = 108
    given = image if engine == "core" else to_tensor(image)
    params = adaptaug.AdaptiveAugment("natural", SIZE).plan(given, key=KEY)
    assert not bool(params.blank[0])
    assert np.asarray(augment(given)).std() > 0
