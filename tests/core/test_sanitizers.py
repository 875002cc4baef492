"""The core under gcc's sanitizers: driver.c runs every kernel and the whole path over images of all shapes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.core.conftest import CORE, DRIVEN, DRIVER

FLAGS = (
    "-std=gnu11 -O1 -g -Wno-psabi -ffp-contract=off "
    "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"
).split()
PLANTED = {  # file -> what stands there, and a fault in its place
    "behind a file's header": ("views.c", "at + 9 < length", "at < length"),
    "behind a result": (
        "views.c",
        "STATISTICS * sizeof *statistics)",
        "STATISTICS * sizeof *statistics + 1)",
    ),
    "behind a row": (
        "warp.c",
        "(int x = size + PIXELS - 1; x >= 0; x--)",
        "(int x = 0; x < size + PIXELS; x++)",
    ),
}

pytestmark = pytest.mark.slow


def compiled(source: Path, folder: Path) -> Path:
    out = folder / f"{source.stem}.o"
    subprocess.run(["gcc", *FLAGS, f"-I{CORE}", "-c", str(source), "-o", str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each source's object; arena.c's is in the driver's."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc in PATH, whose sanitizers this test is made of: install it to run them")
    folder = tmp_path_factory.mktemp("objects")
    return {
        path.name: compiled(path, folder) for path in (DRIVER, *CORE.glob("*.c")) if path.name != "arena.c"
    }


def drive(
    objects: dict[str, Path], policies: Path, rounds: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    driver = folder / "driver"
    subprocess.run(["gcc", *FLAGS, *map(str, objects.values()), "-o", str(driver), "-lm"], check=True)
    return subprocess.run([driver, policies, str(rounds)], capture_output=True, text=True)


def test_nothing_is_read_or_written_beyond_its_block(objects, policies, tmp_path):
    done = drive(objects, policies, 10_000, tmp_path)
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout == f"driver: 10000 rounds over {len(DRIVEN)} policies\n"


@pytest.mark.parametrize("place", PLANTED)
def test_a_planted_overflow_is_reported(place, objects, policies, tmp_path):
    file, right, wrong = PLANTED[place]
    text = (CORE / file).read_text()
    assert text.count(right) == 1, f"{file} no longer has {right!r}: plant another fault"
    planted = tmp_path / file
    planted.write_text(text.replace(right, wrong))
    done = drive({**objects, file: compiled(planted, tmp_path)}, policies, 1000, tmp_path)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
