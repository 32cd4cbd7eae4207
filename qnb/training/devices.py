"""Where a network runs: the device, the number of threads, how memory is asked for, and seeds."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .context import FitContext
from .turns import Turns

__all__ = ["autocast", "choose_device", "choose_precision", "running_on", "seeded", "undisturbed"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TURNS = Turns("torch")


def choose_device(gpu: int | str | None, context: FitContext) -> str:
    """Return the device for ``GPU: gpu``: a number, a device's name, or -1 / None for the CPU.

    A GPU that is not there is one warning, and the CPU is used.
    """
    if gpu is None or gpu == "cpu" or (isinstance(gpu, int) and gpu < 0):
        return "cpu"
    name = f"cuda:{gpu}" if isinstance(gpu, int) or str(gpu).isdigit() else str(gpu)
    if name.startswith("cuda"):
        number = int(name.partition(":")[2] or 0)
        if torch.cuda.is_available() and number < torch.cuda.device_count():
            return name
    elif name == "mps" and torch.backends.mps.is_available():
        return name
    context.log(f"GPU {gpu} is not to be had here; using the CPU with {context.threads} threads", level="warning")
    return "cpu"


@contextmanager
def running_on(context: FitContext, *, deterministic: bool = False) -> Iterator[None]:
    """Have torch alone for a while, with the context's threads; keep its freed memory, and restore both.

    Threads and random numbers are the process's, so other runs in it wait for their turn.

    A network asks for the same tens of megabytes every batch. The C library would give them back to the system each
    time and get them page by page again, which costs up to half of a step, so it is told to keep them.
    """
    with _TURNS.take(object(), context), _limited(context.threads, deterministic):
        yield


@contextmanager
def _limited(threads: int, deterministic: bool) -> Iterator[None]:
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(max(1, threads))
    if deterministic:
        torch.use_deterministic_algorithms(True)
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if deterministic:
            torch.use_deterministic_algorithms(strict)
        if libc is not None:
            libc.mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
            libc.mallopt(_M_TRIM_THRESHOLD, 128 * 1024)
            libc.malloc_trim(0)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep random numbers that are drawn meanwhile from those of the process and of other runs in it."""
    with _TURNS.take(object(), FitContext.quiet()), torch.random.fork_rng(devices=[]):
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's own generators for a while and restore them."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def autocast(device: str, precision: str) -> Any:
    """Return the context in which a forward pass runs in `precision`."""
    kind = torch.device(device).type
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    return torch.autocast(kind, dtype=dtype, enabled=precision != "fp32")


def choose_precision(asked: str, device: str, context: FitContext) -> str:
    """Return the precision to train in: `asked`, or fp32 with one warning where `device` lacks it."""
    on_gpu = device.startswith("cuda")
    if asked == "fp16" and not on_gpu:
        context.log("fp16 needs a GPU; using fp32", level="warning")
        return "fp32"
    if asked == "bf16" and not (torch.cuda.is_bf16_supported() if on_gpu else _trains_in_bf16(device)):
        context.log(f"this {'GPU' if on_gpu else 'processor'} has no bf16; using fp32", level="warning")
        return "fp32"
    return asked


@functools.cache
def _trains_in_bf16(device: str) -> bool:
    """Return whether `device` does a step of an LSTM in bf16.

    Without AVX-512 a processor cannot; other layers it calculates slower than in fp32.
    """
    with seeded(0), torch.inference_mode(False):
        layer, x = torch.nn.LSTM(2, 2).to(device), torch.zeros(1, 1, 2, device=device)
        try:
            with torch.enable_grad(), autocast(device, "bf16"):
                out = layer(x)[0]
            out.float().sum().backward()
        except RuntimeError:
            return False
    return True


def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version") else None
