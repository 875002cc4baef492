import contextlib
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug import cli
from adaptaug.data import files


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    samples = dict(files.sample_images())
    for name in ("rocket", "cat", "digit"):
        samples[name].save(folder / f"{name}.png")
    return folder


def run(capsys, *arguments):
    code = cli.run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def one_sentence(err):
    assert err.startswith("adaptaug: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_preview_writes_a_sheet_and_a_report_that_reproduces_it(capsys, photographs, tmp_path):
    import hashlib

    out = tmp_path / "sheet.png"
    code, printed, err = run(
        capsys, "preview", photographs, "--pairs", 2, "--seed", 3, "--size", 48, "--out", out
    )
    assert (code, err) == (0, "")
    assert str(out) in printed
    report = json.loads(out.with_suffix(".json").read_text())
    assert [entry["name"] for entry in report["images"]] == [
        str(photographs / f"{n}.png") for n in ("cat", "digit", "rocket")
    ]
    last = report["images"][2]
    pair = last["pairs"][1]
    assert pair["key"] == [3, 0, 5]
    views = adaptaug.Views(adaptaug.Policy.loads(report["policy"]["yaml"]), size=48, finish="none")
    made = views(files.open_image(last["name"]), key=tuple(pair["key"]))
    assert [hashlib.sha256(v.tobytes()).hexdigest() for v in made] == [v["sha256"] for v in pair["views"]]


def test_a_bad_file_among_good_ones_is_named_and_left_out(capsys, photographs, tmp_path):
    bad = photographs / ("a rather long name " * 8 + "of a file that is not an image.jpg")
    bad.write_text("no image")
    out = tmp_path / "sheet.png"
    code, _, err = run(
        capsys, "preview", photographs, tmp_path / "missing.png", "--pairs", 1, "--size", 32, "--out", out
    )
    assert code == 0
    assert f"left out {bad}:" in err
    assert f"left out {tmp_path / 'missing.png'}:" in err
    assert len(err.splitlines()) == 2
    assert len(json.loads(out.with_suffix(".json").read_text())["images"]) == 3


def test_nothing_readable_is_a_failure(capsys, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    code, _, err = run(capsys, "preview", bad, "--out", tmp_path / "sheet.png")
    assert code == 1
    assert str(bad) in err
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = run(capsys, "preview", empty, "--out", tmp_path / "sheet.png")
    assert code == 1
    one_sentence(err)
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("preview", "{photo}", "--policy", "natrual"),
        ("preview", "{photo}", "--pairs", "0"),
        ("preview", "{photo}", "--size", "many"),
        ("preview", "{photo}", "--out", "sheet.jpg"),
        ("preview", "{photo}", "--out", "no/such/folder/sheet.png"),
        ("preview", "{photo}", "--colour"),
        ("preview",),
        ("no-such-command",),
        ("ui", "--images", "no/such/folder"),
        ("ui", "--runs", "no/such/folder"),
    ],
)
def test_bad_arguments_give_one_sentence_and_2(capsys, photographs, arguments):
    code, _, err = run(capsys, *[a.format(photo=photographs / "cat.png") for a in arguments])
    assert code == 2
    one_sentence(err)


def test_debug_shows_the_traceback(capsys, photographs):
    code, _, err = run(capsys, "--debug", "preview", photographs, "--policy", "natrual")
    assert code == 2
    assert "Traceback" in err
    assert "did you mean 'natural'" in err.splitlines()[-1]


def test_many_images_are_thinned_evenly_and_said_so(capsys, photographs, tmp_path):
    out = tmp_path / "sheet.png"
    code, _, err = run(capsys, "preview", photographs, "--limit", 2, "--pairs", 1, "--size", 16, "--out", out)
    assert code == 0
    assert "showing 2 of 3" in err
    assert len(json.loads(out.with_suffix(".json").read_text())["images"]) == 2


