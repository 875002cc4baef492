"""Metadata turns a photograph, or does nothing: never is one refused for it, and files and bytes agree."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug.data import files, metadata

WIDTH, HEIGHT = 48, 32
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description %s></x:xmpmeta>'
ATTRIBUTE, ELEMENT = (
    XMP % way for way in (b'tiff:Orientation="6"/', b"><tiff:Orientation>6</tiff:Orientation")
)


def exif(order: bytes = b"MM", kind: int = 3, count: int = 1, value: bytes = b"", number: int = 6) -> bytes:
    """A camera's EXIF: its make, the orientation of any type, resolution, a directory of its own."""
    end = "<" if order == b"II" else ">"
    short = struct.pack(end + "HH", number, 0)
    entries = [(0x10F, 2, 8, struct.pack(end + "I", 150)), (0x112, kind, count, value or short),
               (0x11A, 5, 1, struct.pack(end + "I", 160)), (0x128, 3, 1, struct.pack(end + "HH", 2, 0)),
               (0x8769, 4, 1, struct.pack(end + "I", 170))]  # fmt: skip
    body = order + struct.pack(end + "HIH", 42, 8, len(entries))
    body += b"".join(struct.pack(end + "HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)
    body = body.ljust(150, b"\0") + b"CAMERA\0\0\0\0" + struct.pack(end + "II", 72, 1) + bytes(2)
    body += struct.pack(end + "HHHII", 1, 0x9003, 2, 20, 210) + bytes(4)
    return (
        b"Exif\0\0" + body.ljust(200, b"\0") + struct.pack(end + "II", number, 1) + bytes(2) + b"2026:11:30 0"
    )


@pytest.fixture(scope="module")
def picture(photo) -> np.ndarray:
    return photo("astronaut", WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def plain(picture) -> bytes:
    """A JPEG without any metadata but its own."""
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=92)
    return written.getvalue()


def with_segments(jpeg: bytes, *payloads: bytes, marker: int = 0xE1) -> bytes:
    segments = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(p)) + p for p in payloads)
    return jpeg[:2] + segments + jpeg[2:]


def both(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """As the file and as the bytes."""
    return np.asarray(files.read_image(io.BytesIO(data), "photo.jpg")), adaptaug.decode(data)


def is_turned(data: bytes, picture: np.ndarray) -> bool:
    """Whether both paths turned it by 90 degrees, or neither did."""
    one, other = both(data)
    assert one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 3
    turned = one.shape[0] > one.shape[1]
    assert np.abs(np.rot90(one) - picture.astype(int) if turned else one - picture.astype(int)).mean() < 6
    return turned


@pytest.mark.parametrize("order", [b"II", b"MM"])
@pytest.mark.parametrize(
    ("kind", "count", "value", "turned"),
    [
        (3, 1, b"", True),
        (4, 1, "I", True),  # a long
        (9, 1, "i", True),  # a signed long
        (5, 1, "offset", True),  # a rational, 6 / 1
        (11, 1, "f", True),
        (2, 2, b"6\0\0\0", False),  # a text
        (1, 1, b"\6\0\0\0", False),  # a byte
        (7, 4, b"\6\0\0\0", False),
        (3, 2, "HH", True),  # a list: its first
        (3, 0, b"", False),
        (99, 1, b"", False),
    ],
)
def test_an_orientation_of_odd_type_is_one_thing_to_both(order, kind, count, value, turned, picture, plain):
    end = "<" if order == b"II" else ">"
    if value == "offset":
        value = struct.pack(end + "I", 200)
    elif isinstance(value, str):
        value = struct.pack(end + value, *([6] * len(value)))
    assert is_turned(with_segments(plain, exif(order, kind, count, value)), picture) == turned


@pytest.mark.parametrize("number", [0, 9, 66, 65535])
def test_an_orientation_out_of_range_does_nothing(number, picture, plain):
    assert not is_turned(with_segments(plain, exif(number=number)), picture)


@pytest.mark.parametrize("number", range(1, 9))
def test_all_orientations(number, plain):
    whole = Image.open(io.BytesIO(with_segments(plain, exif(number=number))))
    from PIL import ImageOps

    wanted = np.asarray(ImageOps.exif_transpose(whole)).astype(int)
    for image in both(with_segments(plain, exif(number=number))):
        assert image.shape == wanted.shape and np.abs(image - wanted).max() <= 3


@pytest.mark.parametrize("xmp", [ATTRIBUTE, ELEMENT])
def test_an_orientation_in_xmp_only(xmp, picture, plain):
    assert is_turned(with_segments(plain, xmp), picture)
    assert is_turned(with_segments(plain, exif(kind=99), xmp), picture)
    assert is_turned(with_segments(plain, exif(kind=2, value=b"8\0\0\0"), xmp), picture)
    assert not is_turned(with_segments(plain, exif(number=1), xmp), picture)  # EXIF goes before it


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_what_is_damaged_before_the_orientation_does_not_hide_it(order, picture, plain):
    end = "<" if order == b"II" else ">"
    for place, value in ((16, 2**31), (20, 2**31), (16, 2**20), (14, 2**16 + 7)):  # of the maker's name
        damaged = bytearray(exif(order))
        struct.pack_into(end + "I", damaged, 6 + place - 2, value)
        assert is_turned(with_segments(plain, bytes(damaged)), picture)


def test_a_shrunk_jpeg_is_turned_too(photographs, to_tensor):
    written = io.BytesIO()
    Image.fromarray(photographs["rocket"]).save(written, "JPEG", quality=92)
    turned = with_segments(written.getvalue(), exif())
    height, width = photographs["rocket"].shape[:2]
    assert adaptaug.decode(turned, lambda w, h: 2).shape == (-(-width // 2), -(-height // 2), 3)


@pytest.mark.parametrize("cut", [6, 8, 14, 15, 20, 40, 90, 180, 211])
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_a_cut_off_exif_refuses_no_photograph(cut, order, picture, plain):
    assert is_turned(with_segments(plain, exif(order)[:cut]), picture) == (cut >= 40)


def test_4000_damaged_exifs_refuse_no_photograph(plain):
    draw = np.random.default_rng(0)
    turned = 0
    for i in range(4000):
        order, kind, number = (b"II", b"MM")[i % 2], (3, 3, 4, 5, 2, 1, 8, 12)[i % 8], (6, 8, 1, 9)[i % 4]
        damaged = bytearray(exif(order, kind, number=number))
        for _ in range(draw.integers(1, 6)):
            damaged[draw.integers(6, len(damaged))] = draw.integers(256)
        turned += is_turned_somehow(with_segments(plain, bytes(damaged)[: draw.integers(6, 300)]))
    assert 200 < turned < 2000


def is_turned_somehow(data: bytes) -> bool:
    one, other = both(data)
    assert one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 3
    return one.shape[0] > one.shape[1]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_are_turned_too(kind, picture):
    whole = Image.Exif()
    whole[0x0112], whole[0x010F] = 6, "camera"
    written = io.BytesIO()
    Image.fromarray(picture).save(written, kind, exif=whole)
    one, other = both(written.getvalue())
    assert one.shape == (WIDTH, HEIGHT, 3) and np.array_equal(one, other)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_damaged_exif_in_other_formats(kind, picture):
    draw = np.random.default_rng(1)
    turns = [np.rot90(way, k) for way in (picture, picture[:, ::-1]) for k in range(4)]
    for _ in range(200):
        damaged = bytearray(exif())
        for place in draw.integers(14, 80, 4):
            damaged[place] = draw.integers(256)
        written = io.BytesIO()
        Image.fromarray(picture).save(written, kind, exif=bytes(damaged), lossless=True)
        one, other = both(written.getvalue())
        assert np.array_equal(one, other) and any(np.array_equal(one, turned) for turned in turns)


def chunk(kind: bytes, payload: bytes, wrong: int = 0) -> bytes:
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload) ^ wrong)
    )


