"""The quarter of an hour on a GPU, rehearsed on the CPU: every part at toy size, stopped and gone on with; the pack.

What only a GPU can show (capture, kernels, times) is told in the row as what it is: not run, and why.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptaug.errors import AdaptAugError
from adaptaug.simclr.contrast import new_contrast
from benchmarks import protocol
from benchmarks.gpu import cifar, making, pack, steps, throughput, toy, training
from benchmarks.gpu.__main__ import measure, options_of
from benchmarks.gpu.calls import Call, NoTime, Row
from benchmarks.gpu.throughput import unlike
from benchmarks.protocol import Training

CPU = torch.device("cpu")
light = pytest.mark.usefixtures("light_network")


class Clock:
    """A clock that only rows move: `tick` seconds each time that it is asked."""

    def __init__(self, tick: float = 0.0):
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Replayed:
    """What a CUDA graph does, on the CPU: the same tensors each time, filled anew."""

    def __init__(self, make, images, keys):
        self.make, self.views = make, [view.clone() for view in make(images, keys)]

    def __call__(self, images, keys):
        for view, new in zip(self.views, self.make(images, keys), strict=True):
            view.copy_(new)
        return self.views


def rows_of(clock: Clock, *names: str, **options) -> list[Row]:
    """Rows of 10 seconds each, which tell their name."""

    def run(name: str, call: Call) -> dict:
        clock.now += 10
        return {"name": name}

    return [Row("part", name, 10, lambda call, name=name: run(name, call), **options) for name in names]


def names(path: Path) -> list[str]:
    return [row["row"] for row in json.loads(path.read_text())["rows"]]


# --- calls --------------------------------------------------------------------------------------------------
def test_a_call_stops_before_its_time_and_the_next_goes_on(tmp_path):
    out, clock = tmp_path / "r.json", Clock()
    first = Call(out, 34, {}, clock=clock)
    first.run(rows_of(clock, "a", "b", "c", "d"))
    assert names(out) == ["part: a", "part: b"] and clock.now == 20  # a third might take 12.5, 11 are left
    assert set(first.told["left"]) == {"part: c", "part: d"}
    second = Call(out, 60, {}, clock=clock)
    second.run(rows_of(clock, "a", "b", "c", "d"))
    assert names(out) == [f"part: {name}" for name in "abcd"]
    assert [row["call"] for row in json.loads(out.read_text())["rows"]] == [0, 0, 1, 1]
    assert not second.told["left"] and len(second.results["calls"]) == 2


def test_a_smaller_row_takes_the_time_that_a_larger_one_has_not(tmp_path):
    out, clock = tmp_path / "r.json", Clock()
    large, small = rows_of(clock, "large", "small")
    Call(out, 20, {}, clock=clock).run([replace(large, guess=100), small])
    assert names(out) == ["part: small"]


def test_a_row_is_expected_to_keep_the_pace_of_earlier_ones(tmp_path):
    call, clock = Call(tmp_path / "r.json", 1000, {}, clock=(clock := Clock())), clock
    slow, other = rows_of(clock, "slow", "other")
    call.run([replace(slow, guess=2)])
    assert call.expected(other) == 50


def test_a_row_that_fails_says_why_and_is_tried_again_when_asked(tmp_path, capsys):
    out, clock = tmp_path / "r.json", Clock()

    def fail(call: Call) -> dict:
        raise RuntimeError("CUDA error:\n out of memory")

    broken, fine = Row("part", "broken", 1, fail), rows_of(clock, "fine")[0]
    Call(out, 100, {}, clock=clock).run([broken, fine])
    (told, _) = json.loads(out.read_text())["rows"]
    assert told["failed"] == "RuntimeError: CUDA error: out of memory"
    mended = replace(broken, run=fine.run)
    Call(out, 100, {}, clock=clock).run([mended, fine])
    assert "failed" in json.loads(out.read_text())["rows"][0]
    Call(out, 100, {}, clock=clock).run([mended, fine], again=True)
    assert {row["row"]: row["name"] for row in json.loads(out.read_text())["rows"]} == {
        "part: broken": "fine", "part: fine": "fine",
    }  # fmt: skip


def test_what_a_call_never_came_back_from_does_not_take_the_next_ones_time(tmp_path):
    out, also, clock = tmp_path / "r.json", tmp_path / "out" / "r.json", Clock()

    def kill(call: Call) -> dict:
        assert json.loads(also.read_text())["begun"]["row"] == "part: deadly"
        raise KeyboardInterrupt

    deadly, fine = Row("part", "deadly", 1, kill), rows_of(clock, "fine")[0]
    for row in (deadly, replace(deadly, resumable=True)):
        out.unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            Call(out, 100, {}, also, clock).run([row, fine])
        tried = []
        again = replace(row, run=lambda call, tried=tried: tried.append(1) or {})
        Call(out, 100, {}, also, clock).run([again, fine])
        assert names(also) == names(out) == ["part: deadly", "part: fine"]
        assert bool(tried) == row.resumable  # what can be gone on with is gone on with
        assert ("failed" in json.loads(out.read_text())["rows"][0]) != row.resumable


# --- parts --------------------------------------------------------------------------------------------------
SMALLEST = replace(toy.THROUGHPUT, batches=((4, 32),))


def test_throughput_compares_with_the_peers_and_says_what_it_could_not_do():
    found = throughput.at_batch(4, 32, SMALLEST, CPU)
    told = {row["name"]: row for row in found["contenders"]}
    assert set(told) == {"ours, eager", "ours, equal work, eager", "kornia", "torchvision, one draw for all",
                         "torchvision, image by image"}  # fmt: skip
    for row in told.values():
        assert row["ms"] > 0 and row["operations"] > 0 and row["bytes"] > row["least_bytes"] > 0
        assert row["moved_of_copy"] > row["least_of_copy"] > 0 and "not counted" not in row
    assert told["ours, eager"]["least_bytes"] == 3 * 4 * 3 * 32 * 32
    assert [claim["ratio"] for claim in found["claims"]] == [
        "kornia / ours, eager", "torchvision, image by image / ours, eager",
    ]  # fmt: skip
    refused = "a CUDA graph: expected images on a CUDA device, got cpu."
    assert found["not run"] == {"ours, CUDA graph": refused, "ours, equal work, CUDA graph": refused}


def test_a_graph_is_held_to_the_eager_views(monkeypatch):
    monkeypatch.setattr(making, "Captured", Replayed)
    monkeypatch.setattr(throughput.Bench, "add_peers", lambda bench: bench.add("kornia", missing))
    found = throughput.at_batch(4, 32, SMALLEST, CPU)
    assert found["graph against eager"] == {"differ": 0.0, "by more than 1": 0.0, "most": 0}
    assert found["not run"] == {"kornia": "ModuleNotFoundError: No module named 'kornia'"}
    told = {row["name"]: row for row in found["contenders"]}
    assert told["ours, CUDA graph"]["bytes"] == told["ours, eager"]["bytes"]


def missing():
    raise ModuleNotFoundError("No module named 'kornia'")


def test_what_does_not_compile_says_why(monkeypatch):
    def refuse(make, images, keys, backend):
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(making, "compiled", refuse)
    found = throughput.by_compiler(4, 32, SMALLEST, CPU)
    assert (
        found["not run"] == {"ours, compiled": "RuntimeError: no kernel for this"}
        and found["compile_seconds"] == []
    )
    assert [row["name"] for row in found["contenders"]] == ["ours, eager"]


def test_what_compiles_is_held_to_the_eager_views(monkeypatch):
    monkeypatch.setattr(
        torch, "compile", lambda make, backend, fullgraph, dynamic: make
    )  # test_compile.py compiles
    found = throughput.by_compiler(4, 32, SMALLEST, CPU)
    assert len(found["compile_seconds"]) == 1 and found["compiled against eager"]["most"] <= 2
    assert [claim["ratio"] for claim in found["claims"]] == ["ours, eager / ours, compiled"]


def test_traffic_counts_what_is_read_and_written_and_no_views():
    one, out = torch.ones(8, 4), torch.zeros(4)
    seen = making.traffic(lambda: one.T.reshape(-1)[:4], CPU)
    assert seen == {"operations": 1, "bytes": 2 * 8 * 4 * 4}  # the copy that the reshape needs
    assert making.traffic(lambda: out.add_(one[0]), CPU) == {"operations": 1, "bytes": 3 * 16}
    assert making.traffic(lambda: one[:1].expand(8, 4).clone(), CPU)["bytes"] == 8 * 4 * 4 + 8 * 4 * 4


@light
def test_views_share_of_a_step_and_the_same_views_as_on_the_cpu(monkeypatch):
    monkeypatch.setattr(making, "Captured", Replayed)
    found = steps.share("resnet-tiny", 32, 4, toy.STEPS, CPU)
    assert set(found["views' share"]) == {"step, views eager", "step, views CUDA graph"}
    assert {row["name"] for row in found["contenders"]} == {
        "step without its views", "step, views eager", "views, eager", "step, views CUDA graph", "views, CUDA graph",
    }  # fmt: skip
    equal = steps.alike(8, 32, CPU)
    assert equal["random numbers equal"] and equal["against torch on the CPU"]["levels"]["most"] == 0
    core = equal.get("against the core") or pytest.skip(f"no core: {equal['not run']}")
    assert core["decisions differ"] == 0 and core["decisions"] > 100 and core["numbers"] > 50
    assert core["levels"]["by more than 1"] < 0.01


def test_differences_are_seen():
    views = [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.full((1, 3, 8, 8), 9, dtype=torch.uint8)]
    assert unlike(views, [views[0], views[1] - 3]) == {"differ": 0.5, "by more than 1": 0.5, "most": 3}


# --- training -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def images(tmp_path_factory, photographs) -> Path:
    """A folder with a pack of 24 training and 12 test images of three classes, as CIFAR-10's."""
    folder = tmp_path_factory.mktemp("pack")
    data, offsets, classes = b"", [0], []
    for index in range(36):
        name = ("astronaut", "coffee", "rocket")[index % 3]
        side = 40 + 3 * index
        part = Image.fromarray(photographs[name][side : side + 64, side : side + 64]).resize((32, 32))
        file = io.BytesIO()
        part.save(file, "JPEG")
        data += file.getvalue()
        offsets.append(len(data))
        classes.append(index % 3)
    np.savez(
        folder / pack.CIFAR, data=np.frombuffer(data, np.uint8), offsets=np.array(offsets), y=np.array(classes),
        is_train=np.arange(36) < 24,
    )  # fmt: skip
    return folder


