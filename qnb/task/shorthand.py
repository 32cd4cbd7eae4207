"""The short form of a workflow: ten lines that say what is particular, expanded to the full task.

::

    market: demo                # where the data is: demo, demo:instruments=1000, or a folder
    universe: demo
    model: lightgbm             # or {lightgbm: {num_leaves: 64}}, or class / module_path / kwargs
    features: Alpha158          # or Alpha360, a mapping of name: expression, a handler
    segments:
      train: [2009-01-01, 2014-12-31]
      valid: [2015-01-01, 2016-12-31]
      test: [2017-01-01, 2020-12-31]
    strategy: {topk: 30, n_drop: 3}
    benchmark: DMINDEX

Only `model` is needed on the demo market. What is expanded keeps the place of the line it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from .. import registry
from ..errors import Problem, UnknownNameError, remedy_for
from . import catalogue
from .document import ABSENT, Document, Path, copied, dotted, get, put

__all__ = ["DEFAULT_LABEL", "SHORT_KEYS", "expand", "is_short"]

SHORT_KEYS: Mapping[str, str] = {
    "market": "where the data is: demo, demo:instruments=1000,seed=7, or a folder",
    "region": "cn, us or tw: lot size, price limit, deal price",
    "experiment": "experiment to record under",
    "model": "short key, class name, or class / module_path / kwargs",
    "features": "Alpha158, Alpha360, a mapping of name: expression, a list of expressions, or a handler",
    "label": "expression to learn; default: return from tomorrow's to the day after tomorrow's close",
    "universe": "name of a list of instruments of the market, or instruments themselves",
    "segments": "train, valid and test as [first day, last day]",
    "processors": "infer and learn lists; default: what suits the model",
    "step_len": "days in a window, for models that read windows; default 20",
    "strategy": "arguments of TopkDropoutStrategy, a strategy, or null for no backtest",
    "costs": "open, close (share of the value) and min (money)",
    "backtest": "start_time, end_time, account, exchange_kwargs ...",
    "benchmark": "instrument that the portfolio is compared with",
    "records": "record templates instead of signal, analysis and portfolio",
}
"""Keys of the short form with what they mean."""

DEFAULT_LABEL = "Ref($close, -2)/Ref($close, -1) - 1"

_DEMO_UNIVERSE, _DEMO_BENCHMARK, _DEMO_LAST_YEAR, _DEMO_YEARS = "demo", "DMINDEX", 2020, 12
_TREES = frozenset({"LGBModel", "XGBModel", "CatBoostModel", "DEnsembleModel"})
_COLUMNS = {"Alpha158": 158, "Alpha158vwap": 159, "Alpha360": 360, "Alpha360vwap": 360}
_COSTS = {"open": "open_cost", "close": "close_cost", "min": "min_cost"}
_INIT = ("qlib_init", "qnb_init", "init")


def is_short(values: Mapping[str, Any]) -> bool:
    """Return whether `values` is the short form: no ``task``, but a model or features."""
    return "task" not in values and ("model" in values or "features" in values)


def expand(document: Document) -> tuple[Document, list[Problem]]:
    """Return the full document of a short one, and what is wrong with its short keys."""
    expansion = _Expansion(document)
    expansion.run()
    made = Document(expansion.out, expansion.places, {}, document.warnings, document.imports)
    return made, expansion.problems


class _Expansion:
    """One expansion; `move` carries values with their places, `set` writes defaults."""

    def __init__(self, document: Document) -> None:
        self.document, self.values = document, document.values
        self.out: dict[str, Any] = {}
        self.places = {"": document.places[""]} if "" in document.places else {}
        self.problems: list[Problem] = []
        self.uri: Any = "demo"
        self.member: registry.Member | None = None  # the model, if it is one of ours

    @property
    def demo(self) -> bool:
        """Whether the market is the embedded one."""
        return isinstance(self.uri, str) and (self.uri == "demo" or self.uri.startswith("demo:"))

    def run(self) -> None:
        """Fill `out`, `places` and `problems`."""
        self._init_section()
        self.out["task"] = {}
        self._model()
        segments = self._segments()
        self._dataset(segments)
        self._records(segments)
        self._leftovers()

    def move(self, source: Path, target: Path) -> Any:
        """Put the value at `source` to `target` with all of its places."""
        value = copied(get(self.values, source))
        self._put(target, value)
        begin = dotted(source)
        for name, place in self.document.places.items():
            if name == begin or name.startswith(begin + "."):
                self.places[dotted(target) + name[len(begin) :]] = place
        return value

    def set(self, target: Path, value: Any, source: Path = ()) -> None:
        """Put `value` to `target`; problems with it point at `source`."""
        self._put(target, value)
        place = self.document.places.get(dotted(source)) if source else None
        if place is not None:
            self.places[dotted(target)] = place

    def _put(self, target: Path, value: Any) -> None:
        for depth in range(1, len(target)):
            if get(self.out, target[:depth]) is ABSENT:
                put(self.out, target[:depth], {})
        put(self.out, target, value)

    def _wrong(self, message: str, path: Path, remedy: str = "", *, key: bool = False) -> None:
        self.problems.append(self.document.problem(message, path, remedy=remedy, key=key))

    def _init_section(self) -> None:
        for section in (*_INIT, "experiment_name"):
            if section in self.values:
                self.move((section,), (section,))
        section = next((s for s in _INIT if s in self.out), "qnb_init")
        if "market" in self.values:
            market = self.values["market"]
            if not isinstance(market, str):
                self._wrong(f"market must be text, received {market!r}", ("market",), "demo or a folder")
            elif re.fullmatch(r"\w+", market) and market != "demo" and not FilePath(market).is_dir():
                message = f"market says where the data is, and there is no folder {market!r}"
                self._wrong(message, ("market",), f"for instruments write universe: {market}")
            self.move(("market",), (section, "provider_uri"))
        elif get(self.out, (section, "provider_uri")) is ABSENT:
            self.set((section, "provider_uri"), "demo")
        if "region" in self.values:
            self.move(("region",), (section, "region"))
        if "experiment" in self.values:
            self.move(("experiment",), ("experiment_name",))
        self.uri = get(self.out, (section, "provider_uri"))

    def _segments(self) -> Mapping[str, Any]:
        target: Path = ("task", "dataset", "kwargs", "segments")
        self.set(("task", "dataset"), {"class": "DatasetH", "kwargs": {}}, ("features",))
        given = self.values.get("segments")
        if given is None:
            span = _demo_segments(self.uri) if self.demo else None
            if span is None:
                self._wrong("segments are missing", (), "write segments: with train, valid and test")
                span = {}
            self.set(target, span)
            return span
        if not isinstance(given, Mapping) or not given:
            self._wrong(
                f"segments must be a mapping, received {given!r}", ("segments",), "train: [first day, last day]"
            )
            self.set(target, {})
            return {}
        return self.move(("segments",), target)

    def _model(self) -> None:
        model = self.values.get("model", ABSENT)
        target: Path = ("task", "model")
        if model is ABSENT:
            return  # validation says that there is none
        if isinstance(model, Mapping) and len(model) == 1 and "class" not in model and "func" not in model:
            (name,) = model
            self.set(target, {"class": name}, ("model", name))
            self.set((*target, "class"), name, ("model", name))
            if model[name] is not None:
                self.move(("model", name), (*target, "kwargs"))
        elif isinstance(model, str):
            self.set(target, {"class": model}, ("model",))
            self.set((*target, "class"), model, ("model",))
        else:
            self.move(("model",), target)
        described = get(self.out, target)
        if (
            isinstance(described, Mapping)
            and isinstance(described.get("class"), str)
            and "module_path" not in described
        ):
            try:
                self.member = catalogue.locate("model", described["class"])
            except UnknownNameError:
                return  # validation says so, with the nearest names

    def _dataset(self, segments: Mapping[str, Any]) -> None:
        handler: Path = ("task", "dataset", "kwargs", "handler")
        windows = self.member is not None and self.member.name.endswith("TS")
        if windows or "step_len" in self.values:
            self.set(("task", "dataset", "class"), "TSDatasetH")
            if "step_len" in self.values:
                self.move(("step_len",), ("task", "dataset", "kwargs", "step_len"))
            else:
                self.set(("task", "dataset", "kwargs", "step_len"), 20)
        features = self.values.get("features", "Alpha158")
        if isinstance(features, Mapping) and "class" in features:
            self.move(("features",), handler)
            return
        kwargs: dict[str, Any] = {}
        train, last = _bounds(segments)
        if train:
            kwargs |= {"start_time": train[0], "end_time": last, "fit_start_time": train[0], "fit_end_time": train[1]}
        inline = not isinstance(features, str)
        if inline:
            kwargs.pop("fit_start_time", None)
            kwargs.pop("fit_end_time", None)
        self.set(handler, {"class": "DataHandlerLP" if inline else features, "kwargs": kwargs}, ("features",))
        self.set((*handler, "class"), "DataHandlerLP" if inline else features, ("features",))
        if "universe" in self.values:
            self.move(("universe",), (*handler, "kwargs", "instruments"))
        else:
            self.set((*handler, "kwargs", "instruments"), _DEMO_UNIVERSE if self.demo else "all")
        columns = self._inline(handler, features) if inline else _COLUMNS.get(features, 0)
        if not inline and "label" in self.values:
            self.set((*handler, "kwargs", "label"), [self.values["label"]], ("label",))
            self.move(("label",), (*handler, "kwargs", "label", 0))
        self._processors(handler, inline, train)
        self._input_size(6 if str(features).startswith("Alpha360") else columns, columns)

    def _inline(self, handler: Path, features: Any) -> int:
        """Write a data loader for features given as expressions; return their number."""
        loader: Path = (*handler, "kwargs", "data_loader")
        self.set(loader, {"class": "QlibDataLoader", "kwargs": {"config": {}}}, ("features",))
        if isinstance(features, Mapping):
            names, where = list(features), [("features", n) for n in features]
        elif isinstance(features, list) and features:
            names, where = [str(f) for f in features], [("features", i) for i in range(len(features))]
        else:
            self._wrong(f"features cannot be {features!r}", ("features",), "Alpha158, or name: expression")
            return 0
        self.set((*loader, "kwargs", "config", "feature"), [[None] * len(names), names], ("features",))
        for number, place in enumerate(where):
            self.move(place, (*loader, "kwargs", "config", "feature", 0, number))
        label = self.values.get("label", DEFAULT_LABEL)
        self.set((*loader, "kwargs", "config", "label"), [[label], ["LABEL0"]], ("label",))
        self.set((*loader, "kwargs", "config", "label", 0, 0), label, ("label",))
        return len(names)

    def _processors(self, handler: Path, inline: bool, train: list[Any] | None) -> None:
        given = self.values.get("processors")
        if given is not None:
            if not isinstance(given, Mapping):
                self._wrong(
                    f"processors must be a mapping, received {given!r}", ("processors",), "infer: [...], learn: [...]"
                )
                return
            for key in given:
                if key not in ("infer", "learn", "shared"):
                    self._wrong(
                        f"unknown key {key!r} in processors",
                        ("processors", key),
                        remedy_for(key, ("infer", "learn", "shared")),
                        key=True,
                    )
                    continue
                self.move(("processors", key), (*handler, "kwargs", f"{key}_processors"))
            return
        fitted = {"fit_start_time": train[0], "fit_end_time": train[1]} if inline and train else {}
        label = {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}
        if self.member is None or self.member.name not in _TREES:
            scaled = {"fields_group": "feature", "clip_outlier": True, **fitted}
            infer = [
                {"class": "RobustZScoreNorm", "kwargs": scaled},
                {"class": "Fillna", "kwargs": {"fields_group": "feature"}},
            ]
            self.set((*handler, "kwargs", "infer_processors"), infer)
            self.set((*handler, "kwargs", "learn_processors"), [{"class": "DropnaLabel"}, label])
        elif inline:
            label = {"class": "CSZScoreNorm", "kwargs": {"fields_group": "label"}}
            self.set((*handler, "kwargs", "learn_processors"), [{"class": "DropnaLabel"}, label])

    def _input_size(self, per_step: int, columns: int) -> None:
        """Tell a network how many features there are, where it asks and the text does not say."""
        if self.member is None or not columns:
            return
        taken = {p.name for p in registry.parameters(self.member)}
        kwargs: Path = ("task", "model", "kwargs")
        if "d_feat" in taken and get(self.out, (*kwargs, "d_feat")) is ABSENT:
            self.set((*kwargs, "d_feat"), per_step)
        elif "pt_model_kwargs" in taken and get(self.out, (*kwargs, "pt_model_kwargs")) is ABSENT:
            self.set((*kwargs, "pt_model_kwargs"), {"input_dim": columns})

    def _records(self, segments: Mapping[str, Any]) -> None:
        target: Path = ("task", "record")
        if "records" in self.values:
            self.move(("records",), target)
            return
        signal = {"class": "SignalRecord", "kwargs": {"model": "<MODEL>", "dataset": "<DATASET>"}}
        analysis = {"class": "SigAnaRecord", "kwargs": {"ana_long_short": True, "ann_scaler": 252}}
        self.set(target, [signal, analysis])
        strategy = self.values.get("strategy", {})
        if "strategy" in self.values and strategy is None:
            return
        test = segments.get("test") if isinstance(segments, Mapping) else None
        start, end = test if isinstance(test, list) and len(test) == 2 else (None, None)
        self.out["task"]["record"].append({"class": "PortAnaRecord", "kwargs": {"config": {}}})
        config: Path = (*target, 2, "kwargs", "config")
        self._strategy((*config, "strategy"), strategy)
        backtest: Path = (*config, "backtest")
        defaults = {"start_time": start, "end_time": end, "account": 100_000_000}
        self.set(backtest, {k: v for k, v in defaults.items() if v is not None}, ("backtest",))
        self.set((*backtest, "exchange_kwargs"), {"open_cost": 0.0005, "close_cost": 0.0015, "min_cost": 5})
        self._costs((*backtest, "exchange_kwargs"))
        if "benchmark" in self.values:
            self.move(("benchmark",), (*backtest, "benchmark"))
        elif self.demo:
            self.set((*backtest, "benchmark"), _DEMO_BENCHMARK)
        elif get(self.values, ("backtest", "benchmark")) is ABSENT:
            self._wrong("benchmark is missing", (), "write benchmark: SH000300, or benchmark: null for none")
        given = self.values.get("backtest")
        if isinstance(given, Mapping):
            for key, value in given.items():
                if key == "exchange_kwargs" and isinstance(value, Mapping):
                    for inner in value:
                        self.move(("backtest", key, inner), (*backtest, key, inner))
                else:
                    self.move(("backtest", key), (*backtest, key))
        elif given is not None:
            self._wrong(f"backtest must be a mapping, received {given!r}", ("backtest",), "account: 100000000")

    def _strategy(self, target: Path, strategy: Any) -> None:
        if isinstance(strategy, Mapping) and "class" not in strategy:
            default = {"signal": "<PRED>", "topk": 30 if self.demo else 50, "n_drop": 3 if self.demo else 5}
            self.set(target, {"class": "TopkDropoutStrategy", "kwargs": default}, ("strategy",))
            for key in strategy:
                self.move(("strategy", key), (*target, "kwargs", key))
        else:
            self.move(("strategy",), target)
            if get(self.out, (*target, "kwargs", "signal")) is ABSENT and isinstance(strategy, Mapping):
                self.set((*target, "kwargs", "signal"), "<PRED>")

    def _costs(self, target: Path) -> None:
        costs = self.values.get("costs", {})
        if not isinstance(costs, Mapping):
            self._wrong(
                f"costs must be a mapping, received {costs!r}", ("costs",), "{open: 0.0005, close: 0.0015, min: 5}"
            )
            return
        for key in costs:
            if key in _COSTS:
                self.move(("costs", key), (*target, _COSTS[key]))
            else:
                self._wrong(f"unknown key {key!r} in costs", ("costs", key), remedy_for(key, _COSTS), key=True)

    def _leftovers(self) -> None:
        homes = {str(home[0]) for home in self.document.links.values()}
        for key in self.values:
            if key not in SHORT_KEYS and key not in _INIT and key != "experiment_name" and key not in homes:
                remedy = "it is for %%qtune and qnb tune -c" if key == "study" else remedy_for(key, SHORT_KEYS)
                self._wrong(f"unknown key {key!r}", (key,), remedy, key=True)


def _bounds(segments: Mapping[str, Any]) -> tuple[list[Any] | None, Any]:
    """Return the train segment and the last day of any segment."""
    spans = [s for s in segments.values() if isinstance(s, list) and len(s) == 2]
    train = segments.get("train")
    if not spans or not (isinstance(train, list) and len(train) == 2):
        return None, None
    ends = [str(s[1]) for s in spans if s[1] is not None]
    return train, max(ends) if len(ends) == len(spans) else None


def _demo_segments(uri: str) -> dict[str, list[str]] | None:
    """Return half of the demo market's years to learn from, a sixth to stop at, a third to test."""
    years = _DEMO_YEARS
    for part in uri.partition(":")[2].split(","):
        name, _, text = part.partition("=")
        if name.strip() == "years" and text.strip().isdecimal():
            years = int(text)
    if years < 3:
        return None
    first = _DEMO_LAST_YEAR - years + 1
    valid = first + max(1, years // 2)
    test = valid + max(1, years // 6)
    return {
        "train": [f"{first}-01-01", f"{valid - 1}-12-31"],
        "valid": [f"{valid}-01-01", f"{test - 1}-12-31"],
        "test": [f"{test}-01-01", f"{_DEMO_LAST_YEAR}-12-31"],
    }
