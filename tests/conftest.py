"""Images and small helpers that several tests share. Photographs come from scikit-image's own wheel."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage
import torch
from PIL import Image

import adaptaug
from adaptaug.core.engine import off
from tests.support.network import light

# One thread each: small tensors gain nothing from more, and on shared cores the threads wait for each other.
torch.set_num_threads(1)
cv2.setNumThreads(1)

# Workers that start from here have these already; to spawn one takes seconds.
multiprocessing.set_forkserver_preload(["torch", "cv2", "adaptaug", "lightly.loss", "lightly.models.modules"])

# Folders and files whose tests share what is costly to make: each stays in one process (make test runs two).
TOGETHER = {
    "ui": "browser", "test_search": "searches", "test_storage": "searches",
    "test_filters": "kernels", "test_warp": "kernels", "test_levels": "kernels",
}  # fmt: skip
# Each file of these by itself.
APART = ("simclr", "learn", "hosts", "benchmarks", "test_build", "test_levels_agree", "test_sanitizers")

# What make test-fast leaves out, folders, files and functions: they train, open pages, start processes, compile, or
# take longer than 5 seconds.
LENGTHY = {
    "ui", "simclr", "learn", "hosts", "benchmarks", "test_build", "test_off", "test_filters", "test_warp",
    "test_levels", "test_workers", "test_copies", "test_visits", "test_multicrop", "test_compile", "test_cli",
    "test_promise", "test_every_random_policy", "test_random_policies", "test_pushed_draws",
    "test_memory_does_not_grow", "test_importing_is_light_and_opens_no_socket",
    "test_no_view_loses_the_content_below_its_floor", "test_a_policy_is_saved_without_loss",
    "test_saving_any_policy_loses_nothing", "test_unguarded_crops_always_overlap_as_asked",
    "test_the_promise_holds_in_the_torch_renderer", "test_the_content_floor_wins", "test_profile",
}  # fmt: skip


def group_of(nodeid: str) -> str:
    """In which group a test runs, by its name; those that share nothing are one each."""
    file = Path(nodeid.partition("::")[0])
    folder, name = file.parent.name, file.stem
    group = TOGETHER.get(name) or TOGETHER.get(folder)
    return group or (name if {folder, name} & set(APART) else nodeid)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("PYTEST_XDIST_WORKER"):  # what a test starts has one thread, too
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """make test-fast does not import what it leaves out: that takes as long as a third of its tests."""
    left_out = "not lengthy" in config.option.markexpr and collection_path.stem in LENGTHY
    return True if left_out else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup` by `group_of`: xdist 3.8 marks groups in a way that pytest 9.2 no longer reads."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            """xdist counts all groups that a process ever had, after each test; one that is done is forgotten here."""
            nodeid = self.registered_collections[node][item_index]
            group, tests = group_of(nodeid), self.assigned_work[node][group_of(nodeid)]
            tests[nodeid] = True
            if all(tests.values()):
                del self.assigned_work[node][group]
            self._reschedule(node)

        def _reschedule(self, node: Any) -> None:
            """Of tests that share nothing some at once: a process does not wait for the next of milliseconds."""
            while len(self.workqueue) > 20 * len(self.nodes) and not node.shutting_down:
                alone = len(next(iter(self.workqueue.values()))) == 1
                if not alone or self._pending_of(self.assigned_work[node]) > 10:
                    break
                self._assign_work_unit(node)
            super()._reschedule(node)

    return Groups(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported here stays: the collector of garbage does not look for it now, nor ever again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long groups first, the browser's before all; tests that share nothing fill what is left at the end, the short
    ones last."""

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        return group_of(item.nodeid) == item.nodeid, "ui" not in item.path.parts, not _is_lengthy(item)

    for item in items:
        if _is_lengthy(item):
            item.add_marker(pytest.mark.lengthy)
    items.sort(key=place)


def _is_lengthy(item: pytest.Item) -> bool:
    return bool({item.path.parent.name, item.path.stem, getattr(item, "originalname", "")} & LENGTHY)


PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """Name -> (H, W, 3) uint8, read-only: shared by all tests."""
    folder = Path(skimage.__file__).parent / "data"
    images = {}
    for name in PHOTOGRAPHS:
        images[Path(name).stem] = np.array(Image.open(folder / name).convert("RGB"))
        images[Path(name).stem].setflags(write=False)
    return images


@pytest.fixture(scope="session")
def photo(photographs: dict[str, np.ndarray]) -> Callable[..., np.ndarray]:
    """photo(name, width, height) -> that photograph cut to the shape's aspect and resized, a fresh array."""

    def make(name: str = "coffee", width: int = 64, height: int = 64) -> np.ndarray:
        image = photographs[name]
        scale = min(image.shape[1] / width, image.shape[0] / height)
        across, down = int(width * scale), int(height * scale)
        left, top = (image.shape[1] - across) // 2, (image.shape[0] - down) // 2
        part = image[top : top + down, left : left + across]
        return cv2.resize(
            part, (width, height), interpolation=cv2.INTER_AREA if scale >= 1 else cv2.INTER_LINEAR
        )

    return make


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz of scikit-learn's 1,797 digits at 16 px."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = [
        cv2.resize((d * 15.9).astype(np.uint8), (16, 16), interpolation=cv2.INTER_CUBIC) for d in data.images
    ]
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=np.stack(images), y=data.target)
    return path


@pytest.fixture
def light_network() -> Iterator[None]:
    """For tests of what stands around a network; fixtures that train for several of them say `with light():`."""
    with light():
        yield


@pytest.fixture(scope="session")
def to_tensor() -> Callable[[np.ndarray], torch.Tensor]:
    """(H, W, 3) array -> (3, H, W) tensor."""
    return lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="session")
def view_of(to_tensor: Callable[[np.ndarray], torch.Tensor]) -> Callable[..., np.ndarray]:
    """view_of(engine, policy, image, size, key) -> the view as (S, S, 3) uint8, by either engine."""

    def make(
        engine: str,
        policy: adaptaug.Policy,
        image: np.ndarray,
        size: int,
        key: tuple[int, int, int] = (1, 0, 0),
    ) -> np.ndarray:
        augment = adaptaug.AdaptiveAugment(policy, size)
        if engine == "core":
            return augment(image, key=key)
        with off():
            return augment(to_tensor(image), key=key).permute(1, 2, 0).numpy()

    return make
