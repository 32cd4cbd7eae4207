"""What a model is: fit, predict and, where it has something to keep, save and load.

A user's own class needs only ``fit(dataset)`` and ``predict(dataset, segment)``; everything else is offered where the
signature takes it. Models of qnb derive from `BaseModel`, which saves the constructor's arguments beside the state.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from ..errors import MissingExtraError, ModelError, NotFittedError
from ..task.modules import public_name
from .context import FitContext

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["BaseModel", "Model", "load_model", "require", "write_atomically"]

CARD = "model.json"
FORMAT = 1


def require(library: str, extra: str) -> None:
    """Raise `MissingExtraError` if a library is not installed; does not import it."""
    if importlib.util.find_spec(library) is None:
        raise MissingExtraError(library, extra)


@runtime_checkable
class Model(Protocol):
    """What the run asks of a model."""

    def fit(self, dataset: Any) -> Any:
        """Learn from the segments ``train`` and, if there is one, ``valid``."""
        ...

    def predict(self, dataset: Any, segment: str = "test") -> pd.Series:
        """Return the scores of a segment: float32, index (datetime, instrument), named ``score``."""
        ...


class BaseModel(ABC):
    """Base of the models here: constructor's arguments, state on disk, feature names.

    A subclass stores its constructor's arguments, lists them in `arguments`, and writes and reads its state in
    `_save_state` and `_load_state`. ``feature_names_`` holds the features of the fit, in their order.
    """

    feature_names_: tuple[str, ...] = ()
    names_no_class: ClassVar[bool] = False
    """True for a model whose arguments and files cannot name another class, so that a stranger's may be loaded."""

    @abstractmethod
    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments as JSON values."""

    @abstractmethod
    def fit(self, dataset: Dataset, reweighter: Any = None, *, context: FitContext | None = None) -> Self:
        """Learn from the segment ``train``, watching ``valid`` if there is one."""

    @abstractmethod
    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment`: float32, index (datetime, instrument), named ``score``."""

    def warm_up(self) -> None:  # noqa: B027 - most have nothing to load
        """Load what a fit needs beside the data; called in a thread while the data is loaded."""

    @property
    @abstractmethod
    def is_fitted(self) -> bool:
        """True when the model can predict."""

    @abstractmethod
    def _save_state(self, folder: Path) -> None:
        """Write what was learned into `folder`, in the library's own format."""

    @abstractmethod
    def _load_state(self, folder: Path) -> None:
        """Read what `_save_state` wrote."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model into the folder `path`, which is made if missing.

        ``model.json`` holds class, arguments and feature names, the files beside it what was learned. No pickle.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        self._require_fitted()
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        self._save_state(folder)
        card = {
            "format": FORMAT,
            "class": f"{public_name(type(self).__module__)}.{type(self).__qualname__}",
            "arguments": dict(self.arguments()),
            "features": list(self.feature_names_),
        }
        write_atomically(folder / CARD, json.dumps(card, indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model that `save` wrote into the folder `path`.

        Raises
        ------
        ModelError
            When the folder holds no model, one of another class, or one of a newer format.
        """
        folder = Path(path)
        card = _read_card(folder)
        name = str(card["class"])
        if name.rpartition(".")[2] != cls.__qualname__:
            raise ModelError(f"{folder} holds a {name}, not a {cls.__qualname__}; use qnb.training.model.load_model")
        model = cls(**card["arguments"])
        model.feature_names_ = tuple(card["features"])
        model._load_state(folder)
        return model

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(f"{type(self).__name__} is not fitted yet; call fit(dataset) first, or load a model")


def load_model(path: str | os.PathLike[str]) -> BaseModel:
    """Return the model in the folder `path`, whatever its class.

    Only a class that is a model can be named by ``model.json``; its module is imported, so load none from a stranger.

    Raises
    ------
    ModelError
        When the folder holds no model or its class cannot be imported.
    """
    name = str(_read_card(Path(path))["class"])
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{path} holds a model of class {name}, which cannot be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        raise ModelError(f"{path} names {name}, which is not a model class")
    return cls.load(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"no model in {folder}: it has no {CARD}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"the model in {folder} cannot be read: {error}") from error
    if card.get("format", 0) > FORMAT:
        raise ModelError(f"the model in {folder} was saved by a newer qnb (format {card['format']}); update qnb")
    return card
