"""The state of a training loop on disk: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from ..project import make_folder
from ..refused import refusal
from .model import write_atomically

__all__ = ["CHECKPOINT", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
FORMAT = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts) as the checkpoint of `folder`.

    Raises
    ------
    ModelError
        The disk refuses; the checkpoint before stays as it is.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    try:
        make_folder(folder)
        write_atomically(folder / CHECKPOINT, buffer.getvalue())
    except OSError as error:
        raise ModelError(f"the checkpoint cannot be written: {refusal(error, at=folder)}") from error


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return the checkpoint of `folder`, or None when there is none.

    Raises
    ------
    ModelError
        It cannot be read or is of a newer format.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"the checkpoint {path} cannot be read ({error}); remove it to start afresh") from error
    if state.get("format", 0) > FORMAT:
        raise ModelError(f"the checkpoint {path} was written by a newer qnb; remove it to start afresh")
    return state
