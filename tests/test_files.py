import io
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from adaptaug import AdaptAugError
from adaptaug.backend.writing import write_atomically
from adaptaug.data import files


def save(image, path, **options):
    image.save(path, **options)
    return path


def gradient(width=40, height=20):
    levels = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(levels.astype(np.uint8))


def test_finds_image_files_below_folders_sorted_and_once(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", "notes.txt", ".hidden.png", ".git/x.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = files.find_images(
        [tmp_path, tmp_path / "a.webp", tmp_path / "notes.txt", tmp_path / "missing.png"]
    )
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["a.webp", "b/1.jpg", "b/2.PNG", "notes.txt", "missing.png"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_every_opaque_8_bit_mode_becomes_rgb(tmp_path, mode):
    image = files.open_image(save(gradient().convert(mode), tmp_path / "image.tif"))
    assert (image.mode, image.size) == ("RGB", (40, 20))


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    path = save(gradient(), tmp_path / "turned.png", exif=exif)
    image = files.open_image(path)
    assert image.size == (20, 40)
    expected = gradient().transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert 0x0112 not in image.getexif()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_composited_on_white(tmp_path, mode):
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 4, 4))
    if mode == "PA":  # Pillow's own conversion drops the alpha
        alpha, image = image.getchannel("A"), image.convert("RGB").quantize(2)
        image.putalpha(alpha)
    image = image.convert(mode)
    assert image.mode == mode
    path = save(image, tmp_path / "x.tif")
    pixels = np.asarray(files.open_image(path))
    assert (pixels[:, 4:] == 255).all()
    assert (pixels[:, :4] == 10).all()


def test_a_palette_with_a_transparent_entry_is_composited_too(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    pixels = np.asarray(files.open_image(save(image, tmp_path / "x.png", transparency=1)))
    assert (pixels == 255).all()


def one_sentence(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    for part in parts:
        assert part in text


def test_broken_files_are_refused_by_name(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole, "PNG")
    contents = {
        "text.jpg": b"not an image",
        "empty.png": b"",
        "half.png": whole.getvalue()[: len(whole.getvalue()) // 2],
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AdaptAugError) as error:
            files.open_image(path)
        one_sentence(error, name)


def test_what_is_not_a_file_is_refused(tmp_path):
    for path, got in ((tmp_path, "a folder"), (tmp_path / "missing.png", "nothing of that name")):
        with pytest.raises(AdaptAugError) as error:
            files.open_image(path)
        one_sentence(error, str(path), got)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(AdaptAugError):  # and does not wait for somebody to write into it
            files.open_image(tmp_path / "pipe.png")


def test_size_limits_hold_before_decoding(tmp_path, monkeypatch):
    path = save(gradient(), tmp_path / "image.png")
    with pytest.raises(AdaptAugError) as error:
        files.open_image(path, max_pixels=799)
    one_sentence(error, "image.png", "40 x 20", "max_pixels")
    assert files.open_image(path, max_pixels=800).size == (40, 20)
    # Pillow's own guard gives the same sentence, and a higher limit of the caller's lifts it.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(AdaptAugError):
        files.open_image(path, max_pixels=200)
    assert files.open_image(path, max_pixels=800).size == (40, 20)
    assert Image.MAX_IMAGE_PIXELS == 300
    thin = save(Image.new("RGB", (9, 1)), tmp_path / "thin.png")
    with pytest.raises(AdaptAugError) as error:
        files.open_image(thin)
    one_sentence(error, "thin.png", "9 x 1")


def test_names_stay_on_one_line():
    assert files.printable("a\nb\x1b[31m é") == "a\\nb\\x1b[31m é"
    assert str(AdaptAugError("a\nb: expected é")) == "a\\nb: expected é"


def test_samples_need_no_download_and_cover_the_hard_kinds():
    from adaptaug import measure

    samples = dict(files.sample_images())
    assert len(samples) >= 8
    assert all(image.mode == "RGB" for image in samples.values())
    assert float(measure(samples["coffee, dark"]).mean[0]) < 0.1
    assert float(measure(samples["cat, low contrast"]).contrast[0]) < 0.04
    assert float(measure(samples["digit"]).border_uniformity[0]) > 0.95


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (np.asarray(files.open_image(tmp_path / "moving.gif")) == (255, 0, 0)).all()


def test_more_than_100_megapixels_are_refused_and_can_be_allowed(tmp_path):
    path = save(Image.new("1", (10_001, 10_000)), tmp_path / "huge.png")
    with pytest.raises(AdaptAugError) as error:
        files.open_image(path)
    one_sentence(error, "huge.png", "100 megapixels", "10001 x 10000", "max_pixels")
    assert files.open_image(path, max_pixels=2 * files.MAX_PIXELS).size == (10_001, 10_000)


def test_threads_that_write_one_file_leave_it_whole(tmp_path):
    contents = [bytes([i]) * 5000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        writing = [
            pool.submit(write_atomically, tmp_path / "a", lambda file, c=content: file.write(c))
            for content in contents * 20
        ]
        assert [future.result() for future in writing] == [None] * 160
    assert (tmp_path / "a").read_bytes() in contents and len(list(tmp_path.iterdir())) == 1
