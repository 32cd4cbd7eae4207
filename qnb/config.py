"""Settings: frozen, read once at an edge (shell, notebook, `qnb.init`), then passed as an argument.

The two facades `qnb.D` and `qnb.R` and the ways in sit at the edge and look up settings here; nothing else does. There
are two places: the process's, which `qnb.init` sets for all cells and threads, and that of a run which shares the
process with others, in force in its own context alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError, Problem, nearest
from .files import Natural, fit

__all__ = [
    "REGIONS",
    "Region",
    "Settings",
    "current_settings",
    "session_settings",
    "settings_of_run",
    "use_settings",
    "within_run",
]

DEMO_URI = "demo"


@dataclass(frozen=True, slots=True)
class Region:
    """Trading habits of a market.

    Attributes
    ----------
    trade_unit : int or None
        Shares in a lot.
    limit_threshold : float or None
        Daily price limit as a share of the last close; None where there is none.
    deal_price : str
        Field at which orders are filled by default.
    """

    name: str
    trade_unit: int | None
    limit_threshold: float | None
    deal_price: str = "close"


REGIONS: Mapping[str, Region] = {
    "cn": Region("cn", 100, 0.095),
    "us": Region("us", 1, None),
    "tw": Region("tw", 1000, 0.1),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is set once for a session.

    Attributes
    ----------
    provider_uri : mapping of str to str
        Where the market data is, by frequency; ``"demo"`` is the embedded demo market. The key ``"__default__"``
        serves every frequency that is not named.
    region : Region
        Defaults of exchange and limits.
    recorder_uri : str
        MLflow tracking URI; default ``sqlite:///mlflow.db`` in the working folder.
    experiment : str
        Experiment used where none is named.
    work_dir : Path
        Folder that holds ``.qnb`` (runs and their journals), by default the working folder.
    cache_dir : Path
        Content-addressed cache and the demo market.
    cache_bytes : int
        The cache is kept below this size, oldest use first out; 0 for what ``qnb data cache --limit`` says, or 20 GiB.
    threads : int
        Threads for kernels and models; default: the cores this process may use.
    custom_ops : tuple of class or str
        User-defined operators: classes, dotted paths or ``file.py:Class``.
    logging_level : str
        Level of what is written to the log.
    log_code : bool or None
        Whether a run keeps the uncommitted changes of the working folder's git tree with its artifacts; None does so
        in a store on this machine, and not on a server.
    """

    provider_uri: Mapping[str, str] = field(default_factory=lambda: {"__default__": DEMO_URI})
    region: Region = REGIONS["cn"]
    recorder_uri: str = field(default="sqlite:///mlflow.db", repr=False)  # may hold a password
    experiment: str = "Experiment"
    work_dir: Path = field(default_factory=Path.cwd)
    cache_dir: Path = field(default_factory=lambda: default_cache_dir())
    cache_bytes: Natural = 0
    threads: Natural = field(default_factory=lambda: core_count())
    custom_ops: tuple[Any, ...] = ()
    logging_level: str = "INFO"
    log_code: bool | None = None

    @property
    def runs_dir(self) -> Path:
        """Folder of the runs' directories."""
        return self.work_dir / ".qnb" / "runs"

    @property
    def tracking_uri(self) -> str:
        """`recorder_uri` with a relative SQLite path made absolute from `work_dir`."""
        head, prefix, path = self.recorder_uri.partition("sqlite:///")
        if not prefix or head not in ("", "mlflow+"):
            return self.recorder_uri
        return head + prefix + str(self.work_dir / Path(path).expanduser())

    def uri_for(self, freq: str = "day") -> str:
        """Return the data URI for `freq`, with ``~`` expanded."""
        uri = self.provider_uri.get(freq) or self.provider_uri.get("__default__")
        if uri is None:
            uri = next(iter(self.provider_uri.values()))
        return uri if uri == DEMO_URI or uri.startswith(DEMO_URI + ":") else str(Path(uri).expanduser())

    def with_(self, **changes: Any) -> Settings:
        """Return a copy with `changes`, given in the words of `qnb.init`.

        Raises
        ------
        ConfigError
            For an unknown key or region.
        """
        known = set(self.__dataclass_fields__) | {"kernels", "exp_manager", "mount_path"}
        values: dict[str, Any] = {}
        for key, value in changes.items():
            if key not in known:
                near = nearest(key, known)
                raise ConfigError(
                    [Problem(f"unknown setting {key!r}", f"did you mean {near[0]!r}?" if near else "", key)]
                )
            values[key] = value
        if "kernels" in values:
            values.setdefault("threads", max(1, min(int(values.pop("kernels")), core_count())))
        values.pop("mount_path", None)
        exp_manager = values.pop("exp_manager", None)
        if isinstance(exp_manager, Mapping):
            kwargs = exp_manager.get("kwargs") or {}
            values.setdefault("recorder_uri", kwargs.get("uri") or self.recorder_uri)
            values.setdefault("experiment", kwargs.get("default_exp_name") or self.experiment)
        if "provider_uri" in values:
            values["provider_uri"] = _uris(values["provider_uri"])
        if isinstance(values.get("region"), str):
            values["region"] = region_of(values["region"])
        for key in ("work_dir", "cache_dir"):
            if key in values:
                values[key] = Path(values[key]).expanduser().absolute()
        if "custom_ops" in values:
            values["custom_ops"] = tuple(values["custom_ops"] or ())
        if not isinstance(values.get("log_code"), bool | None):
            received = f"log_code must be true or false, received {values['log_code']!r}"
            raise ConfigError([Problem(received, "leave it out for what suits the store", "log_code")])
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values, for a worker."""
        return {
            "provider_uri": dict(self.provider_uri),
            "region": self.region.name,
            "recorder_uri": self.recorder_uri,
            "experiment": self.experiment,
            "work_dir": str(self.work_dir),
            "cache_dir": str(self.cache_dir),
            "cache_bytes": self.cache_bytes,
            "threads": self.threads,
            "custom_ops": [f"{c.__module__}.{c.__name__}" if isinstance(c, type) else c for c in self.custom_ops],
            "logging_level": self.logging_level,
            "log_code": self.log_code,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Return the settings of `to_json`; keys that are not known here are left out.

        Raises
        ------
        ValueError
            A value is of a wrong type, or cannot be a setting.
        """
        values = fit(cls, {**data, "region": region_of(str(data.get("region", "cn")))})
        if "\0" in str(values):
            raise ValueError("settings: a null character is part of no path")
        return cls().with_(**values)

    @classmethod
    def from_env(cls) -> Settings:
        """Return the settings that the environment gives.

        ``QNB_CACHE_DIR``, ``QNB_WORK_DIR``, ``QNB_RECORDER_URI``, ``QNB_THREADS``, and ``QNB_LOG_CODE`` (true, false).
        """
        changes: dict[str, Any] = {}
        for name, key in (("QNB_RECORDER_URI", "recorder_uri"), ("QNB_WORK_DIR", "work_dir")):
            if os.environ.get(name):
                changes[key] = os.environ[name]
        if os.environ.get("QNB_THREADS", "").isdigit():
            changes["threads"] = max(1, int(os.environ["QNB_THREADS"]))
        if word := os.environ.get("QNB_LOG_CODE"):
            changes["log_code"] = {"true": True, "1": True, "false": False, "0": False}.get(word.lower(), word)
        return cls().with_(**changes)