def test_a_training_stopped_anywhere_takes_the_same_steps(light_network):
    recipe = replace(toy.TRAINING.recipe, epochs=3)
    pixels = torch.randint(
        0, 256, (24, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )

    def new() -> Training:
        return Training(new_contrast("resnet-tiny", "natural", 32, 0), "natural", pixels, recipe, 0)

    whole, first, second = new(), new(), new()
    whole.go(whole.steps)
    first.go(4)
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    second.resume(torch.load(kept, weights_only=True))
    second.go(100)
    assert whole.done == second.done == 9 and not second.model.training
    assert all(map(torch.equal, whole.model.state_dict().values(), second.model.state_dict().values()))
    assert protocol.train(new().model, "natural", pixels, recipe, 0) == (9, float(second.loss))


@light
def test_a_pair_is_stopped_by_the_clock_and_gone_on_with(tmp_path, images, monkeypatch):
    monkeypatch.setattr(making, "Captured", Replayed)
    out, sizes = tmp_path / "r.json", replace(toy.TRAINING, epochs=3, judging=5.0)
    row = training.rows(sizes, images, CPU)
    # Each look at the clock takes a second: an epoch has five.
    first = Call(out, 14, {}, clock=Clock(1.0))
    first.run(row)
    assert first.told["left"] == {
        "training: resnet-tiny": "2 of 3 epochs of each are done; another call goes on"
    }
    assert (tmp_path / "resnet-tiny.pt").exists() and names(out) == []
    Call(out, 100, {}, clock=Clock(1.0)).run(row)
    (found,) = json.loads(out.read_text())["rows"]
    assert not (tmp_path / "resnet-tiny.pt").exists() and found["epochs"] == 3 and "failed" not in found
    assert [arm["policy"] for arm in found["arms"]] == [training.OURS, training.MANUAL]
    for arm in found["arms"]:
        assert set(arm["scores"]) == {"knn", "knn10", "probe"} and np.isfinite(arm["loss"])
    assert found["notes"] == dict.fromkeys((training.OURS, training.MANUAL), "views: CUDA graph")

    whole = tmp_path / "whole" / "r.json"
    Call(whole, 1000, {}, clock=Clock()).run(row)
    assert (
        json.loads(whole.read_text())["rows"][0]["arms"] == found["arms"]
    )  # as if it had never been stopped


@light
def test_a_pair_that_is_trained_is_judged_by_the_next_call(tmp_path, images):
    out, row = tmp_path / "r.json", training.rows(replace(toy.TRAINING, judging=50.0), images, CPU)
    first = Call(out, 40, {}, clock=Clock())
    first.run(row)
    assert first.told["left"] == {
        "training: resnet-tiny": "trained, 2 epochs of each; 50 s to judge them are not left"
    }
    Call(out, 60, {}, clock=Clock()).run(row)
    (found,) = json.loads(out.read_text())["rows"]
    assert found["epochs"] == 2 and all(np.isfinite(arm["loss"]) for arm in found["arms"])
    assert "expected images on a CUDA device" in found["notes"][training.OURS]


@light
def test_as_many_epochs_as_fit_and_none_where_too_few_would(tmp_path, images):
    sizes = replace(toy.TRAINING, epochs=None, least=10)
    data = cifar.cifar(images, 24, CPU)
    # A look at the clock takes a second: a step of both, and an epoch has three; of the 34 s, 27 are left.
    call = Call(tmp_path / "r.json", 34, {}, clock=Clock(1.0))
    assert training._that_fit("resnet-tiny", call, data, replace(sizes, least=5), CPU) == 8
    later = Call(tmp_path / "r.json", 34, {}, clock=Clock(1.0))
    assert training._that_fit("resnet-tiny", later, data, replace(sizes, later=900.0), CPU) == training.MOST
    with pytest.raises(NoTime, match=r"takes 3.0 s: 8 would fit, 10 are wanted"):
        training._that_fit(
            "resnet-tiny", Call(tmp_path / "r.json", 34, {}, clock=Clock(1.0)), data, sizes, CPU
        )


def test_the_images_are_all_there_and_their_labels_sealed(images):
    data = cifar.cifar(images, 50_000, CPU)
    assert data.train.shape == (24, 3, 32, 32) and data.test.pixels.shape == (12, 3, 32, 32)
    assert sorted(data.labels.tolist()) == sorted([0, 1, 2] * 8)
    with pytest.raises(AdaptAugError, match="before it"):
        _ = data.test.labels
    with pytest.raises(AdaptAugError, match=r"benchmarks.gpu pack"):
        cifar.cifar(images / "elsewhere", 10, CPU)


def test_the_devices_probe_is_scikit_learns():
    from sklearn.datasets import load_digits

    digits = load_digits()
    points, labels = torch.from_numpy(digits.data).float(), digits.target
    bank, known, asked, answers = points[:1000], labels[:1000], points[1000:], labels[1000:]
    ours, theirs = (kind(bank, known).correct(asked, answers) for kind in (training.Probe, protocol.Probe))
    assert (ours == theirs).mean() > 0.99 and ours.mean() > 0.9


# --- the command and the pack -------------------------------------------------------------------------------
def test_without_a_gpu_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = options_of(["steps", "--seconds", "60", "--out", str(tmp_path / "r.json")])
    with pytest.raises(AdaptAugError, match=r"expected a CUDA device, got none; --toy"):
        measure(options)
    assert not (tmp_path / "r.json").exists()


def test_a_call_tells_where_and_of_what_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(toy, "STEPS", replace(toy.STEPS, steps=(), alike=((2, 32),)))
    arguments = [
        "steps",
        "--toy",
        "--seconds",
        "60",
        "--pack",
        str(tmp_path),
        "--out",
        str(tmp_path / "r.json"),
    ]
    measure(options_of(arguments))
    (told,) = json.loads((tmp_path / "r.json").read_text())["calls"]
    assert told["source"] == pack.source_hash(pack.ROOT) and told["machine"]["versions"]["torch"] == version(
        "torch"
    )
    assert told["unused"] > 0 and told["parts"] == ["steps"] and told["commit"]
    (tmp_path / "manifest.json").write_text(json.dumps({"source": "0123", "commit": "abc"}))
    with pytest.raises(
        AdaptAugError, match=r"got that of 0123; `python -m benchmarks.gpu pack` makes it anew"
    ):
        measure(options_of(arguments))


def wheel(folder: Path, name: str) -> None:
    """A wheel of one module, whose `there` is True."""
    info = f"{name}-1.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "there = True\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def gathered(tmp_path, images, monkeypatch):
    """`pack` without an index and a compiler: wheels of one module."""
    monkeypatch.setattr(pack, "download", lambda folder: wheel(folder, "peer"))
    monkeypatch.setattr(pack, "own_wheel", lambda folder: wheel(folder, "own"))
    return tmp_path / "repo" / "runs" / "gpu-pack"


def test_the_pack_has_a_manifest_and_a_limit(gathered, images, monkeypatch, capsys):
    pack.make(gathered, images)
    manifest = json.loads((gathered / "manifest.json").read_text())
    assert set(manifest["files"]) == {pack.CIFAR, "go", "own-1-py3-none-any.whl", "peer-1-py3-none-any.whl"}
    assert manifest["files"]["go"]["bytes"] == len(pack.GO) and manifest["source"] == pack.source_hash(
        pack.ROOT
    )
    assert "MB  in all, of at most 60" in capsys.readouterr().out
    monkeypatch.setattr(pack, "LIMIT", 1000)
    with pytest.raises(AdaptAugError, match=r"expected at most 1,000 bytes, got"):
        pack.make(gathered, images)


def test_the_pack_goes_where_git_does_not(images):
    with pytest.raises(AdaptAugError, match="expected a folder that git ignores"):
        pack.make(pack.ROOT / "benchmarks" / "packed", images)
    with pytest.raises(AdaptAugError, match="--data names the folder"):
        pack.make(pack.FOLDER, images / "elsewhere")


def test_an_index_that_cannot_be_reached_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(pack, "WHEELS", ("pydantic",))
    with pytest.raises(
        AdaptAugError, match=r"pip download: expected the wheels of others; an index that pip reaches"
    ):
        pack.download(tmp_path / "wheels")


def test_go_installs_without_a_network_and_keeps_what_is_there_for_the_next_call(gathered, images, tmp_path):
    pack.make(gathered, images)
    (gathered / "gpu.json").write_text("earlier")
    module = gathered.parents[1] / "benchmarks" / "gpu" / "__main__.py"
    module.parent.mkdir(parents=True)
    (module.parents[1] / "__init__.py").touch()
    (module.parent / "__init__.py").touch()
    module.write_text("import json, sys, own, peer\nprint(json.dumps(sys.argv[1:]))\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python3").chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "GPU_HOME": str(tmp_path / "home"),
                   "OUT": str(tmp_path / "out")}  # fmt: skip
    apart = ["unshare", "--net", "--map-root-user"] if _unshares() else []
    for _ in range(2):
        command = [*apart, "sh", str(gathered / "go"), "steps", "--seconds", "60"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd="/")
        arguments = json.loads(done.stdout)
        assert arguments[:3] == ["steps", "--seconds", "60"] and arguments[3] == "--began"
        assert arguments[5:] == ["--pack", str(gathered), "--out", str(tmp_path / "home" / "gpu.json"), "--also",
                                 str(tmp_path / "out" / "gpu.json")]  # fmt: skip
        options_of(arguments)
        assert (tmp_path / "home" / "gpu.json").read_text() == "earlier"
        (gathered / "peer-1-py3-none-any.whl").unlink(missing_ok=True)  # nothing is installed twice


def _unshares() -> bool:
    try:
        return (
            subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True).returncode
            == 0
        )
    except OSError:
        return False
