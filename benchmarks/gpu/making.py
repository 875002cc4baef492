"""Ways to make views on a device, what they launch and what they move."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import adaptaug
from adaptaug.core.engine import off
from adaptaug.errors import AdaptAugError
from adaptaug.types import Finish

Make = Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]  # images, keys (B, 3) -> the views


def plain(policy: adaptaug.Policy | str, size: int, finish: Finish = "none", n: int = 2) -> Make:
    """Views as a user has them, by whichever engine is for the device: what is compiled."""
    views = adaptaug.Views(policy, n=n, size=size, finish=finish)
    return lambda images, keys: views(images, key=keys)


def eager(policy: adaptaug.Policy | str, size: int, finish: Finish = "none", n: int = 2) -> Make:
    """The same by torch on the CPU, too."""
    make = plain(policy, size, finish, n)

    def by_torch(images: torch.Tensor, keys: torch.Tensor) -> list[torch.Tensor]:
        with off():
            return make(images, keys)

    return by_torch


class Captured:
    """The same as a CUDA graph: one launch replays all kernels, on tensors that stay in their place.

    What it returns is overwritten by the next call.
    """

    def __init__(self, make: Make, images: torch.Tensor, keys: torch.Tensor):
        if images.device.type != "cuda":
            raise AdaptAugError(f"a CUDA graph: expected images on a CUDA device, got {images.device}.")
        self.images, self.keys = images.clone(), keys.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):  # what is made once (constants, handles, workspaces) is made outside
                make(self.images, self.keys)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.views = make(self.images, self.keys)

    def __call__(self, images: torch.Tensor, keys: torch.Tensor) -> list[torch.Tensor]:
        self.images.copy_(images)
        self.keys.copy_(keys)
        self.graph.replay()
        return self.views


def compiled(make: Make, images: torch.Tensor, keys: torch.Tensor, backend: str) -> tuple[Make, float]:
    """The same by torch.compile in one graph, and the seconds until it had made its first views."""
    torch._dynamo.reset()
    faster = torch.compile(make, backend=backend, fullgraph=True, dynamic=False)
    start = time.perf_counter()
    faster(images, keys)
    wait(images.device)
    return faster, time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


class Traffic(TorchDispatchMode):
    """Counts operations and bytes: each tensor that an operation reads or writes once, on one kind of device.

    Views of a tensor move nothing. What a cache saves or a kernel reads twice is not seen; nor are the operations
    inside a graph.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self.kind, self.operations, self.bytes = device.type, 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        read = self._tensors((args, kwargs))
        written = self._tensors(out)
        homes = {tensor.untyped_storage().data_ptr() for tensor in read}
        changes = function._schema.is_mutable
        if not changes and written and all(t.untyped_storage().data_ptr() in homes for t in written):
            return out  # a view
        self.operations += bool(read or written)
        self.bytes += sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in [*read, *written])
        return out

    def _tensors(self, tree: Any) -> list[torch.Tensor]:
        leaves = {id(x): x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)}
        return [x for x in leaves.values() if x.device.type == self.kind]


def traffic(call: Callable[[], Any], device: torch.device) -> dict[str, int]:
    """Operations of one call and the bytes they move."""
    with Traffic(device) as record:
        call()
    return {"operations": record.operations, "bytes": record.bytes}


def launches(call: Callable[[], Any], device: torch.device) -> dict[str, int]:
    """Kernels that one call runs on a GPU, and launches by which the host asks for them; nothing elsewhere."""
    if device.type != "cuda":
        return {}
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        call()
        wait(device)
    events = list(record.events())
    run = [e.name for e in events if e.device_type == DeviceType.CUDA]
    kernels = [name for name in run if not name.startswith(("Memcpy", "Memset"))]
    asked = [
        e for e in events if e.name.startswith(("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch"))
    ]
    return {"kernels": len(kernels), "launches": len(asked)}


def copy_rate(size: int, device: torch.device) -> float:
    """Bytes a second of a large copy on the device, read and written ones counted: the median of nine."""
    room = torch.empty(2, size, dtype=torch.uint8, device=device).random_()
    took = []
    for _ in range(10):
        start = time.perf_counter()
        room[1].copy_(room[0])
        wait(device)
        took.append(time.perf_counter() - start)
    return 2 * size / sorted(took[1:])[4]