def region_of(name: str) -> Region:
    """Return the region of that name; raises `ConfigError` with the valid ones."""
    try:
        return REGIONS[name.lower()]
    except KeyError:
        raise ConfigError([Problem(f"unknown region {name!r}", f"valid: {', '.join(REGIONS)}", "region")]) from None


def default_cache_dir() -> Path:
    """Return the folder of the cache: ``QNB_CACHE_DIR``, else ``qnb`` below the user's cache folder."""
    if os.environ.get("QNB_CACHE_DIR"):
        return Path(os.environ["QNB_CACHE_DIR"]).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qnb"


def core_count() -> int:
    """Return the number of cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity call
        return os.cpu_count() or 1


def current_settings() -> Settings:
    """Return the settings of the run in whose context this is called, else the process's. For the edges only."""
    return _of_run.get() or session_settings()


def session_settings() -> Settings:
    """Return the settings of the last `qnb.init`, or those of the environment. For the edges only."""
    global _current
    if _current is None:
        _current = Settings.from_env()
    return _current


def use_settings(settings: Settings) -> Settings:
    """Make `settings` the process's; returns them. For `qnb.init`, and for a process that is there for one run."""
    global _current
    _current = settings
    return settings


@contextmanager
def settings_of_run(settings: Settings) -> Iterator[None]:
    """Have `settings` in force in this context, and in threads that take it over, while it is open."""
    before = _of_run.get()
    _of_run.set(settings)
    try:
        yield
    finally:
        _of_run.set(before)


def within_run() -> bool:
    """Return whether this is the context of a run that shares the process with others."""
    return _of_run.get() is not None


_current: Settings | None = None
_of_run: ContextVar[Settings | None] = ContextVar("qnb_settings_of_run", default=None)


def _uris(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(k): str(v) for k, v in value.items()}
    return {"__default__": str(value)}
