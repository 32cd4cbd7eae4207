"""LightGBM on data that is binned once: for each distinct key, whatever the number of trials and workers.

The first worker that needs a key bins the features and writes LightGBM's own binary file; every other worker reads
that file (about 0.05 s for 50 MB, against seconds for binning), and a worker keeps what it read for the next trial.
Where the disk has no room for the file, each worker bins for itself.
Trees are the same as those of `LGBModel`, bit for bit: what decides the bins is part of the key.
"""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ..cache import digest
from ..files import locked, write_atomically
from ..models.lightgbm import LGBModel
from ..project import make_folder
from ..training.boosting import IterationWatch
from ..training.context import FitContext
from ..training.samples import FitRows, fit_rows, has_segment

__all__ = ["BinnedLGB", "BinnedStore"]

KEPT = 2
_DECIDING = (
    "max_bin", "max_bins", "max_bin_by_feature", "min_data_in_bin", "bin_construct_sample_cnt", "subsample_for_bin",
    "data_random_seed", "data_seed", "seed", "random_seed", "random_state", "use_missing", "zero_as_missing",
    "feature_pre_filter", "enable_bundle", "is_enable_bundle", "bundle", "is_enable_sparse", "is_sparse", "sparse",
    "enable_sparse", "categorical_feature", "cat_feature", "categorical_column", "cat_column", "forcedbins_filename",
    "linear_tree", "linear_trees", "max_cat_to_onehot", "device_type", "device", "monotone_constraints", "mc",
    "monotonic_cst", "monotone_constraint", "ignore_column",
)  # fmt: skip
_LEAF = ("min_data_in_leaf", "min_data_per_leaf", "min_data", "min_child_samples", "min_samples_leaf")


class BinnedStore:
    """Binned data sets of one study.

    Parameters
    ----------
    folder : Path
        Where the files are; shared by all workers of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[str, list[Any]] = OrderedDict()

    def data_sets(
        self, rows: Callable[[str], FitRows], key: str, params: dict[str, Any], *, valid: bool
    ) -> tuple[list[Any], tuple[str, ...]]:
        """Return LightGBM's data sets, ``train`` first, and the names of the features.

        Parameters
        ----------
        rows : callable
            Gives the rows of a segment; only called where nothing is there yet.
        key : str
            Content address of the rows.
        params : dict
            Of the fit; those that decide the bins become part of the key.
        """
        deciding = {k: params[k] for k in sorted(params) if k in _DECIDING}
        address = digest("binned", key, json.dumps(deciding, sort_keys=True, default=str), valid)
        found = self._kept.get(address)
        if found is not None:
            self._kept.move_to_end(address)
            self.hits += 1
            return found[0], found[1]
        # A smaller min_data_in_leaf than that of the bins is refused by LightGBM, a larger one is not: bin with 1.
        binning = {k: v for k, v in params.items() if k not in _LEAF} | {"min_data_in_leaf": 1, "verbosity": -1}
        try:
            sets, names = self._shared(rows, address, binning, valid=valid)
        except OSError:  # no room for the files: the memory of this process has room
            self.misses += 1
            sets, names = self._make(rows, binning, valid=valid)
        self._kept[address] = [sets, names]
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return sets, names

    def _shared(
        self, rows: Callable[[str], FitRows], address: str, binning: dict[str, Any], *, valid: bool
    ) -> tuple[list[Any], tuple[str, ...]]:
        import lightgbm as lgb

        with locked(self._path(address, "lock"), seconds=math.inf):
            if self._path(address, "json").exists():
                self.hits += 1
                return self._read(address, binning, valid=valid)
            sets, names = self._make(rows, binning, valid=valid)
            self.misses += 1
            try:
                self._write(address, sets, names)
            except (OSError, lgb.basic.LightGBMError):  # as above
                return sets, names
            return self._read(address, binning, valid=valid)

    def _make(
        self, rows: Callable[[str], FitRows], binning: dict[str, Any], *, valid: bool
    ) -> tuple[list[Any], tuple[str, ...]]:
        import lightgbm as lgb

        train = rows("train")
        sets = [lgb.Dataset(train.x, label=train.y, weight=train.weight, params=binning, free_raw_data=True)]
        if valid:
            other = rows("valid")
            sets.append(sets[0].create_valid(other.x, label=other.y, weight=other.weight, params=binning))
        return [data.construct() for data in sets], tuple(train.feature_names)

    def _write(self, address: str, sets: list[Any], names: tuple[str, ...]) -> None:
        for name, data in zip(("train", "valid"), sets, strict=False):
            path = self._path(address, f"{name}.bin")
            part = path.with_suffix(f".{os.getpid()}.part")
            part.unlink(missing_ok=True)  # LightGBM does not write over a file
            try:
                data.save_binary(str(part))
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        write_atomically(self._path(address, "json"), json.dumps(list(names)))

    def _read(self, address: str, binning: dict[str, Any], *, valid: bool) -> tuple[list[Any], tuple[str, ...]]:
        import lightgbm as lgb

        sets = [lgb.Dataset(str(self._path(address, "train.bin")), params=binning).construct()]
        if valid:
            sets.append(sets[0].create_valid(str(self._path(address, "valid.bin")), params=binning).construct())
        return sets, tuple(json.loads(self._path(address, "json").read_text(encoding="utf-8")))

    def _path(self, address: str, suffix: str) -> Path:
        make_folder(self.folder)
        return self.folder / f"{address}.{suffix}"


class BinnedLGB(LGBModel):
    """`LGBModel` that takes its data sets from a `BinnedStore` and shows its validation scores on the way.

    Parameters
    ----------
    model : LGBModel
        Whose arguments are used.
    store : BinnedStore
        Where data sets come from.
    key : str
        Content address of the rows of ``train`` and ``valid``.
    look : callable, optional
        Called in every iteration with its number and the scores of the rows of ``valid``.
    """

    def __init__(
        self, model: LGBModel, store: BinnedStore, key: str, look: Callable[[int, Any], None] | None = None
    ) -> None:
        super().__init__(**model.arguments())
        self._store, self._key, self._look = store, key, look
        self.rounds_run = 0
        self.rounds_of = 0

    def fit(self, dataset: Any, reweighter: Any = None, *, context: FitContext | None = None, **_: Any) -> Self:
        """Fit as `LGBModel.fit` does."""
        context = context or FitContext.quiet()
        params, rounds, patience = self._plan(context)
        valid = has_segment(dataset, "valid")

        def rows(segment: str) -> FitRows:
            return fit_rows(dataset, segment, reweighter=reweighter, context=context, model="LightGBM")

        sets, self.feature_names_ = self._store.data_sets(rows, self._key, params, valid=valid)
        watch = IterationWatch(context, total=rounds, patience=patience if valid else 0)
        self.rounds_of = rounds
        self._boost(sets, params, watch, 0, look=self._probe(sets, watch))
        self.rounds_run = max((len(curve) for curve in watch.history.values()), default=0)
        return self._finish(watch, context)

    def _probe(self, sets: list[Any], watch: IterationWatch) -> Callable[[Any, Any], list[Any]] | None:
        """Return what LightGBM calls with the scores of each set: it adds no metric, so early stopping is as ever."""
        look = self._look
        if look is None or len(sets) < 2:
            return None

        def probe(scores: Any, data: Any) -> list[Any]:
            if data is sets[1]:
                look(max((len(c) for c in watch.history.values()), default=0) + 1, scores)
            return []

        return probe