def test_a_png_with_damaged_metadata_is_read(picture):
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "PNG")
    png = written.getvalue()
    bomb = b"Comment\0\0" + zlib.compress(bytes(80_000_000))
    for part in (chunk(b"eXIf", exif()[6:], wrong=1), chunk(b"zTXt", bomb), chunk(b"tEXt", b"a\0b", wrong=1)):
        data = png[:33] + part + chunk(b"eXIf", exif()[6:]) + png[33:]
        one, other = both(data)
        assert np.array_equal(one, np.rot90(picture, -1)) and np.array_equal(other, one)
    for data in (png[:-40], png[:33] + png[60:]):  # pixels that are damaged still are
        with pytest.raises(adaptaug.AdaptAugError, match=r"photo\.jpg: expected"):
            both(data)


@pytest.mark.parametrize("order", [b"II*\0", b"MM\0*"])
def test_a_jpeg_whose_list_of_pictures_is_damaged_is_read(order, picture, plain):
    """Pillow looks for the number of pictures in it, and raises a KeyError where there is none."""
    end = "<" if order[:1] == b"I" else ">"
    lists = [struct.pack(end + "IH", 8, count) + bytes(size) for count, size in ((0, 4), (1, 12), (9, 0))]
    for rest in [*lists, b""]:
        mpf = b"MPF\0" + order + rest
        assert is_turned(with_segments(with_segments(plain, mpf, marker=0xE2), exif()), picture)


def test_a_tiff_with_a_damaged_tag_is_read(picture):
    whole = Image.Exif()
    whole[0x0112], whole[0x010F] = 6, "camera of many letters"
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "TIFF", exif=whole)
    tiff = written.getvalue()
    (place,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, place)
    tags = {struct.unpack_from("<H", tiff, at)[0]: at for at in range(place + 2, place + 2 + 12 * count, 12)}
    for size in (2**31, 2**20):  # of the maker's name, beyond the file's end
        damaged = bytearray(tiff)
        struct.pack_into("<I", damaged, tags[0x010F] + 4, size)
        one, other = both(bytes(damaged))
        assert np.array_equal(one, np.rot90(picture, -1)) and np.array_equal(other, one)
    with pytest.raises(adaptaug.AdaptAugError, match="photo"):
        both(tiff[:200])


def test_nothing_of_the_metadata_is_kept(plain):
    image = files.read_image(io.BytesIO(with_segments(plain, exif(), ELEMENT)), "x")
    assert not image.info and not image.getexif()
    assert metadata.without(b"GIF89a") is None
