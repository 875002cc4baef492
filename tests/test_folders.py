"""What of a folder or an archive is an image: through links, of every kind that is read; nothing without a word."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug import cli
from adaptaug.data import files, folders, formats, open_data


def save(path: Path, level: int = 100, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path, **options)
    return path


def names(path: Path) -> list[str]:
    return [found.relative_to(path).as_posix() for found in files.find_images([path])]


def ran(capsys, *arguments) -> tuple[int, str, str]:
    code = cli.run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


# --- links -------------------------------------------------------------------------------------------------
@pytest.fixture
def imagenet(tmp_path) -> Path:
    """ImageNet-100 as people make it: two of four classes are links to folders elsewhere."""
    data = tmp_path / "imagenet100"
    for number, name in enumerate(("n01", "n02", "n03", "n04")):
        for i in range(3):
            save((data if number < 2 else tmp_path / "whole") / name / f"{i}.png", 60 * number)
    for name in ("n03", "n04"):
        (data / name).symlink_to(tmp_path / "whole" / name)
    return data


def test_class_folders_that_are_links_are_read(imagenet):
    from torchvision.datasets import ImageFolder

    data = open_data(imagenet)
    assert len(data) == len(ImageFolder(imagenet)) == 12 and data.left_out == ""
    assert data.class_names == ["n01", "n02", "n03", "n04"]
    assert data.labels.tolist() == [target for _, target in ImageFolder(imagenet).samples]
    assert int(data[11][0, 0, 0]) == 180


def test_a_link_to_a_class_is_a_class_and_links_to_files_are_files(imagenet):
    (imagenet / "again").symlink_to(imagenet / "n01")
    (imagenet / "n01" / "link.png").symlink_to(imagenet / "n02" / "0.png")
    assert len(open_data(imagenet)) == 12 + 4 + 1


def test_links_that_lead_back_end_and_are_told(imagenet):
    (imagenet / "n01" / "up").symlink_to("..")
    (imagenet / "n02" / "self").symlink_to(".")
    (imagenet / "n02" / "itself").symlink_to("itself")  # leads nowhere
    (imagenet / "n03").resolve().joinpath("n04").symlink_to(imagenet / "n04")
    (imagenet / "n04").resolve().joinpath("n03").symlink_to(imagenet / "n03")
    (imagenet / "all").symlink_to(imagenet)
    data = open_data(imagenet)
    assert len(data) == 12 + 6  # n03 and n04 have each other's
    assert data.left_out == (
        "left out 6 beside 18 images: links to folders read already 5 (all), links to nothing 1 (itself)."
    )


def test_many_folders_that_link_to_each_other_are_read_in_time(tmp_path):
    for i in range(14):
        save(tmp_path / f"{i:02d}" / "0.png")
        for other in range(14):
            if other != i:
                (tmp_path / f"{i:02d}" / f"to{other:02d}").symlink_to(tmp_path / f"{other:02d}")
    assert len(files.find_images([tmp_path])) == 14 * 14


def test_broken_links_are_told(imagenet, capsys):
    (imagenet / "n05").symlink_to(imagenet / "nowhere")
    (imagenet / "n01" / "gone.png").symlink_to(imagenet / "nowhere.png")
    data = open_data(imagenet)
    assert data.left_out == "left out 1 beside 13 images: links to nothing 1 (n05)."
    assert len(list(data)) == 12 and "expected an image file, got a link to nothing" in data.bad[0][1]


# --- kinds -------------------------------------------------------------------------------------------------
SAVED = {".jfif": "JPEG", ".jpe": "JPEG", ".JPEG": "JPEG", ".pnm": "PPM", ".pbm": "PPM", ".avif": "AVIF",
         ".apng": "PNG", ".j2k": "JPEG2000", ".dib": "DIB", ".tga": "TGA", ".qoi": "QOI", ".pcx": "PCX", ".sgi": "SGI",
         ".mpo": "MPO", ".Tif": "TIFF", ".heic": "HEIF", ".HIF": "HEIF", ".jxl": "JXL"}  # fmt: skip
PLUGINS = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}


@pytest.mark.parametrize("suffix", SAVED)
def test_every_kind_that_pillow_reads(suffix, photo, tmp_path, capsys):
    if SAVED[suffix] in PLUGINS:
        pytest.importorskip(PLUGINS[SAVED[suffix]])
    formats.formats()  # has the plugins registered
    image = Image.fromarray(photo("coffee", 48, 40))
    path = tmp_path / "class" / f"a{suffix}"
    path.parent.mkdir()
    (image.convert("1") if suffix == ".pbm" else image).save(path, SAVED[suffix])
    data = open_data(tmp_path)
    assert data.names == [f"class/a{suffix}"] and data.left_out == "" and data.class_names == ["class"]
    assert data[0].shape == (40, 48, 3)
    assert np.array_equal(adaptaug.decode(path.read_bytes()), data[0]) or SAVED[suffix] in ("JPEG", "MPO")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, f"0{suffix}")
    assert np.array_equal(open_data(tmp_path / "a.tar")[0], data[0])
    out = tmp_path / "sheet.png"
    assert ran(capsys, "preview", path, "--pairs", 1, "--size", 32, "--out", out)[0] == 0


@pytest.fixture
def no_plugins(monkeypatch):
    """As where `adaptaug[formats]` is not installed."""
    monkeypatch.setattr(formats, "formats", lambda: ("PNG", "JPEG"))
    known = frozenset((".png", ".jpg"))
    for module in (formats, folders):
        monkeypatch.setattr(module, "suffixes", lambda: known)
    monkeypatch.setattr(files, "formats", formats.formats)


def test_what_a_plugin_would_read_is_told_with_the_way_out(no_plugins, tmp_path, capsys):
    save(tmp_path / "data" / "a.png")
    for name in ("b.heic", "c.HEIC", "d.jxl", "e.txt", "f.txt", "g.txt", "README"):
        (tmp_path / "data" / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    told = (
        "left out 7 beside 1 images: .heic 2 (pip install 'adaptaug[formats]'), .jxl 1 (pip install "
        "'adaptaug[formats]'), .txt 3, without suffix 1 (README)."
    )
    assert open_data(tmp_path / "data").left_out == told
    out = tmp_path / "sheet.png"
    code, _, err = ran(capsys, "preview", tmp_path / "data", "--pairs", 1, "--size", 32, "--out", out)
    assert (code, err) == (0, f"adaptaug: {told}\n")
    code, _, err = ran(capsys, "profile", tmp_path / "data", "--out", tmp_path / "p.png")
    assert (code, err) == (0, f"adaptaug: {told}\n")
    for name in ("b.heic", "e.txt"):  # told by its content, whatever its name
        with pytest.raises(adaptaug.AdaptAugError, match=rf"needs a plugin: {formats.WAY_OUT[:11]}"):
            files.open_image(tmp_path / "data" / name)
    with pytest.raises(adaptaug.AdaptAugError, match="needs a plugin"):
        adaptaug.decode((tmp_path / "data" / "b.heic").read_bytes())
    (tmp_path / "data" / "a.png").unlink()
    with pytest.raises(adaptaug.AdaptAugError, match=r"found none; left out 7 beside 0 images: \.heic 2"):
        open_data(tmp_path / "data")
    code, _, err = ran(capsys, "preview", tmp_path / "data", "--out", out)
    assert code == 1 and "no image files in" in err and ".heic 2" in err


def test_hidden_ones_and_archives_beside_are_told(tmp_path):
    for name in ("a.png", "._a.png", ".thumbnails/a.png"):
        save(tmp_path / name)
    (tmp_path / "train.tar").touch()
    (tmp_path / ".DS_Store").touch()
    assert open_data(tmp_path).left_out == (
        "left out 3 beside 1 images: hidden images 1 (._a.png), hidden folders 1 (.thumbnails), .tar 1."
    )


def test_an_empty_file_is_told(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    data = open_data(tmp_path)
    assert len(list(data)) == 1 and "b.png: expected an image file, got an empty one" in data.bad[0][1]


def test_names_that_are_no_text(tmp_path, capsys):
    folder = tmp_path / "data" / os.fsdecode(b"caf\xe9")
    try:
        save(folder / "a.png")
        (folder / os.fsdecode(b"\xff.png")).write_bytes((folder / "a.png").read_bytes())
        (folder / os.fsdecode(b"\xfe.txt")).touch()
        (folder / os.fsdecode(b"x.\xfe")).touch()
    except OSError:
        pytest.skip("this file system takes text only")
    data = open_data(tmp_path / "data")
    assert data.class_names == ["caf\\udce9"] and data.names[1] == "caf\\udce9/\\udcff.png"
    assert len(list(data)) == 2 and len(data.fingerprint()) == 16 and data.left_out.isprintable()
    for command in ("preview", "profile"):
        assert ran(capsys, command, tmp_path / "data", "--out", tmp_path / "o.png")[0] == 0
    "".join([*data.names, data.left_out]).encode()


# --- archives ----------------------------------------------------------------------------------------------
def test_links_in_a_tar_are_followed_and_what_is_no_image_is_told(tmp_path):
    a, b = save(tmp_path / "0.png", 10).read_bytes(), save(tmp_path / "1.png", 20).read_bytes()
    with tarfile.open(tmp_path / "s.tar", "w") as tar:

        def add(name: str, content: bytes = b"", link: str = "", kind: bytes = tarfile.REGTYPE) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, link
            tar.addfile(member, io.BytesIO(content))

        add("n2", kind=tarfile.DIRTYPE)
        add("n2/x.png", link="../n1/far.png", kind=tarfile.SYMTYPE)  # before what it leads to
        add("n1/0.png", a)
        add("n1/1.png", b)
        add("n1/far.png", link="./1.png", kind=tarfile.SYMTYPE)
        add("./n2/y.png", link="n1/0.png", kind=tarfile.LNKTYPE)
        add("n2/gone.png", link="/elsewhere/0.png", kind=tarfile.SYMTYPE)
        add("n2/loop.png", link="loop.png", kind=tarfile.SYMTYPE)
        add("n1/0.seg.png", b)
        add("n1/._1.png", b"AppleDouble")
        add("n1/notes.txt", b"-")
    data = open_data(tmp_path / "s.tar")
    assert [int(image[0, 0, 0]) for _, image in data] == [20, 10, 20, 20, 10] and not data.bad
    assert data.left_out == (
        "left out 5 beside 5 images: links to nothing 2 (n2/gone.png), further images of a sample 1 (n1/0.seg.png), "
        "hidden images 1 (n1/._1.png), .txt 1."
    )


def test_splits_and_columns_of_a_hugging_face_data_set_are_told(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(image=datasets.Image(), mask=datasets.Image())
    image = Image.new("RGB", (9, 9))
    rows = datasets.Dataset.from_dict({"image": [image] * 3, "mask": [image] * 3}, features)
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk(tmp_path / "set")
    assert open_data(tmp_path / "set").left_out == "left out beside 3 images: split test 1, column mask 3."


# --- our own -----------------------------------------------------------------------------------------------
@pytest.fixture
def classes(tmp_path, photo) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.fromarray(photo("chelsea", 40 + i, 40)).save(tmp_path / label / f"{i}.png")
    return tmp_path


def test_what_we_write_into_a_data_set_is_no_image_of_it(classes, capsys, monkeypatch):
    monkeypatch.chdir(classes)
    before = open_data(".")
    for again in range(2):
        code, printed, err = ran(capsys, "preview", ".", "--pairs", 1, "--size", 32)
        assert code == 0 and "6 images" in printed and ("adaptaug's own" in err) == bool(again)
        code, printed, err = ran(capsys, "profile", ".")
        assert code == 0 and "6 of 6 images" in printed and "adaptaug's own" in err
    code, _, _ = ran(capsys, "preview", ".", "--pairs", 1, "--size", 32, "--out", "cat/mine.PNG")
    assert code == 0
    data = open_data(".")
    assert data.names == before.names and data.fingerprint() == before.fingerprint()
    assert data.class_names == ["cat", "dog"] and data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (
        data.left_out.startswith("left out 6 beside 6 images: adaptaug's own 3 (")
        and ".json 3" in data.left_out
    )
    assert files.find_images(["sheet.png"]) == [Path("sheet.png")]  # who names it wants it
    code, printed, _ = ran(capsys, "preview", "cat", "dog", "--pairs", 1, "--size", 32)
    assert code == 0 and "6 images" in printed


def test_a_photograph_beside_a_json_of_somebody_else_is_one(classes):
    (classes / "cat" / "0.json").write_text(
        json.dumps({"version": "5.0", "imagePath": "/work/adaptaug/0.png"})
    )
    (classes / "settings.json").write_text("{}")
    save(classes / "cat" / "scores.png")
    save(classes / "scores.png")
    assert len(files.find_images([classes])) == 8


def test_an_archive_cannot_escape(tmp_path):
    """Members are read where they lie in the tar: no name and no link leads out of it, and nothing is unpacked."""
    inside = tmp_path / "in" / "deep"
    outside = save(tmp_path / "outside.png", 99)
    content = save(tmp_path / "ours.png", 10).read_bytes()
    inside.mkdir(parents=True)
    with tarfile.open(inside / "s.tar", "w") as tar:
        for name in ("../../up.png", f"{tmp_path}/absolute.png", "a/../../../b.png"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for i, link in enumerate((str(outside), "../../outside.png", "/dev/zero")):
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member = tarfile.TarInfo(f"link{i}{kind.decode()}.png")
                member.type, member.linkname = kind, link
                tar.addfile(member)
        device = tarfile.TarInfo("device.png")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 5
        tar.addfile(device)
    before = sorted(tmp_path.rglob("*"))
    data = open_data(inside / "s.tar")
    assert [int(image[0, 0, 0]) for _, image in data] == [10, 10, 10] and not data.bad
    assert data.left_out.startswith("left out 7 beside 3 images")
    assert sorted(tmp_path.rglob("*")) == before