def test_what_cannot_be_written_is_a_failure(capsys, photographs, tmp_path):
    (tmp_path / "sheet.json").mkdir()
    code, _, err = run(
        capsys,
        "preview",
        photographs / "cat.png",
        "--pairs",
        1,
        "--size",
        16,
        "--out",
        tmp_path / "sheet.png",
    )
    assert code == 1
    one_sentence(err)


def test_ui_without_gradio_says_what_to_install(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("adaptaug.ui")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, _, err = run(capsys, "ui")
    assert code == 1
    one_sentence(err)
    assert "adaptaug[ui]" in err


def test_ui_hands_its_arguments_on(capsys, monkeypatch, tmp_path):
    import importlib
    import types

    calls = []
    page = types.ModuleType("adaptaug.ui.app")
    page.main = lambda **given: calls.append(given)
    monkeypatch.setitem(sys.modules, "adaptaug.ui.app", page)
    # Not through `adaptaug`, whose attribute may be another import's than the one in sys.modules.
    monkeypatch.setattr(importlib.import_module("adaptaug.ui"), "app", page, raising=False)
    code, _, err = run(capsys, "ui", "--policy", "digits", "--images", tmp_path, "--port", 7999, "--runs", tmp_path,
                       "--checkpoint", "mine.pth", "--normalise", "unit", "--range", "0,4095",
                       "--embed", "https://a.example")  # fmt: skip
    assert code == 0, err
    assert calls == [
        {"policy": "digits", "images": str(tmp_path), "port": 7999, "host": "127.0.0.1", "auth": None,
         "runs": str(tmp_path), "checkpoint": "mine.pth", "normalise": "unit", "range": "0,4095",
         "embed": ["https://a.example"], "trust_pickle": False}
    ]  # fmt: skip


def test_version_help_and_no_command(capsys):
    assert run(capsys, "--version")[:2] == (0, f"adaptaug {adaptaug.__version__}\n")
    assert run(capsys, "preview", "--help")[0] == 0
    code, _, err = run(capsys)
    assert code == 2
    assert "preview" in err


def test_the_installed_command_is_light_and_has_its_exit_codes(tmp_path):
    program = (
        "import sys; from adaptaug import cli; "
        "code = cli.run(['preview', 'missing.png', '--policy', 'none']); "
        "heavy = {'gradio', 'albumentations', 'lightly', 'pytorch_lightning', 'lightning', 'rich.progress'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stdout == "[]\n"
    one_sentence(done.stderr)


def test_a_larger_image_than_allowed_is_left_out(capsys, photographs, tmp_path):
    code, _, err = run(capsys, "preview", photographs, "--megapixels", "0.01", "--out", tmp_path / "s.png")
    assert code == 0  # the digit is small enough
    assert err.count("--megapixels") == 2


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_terminal_that_cannot_write_everything_ends_no_work(encoding, tmp_path, monkeypatch):
    """Names, and the profile's bars, are escaped where they cannot be written."""
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        path = tmp_path / "\u6f22" / f"\u6f22{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    path.write_bytes(b"no image")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert cli.run(["profile", "\u6f22", "--out", "\u6f22.png"]) == 0
    out.flush(), err.flush()
    assert b"\\u6f22.png" in out.buffer.getvalue() and b"\\u6f222.png" in err.buffer.getvalue()


@pytest.mark.parametrize(
    "command", ["preview", "profile", "embed", "pretrain", "search", "predict", "evaluate"]
)
def test_a_refused_name_that_would_break_a_line_does_not(command, capsys, tmp_path, monkeypatch):
    """Whatever of it is refused: a folder of nothing, a file that is not there, a policy, a checkpoint."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "line\nfeed\x1b[31m"
    folder.mkdir()
    others = {
        "embed": ["--checkpoint", folder],
        "predict": ["--head", folder / "head.safetensors"],
        "preview": ["--policy", folder / "policy.yaml"],
    }
    for data in (folder, folder / "none"):
        code, _, err = run(capsys, command, data, *others.get(command, []))
        assert code in (1, 2) and "line\\nfeed\\x1b[31m" in err
        one_sentence(err)
