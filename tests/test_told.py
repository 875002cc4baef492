"""What is written and said tells no more of this machine than what was typed: no absolute path."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("lightly")
pytest.importorskip("pytorch_lightning")

from adaptaug.cli import run

COMMANDS = {
    "preview": ["preview", "set", "--pairs", "1", "--size", "16", "--out", "sheet.png"],
    "profile": ["profile", "set", "--size", "16", "--out", "profile.png"],
    "pretrain": ["pretrain", "set", "--arch", "resnet-tiny", "--size", "16", "--epochs", "1", "--batch-size", "8",
                 "--out", "run"],
    "embed": ["embed", "set", "--checkpoint", "run", "--views", "1", "--size", "16", "--out", "emb.npz"],
    "train-head": ["train-head", "emb.npz", "--epochs", "1", "--out", "head.safetensors"],
    "evaluate": ["evaluate", "emb.npz", "--out", "table.json"],
    "predict": ["predict", "set", "--head", "head.safetensors"],
    "resume": ["pretrain", "set", "--arch", "resnet-tiny", "--size", "16", "--epochs", "1", "--batch-size", "8",
               "--out", "run", "--resume"],
    "a run that is there": ["pretrain", "set", "--arch", "resnet-tiny", "--out", "run"],
    "no data": ["embed", "none", "--checkpoint", "run"],
    "no checkpoint": ["embed", "set", "--checkpoint", "set/0/0.png"],
    "no policy": ["preview", "set", "--policy", "set/0/0.png"],
    "no head": ["predict", "set", "--head", "emb.npz"],
    "no folder": ["embed", "set", "--checkpoint", "run", "--out", "nowhere/emb.npz"],
}  # fmt: skip


@pytest.mark.usefixtures("light_network")
def test_no_absolute_path_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i in range(24):
        path = Path("set", str(i % 2), f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    Path("set/0/bad.png").write_bytes(b"no image")
    private = [str(tmp_path), str(Path.home()), str(Path(sys.prefix).parent)]
    wanted = {name: 2 if name.startswith(("no ", "a run")) else 0 for name in COMMANDS}
    for name, arguments in COMMANDS.items():
        code = run(arguments)
        printed = capsys.readouterr()
        assert code == wanted[name], printed.err
        assert not [told for told in private if told in printed.out + printed.err], name
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert len(files) > 24 + 12
    found = [(str(path), told) for path in files for told in private if told.encode() in path.read_bytes()]
    assert not found
    assert run(["preview", str(tmp_path / "set" / "1" / "1.png"), *COMMANDS["preview"][2:]]) == 0
    assert str(tmp_path) in Path("sheet.json").read_text()  # it was typed
