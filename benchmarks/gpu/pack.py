"""One folder with all that the machine lacks: wheels for its Python, this package with its core, CIFAR-10.

`go` in it is what is run there: it installs the wheels, without a network, and calls `python -m benchmarks.gpu`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from adaptaug.errors import AdaptAugError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "runs" / "gpu-pack"  # git ignores runs/
LIMIT = 60_000_000  # bytes
PYTHON = "3.12"
# What adaptaug and its peers import that the machine has not (/work/.library/device/KINDS.md), at the versions here.
WHEELS = (
    "kornia",
    "kornia_rs",
    "lightly",
    "pydantic",
    "pydantic_core",
    "annotated-types",
    "typing-inspection",
)
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")
CIFAR = "cifar10_full_60k_jpegpack.npz"
SOURCES = ("adaptaug", "benchmarks", "policies")

GO = """#!/bin/sh
# sh runs/gpu-pack/go PART... --seconds N [--later N]: on the machine, in the repository's root.
# What is kept between calls lies in $GPU_HOME; rows go to $OUT as well, which is emptied before each call.
set -e
began=$(date +%s)
pack=$(cd "$(dirname "$0")" && pwd) home=${GPU_HOME:-/tmp/gpu}
cd "$pack/../.."
mkdir -p "$home"
if ! cmp -s "$pack/manifest.json" "$home/site/manifest.json"; then
  rm -rf "$home/half" "$home/site"
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$home/half" "$pack"/*.whl
  cp "$pack/manifest.json" "$home/half"
  mv "$home/half" "$home/site"
fi
# Rows of an earlier machine, copied here by hand: they are not measured again.
if [ ! -e "$home/gpu.json" ] && [ -e "$pack/gpu.json" ]; then cp "$pack/gpu.json" "$home"; fi
export PYTHONPATH="$home/site:$PWD" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
set -- "$@" --began "$began" --pack "$pack" --out "$home/gpu.json" --also "${OUT:-$home/out}/gpu.json"
exec python3 -m benchmarks.gpu "$@"
"""


def make(folder: Path, data: Path) -> None:
    """Fill the folder anew and say what is in it.

    Raises: AdaptAugError: no index, no core, no images, a folder that git would take, more than fits.
    """
    images = data / CIFAR
    if not images.exists():
        raise AdaptAugError(
            f"{images}: expected CIFAR-10's pack, got nothing; --data names the folder it lies in."
        )
    if _git("check-ignore", "-q", str(folder)).returncode == 1:
        raise AdaptAugError(f"{folder}: expected a folder that git ignores, as those under runs/ are.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    download(folder)
    own_wheel(folder)
    shutil.copy(images, folder)
    (folder / "go").write_text(GO)
    write_manifest(folder)


def download(folder: Path) -> None:
    """The wheels of others, for the machine's Python."""
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in WHEELS]
    options_of_pip = [
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
    ]
    for platform in PLATFORMS:
        options_of_pip += ["--platform", f"{platform}_x86_64"]
    _pip(
        ["download", *options_of_pip, "-d", str(folder), *wanted],
        "the wheels of others; an index that pip reaches is needed",
    )


def own_wheel(folder: Path) -> None:
    """This package with its presets and its core, as users have it."""
    environment = os.environ | {"ADAPTAUG_CORE": "require"}
    _pip(["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
         "this package's wheel with its core; `make core` says why", environment)  # fmt: skip


def _pip(arguments: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "-q", *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise AdaptAugError(f"pip {arguments[0]}: expected {what}: {last}")


def write_manifest(folder: Path) -> None:
    """manifest.json: what is there, of which sources; printed with sizes. Raises: AdaptAugError: more than fits."""
    files: dict[str, dict[str, Any]] = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    }
    total = sum(entry["bytes"] for entry in files.values())
    for name, entry in files.items():
        print(f"{entry['bytes'] / 1e6:7.2f} MB  {name}")
    print(f"{total / 1e6:7.2f} MB  in all, of at most {LIMIT / 1e6:.0f}")
    if total > LIMIT:
        raise AdaptAugError(f"{folder}: expected at most {LIMIT:,} bytes, got {total:,}.")
    from benchmarks.turns import commit

    manifest = {"source": source_hash(ROOT), "commit": commit(), "python": PYTHON, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def source_hash(root: Path) -> str:
    """12 hex digits of all that decides a number: code, C sources, policies."""
    digest = hashlib.sha256()
    for name in SOURCES:
        for path in sorted((root / name).rglob("*")):
            if path.suffix in (".py", ".c", ".h", ".yaml"):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def facts(folder: Path, device: Any) -> dict[str, Any]:
    """Where a call runs, and of what sources. Raises: AdaptAugError: the pack's are others than the working tree's."""
    import torch

    from benchmarks import turns

    manifest_file, source, commit = folder / "manifest.json", source_hash(ROOT), turns.commit()
    if manifest_file.exists():
        manifest = json.loads(manifest_file.read_text())
        if manifest["source"] != source:
            raise AdaptAugError(
                f"{folder}: expected the wheel of these sources ({source}), got that of {manifest['source']}; "
                "`python -m benchmarks.gpu pack` makes it anew."
            )
        commit = commit if commit.strip("-+") else manifest["commit"]
    machine = turns.machine(device.type)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        machine |= {
            "memory_gb": round(properties.total_memory / 1e9, 1), "processors": properties.multi_processor_count,
            "driver": _driver(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
            "tf32 in convolutions": torch.backends.cudnn.allow_tf32,
        }  # fmt: skip
    return {"commit": commit, "source": source, "machine": machine}


def _driver() -> str:
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip() or "-"
    except (OSError, subprocess.TimeoutExpired):
        return "-"


def try_out(folder: Path, python: str) -> None:
    """Run every part at toy size as on the machine: a copy of what git has, this folder, no network, that Python."""
    files = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for file in files:
            if (ROOT / file).is_file():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, root / file)
        shutil.copytree(folder, root / "runs" / "gpu-pack")
        (root / "bin").mkdir()
        (root / "bin" / "python3").write_text(f'#!/bin/sh\nexec {Path(python).absolute()} "$@"\n')
        (root / "bin" / "python3").chmod(0o755)
        environment = {
            "PATH": f"{root / 'bin'}:/usr/bin:/bin", "HOME": name, "GPU_HOME": f"{name}/home", "OUT": f"{name}/out",
        }  # fmt: skip
        command = ["unshare", "--net", "--map-root-user", "sh", "runs/gpu-pack/go",
                   "throughput", "steps", "compiled", "training", "--toy", "--seconds", "900"]  # fmt: skip
        subprocess.run(command, cwd=root, env=environment, check=True)
        results = json.loads((root / "out" / "gpu.json").read_text())
    failed = {row["row"]: row["failed"] for row in results["rows"] if "failed" in row}
    if failed or not results["rows"]:
        raise AdaptAugError(
            f"{folder}: expected every part to run under {python}, got {failed or 'no rows'}."
        )
    print(
        f"{len(results['rows'])} rows under {python}, without a network: {results['calls'][0]['machine']['versions']}"
    )
