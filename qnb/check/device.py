"""Checks what the machine must have: the libraries of a model, and a GPU where one is asked for."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import Problem, UnknownNameError
from ..task.catalogue import locate
from .subject import Subject

__all__ = ["check_device", "libraries_of"]

_EXTRAS = {"torch": "torch", "xgboost": "xgboost", "catboost": "catboost"}
_BOOSTER_DEVICES = {
    "device": ("gpu", "cuda"),
    "device_type": ("gpu", "cuda"),
    "task_type": ("GPU",),
    "tree_method": ("gpu_hist",),
}


def check_device(subject: Subject) -> Iterator[Problem]:
    """Yield libraries that are missing and GPUs that are not there."""
    torch = False
    try:
        member = locate("model", subject.model_name) if subject.model_name else None
    except UnknownNameError:
        member = None
    if member is not None:
        libraries = libraries_of(member.path)
        torch = "torch" in libraries
        for library in sorted(libraries):
            if importlib.util.find_spec(library) is None:
                message = f"{member.name} needs {library}, which is not installed"
                yield subject.problem(message, "task.model", remedy=f"pip install 'qnb[{_EXTRAS[library]}]'", key=True)
    for name, value in subject.model.items():
        if _asks_for_gpu(name, value, torch=torch) and not _has_gpu():
            remedy = "the model runs on the CPU" if torch else "remove it to run on the CPU"
            message = f"{name}: {value} asks for a GPU, this machine has none"
            yield subject.problem(message, f"task.model.kwargs.{name}", remedy=remedy, severity="warning", key=True)


def libraries_of(path: Path) -> set[str]:
    """Return the optional libraries that a file of ours imports, or a file of ours that it stands on."""
    found: set[str] = set()
    seen = {path}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        text = file.read_text(encoding="utf-8")
        found |= {name for name in _EXTRAS if re.search(rf"^\s*(?:import|from) {name}\b", text, re.MULTILINE)}
        for dots, module in re.findall(r"^from (\.{1,2})([\w.]+) import", text, re.MULTILINE):
            base = file.parent if dots == "." else file.parent.parent
            other = base.joinpath(*module.split(".")).with_suffix(".py")
            if other not in seen and other.is_file() and other.parent.name in ("models", "training"):
                seen.add(other)
                waiting.append(other)
    return found


def _asks_for_gpu(name: str, value: Any, *, torch: bool) -> bool:
    if name == "GPU":
        return torch and isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return not torch and name in _BOOSTER_DEVICES and str(value).startswith(_BOOSTER_DEVICES[name])


def _has_gpu() -> bool:
    """Return whether there is an NVIDIA GPU, or an Apple one; nothing heavy is asked."""
    return any(Path(p).exists() for p in ("/dev/nvidia0", "/dev/dxg")) or shutil.which("nvidia-smi") is not None
