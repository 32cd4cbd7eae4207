"""The one parser of the shell command and the magics: `qnb run` and `%%qtask` share options, defaults and help."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .errors import ConfigError, Problem

__all__ = [
    "MAGICS",
    "add_pool_options",
    "command_parser",
    "data_parser",
    "duration_of",
    "gigabytes",
    "parse_line",
    "pool_parser",
    "qtask_parser",
    "qtune_parser",
    "resume_parser",
    "runs_parser",
    "show_parser",
    "stop_parser",
]

_RUN_EXAMPLE = """\
examples:
  qnb run workflow.yaml                                  run it, with progress and a report at the end
  qnb run workflow.yaml --check                          only look for mistakes, in two seconds
  qnb run workflow.yaml --set task.model.kwargs.learning_rate=0.05 --name slow
"""
_CELL_EXAMPLE = """\
example:
  %%qtask lgb
  market: demo
  model: lightgbm
  features: Alpha158
"""


_TUNE_EXAMPLE = """\
examples:
  qnb tune -c study.yaml --trials 50 --jobs 2            search the distributions in the workflow
  qnb tune -c study.yaml --resume                        go on with its newest study
  qnb tune -c study.yaml --metric information_ratio --cv walk_forward:4

a distribution stands where a value would: learning_rate: !loguniform [0.01, 0.3], or {low: 0.01, high: 0.3, log: true}
"""


class _MagicParser(argparse.ArgumentParser):
    """Raises instead of leaving the process, so that a magic can show the message."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError([Problem(f"{self.prog}: {message}", f"see {self.prog.partition(' ')[0]}?")])


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add what `qnb run` and `%%qtask` have in common."""
    parser.add_argument("--experiment", "-e", metavar="E", help="experiment to record under; default: the file's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="override a value of the YAML, e.g. task.model.kwargs.num_leaves=64; may be repeated",
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="look for mistakes, load no data, run nothing")
    parser.add_argument("--seed", type=int, metavar="N", help="seed for the model where the YAML gives none")


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """Add what `qnb tune` and `%%qtune` have in common; the YAML's ``study`` section says what is not given."""
    parser.add_argument("--trials", type=int, metavar="N", help="number of trials in all; default 50")
    parser.add_argument("--jobs", "-j", type=int, metavar="J", help="worker processes; default: the cores")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads of a worker; default: cores / jobs")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds after which no new trial starts")
    parser.add_argument("--trial-timeout", type=float, metavar="S", help="seconds after which a trial has failed")
    parser.add_argument("--sampler", metavar="A", help="tpe (default), cmaes, gp, random, grid, qmc")
    parser.add_argument("--pruner", metavar="P", help="hyperband (default), median, none")
    parser.add_argument(
        "--metric", action="append", metavar="M",
        help="what is searched for on the validation segment: IC (default), rank_ic, ICIR, loss, information_ratio; "
        "given twice or more: several objectives",
    )  # fmt: skip
    parser.add_argument(
        "--direction",
        action="append",
        metavar="D",
        help="maximize or minimize, one for each metric; default: by metric",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the search and of the models; default 7")
    parser.add_argument("--storage", metavar="URL", help="Optuna storage (sqlite:///..., postgresql://...)")
    parser.add_argument("--segment", metavar="S", help="valid (default), or test, which spoils the test")
    parser.add_argument("--cv", metavar="KIND:FOLDS", help="cross-validation: walk_forward:4 or purged_kfold:5")
    parser.add_argument("--space", action="append", metavar="SPACE", help="named space, e.g. LightGBMSpace")
    parser.add_argument("--resume", action="store_true", help="go on with the newest study of that name")


def study_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a study that were given, under the keys of the YAML's ``study`` section."""
    keys = (
        "trials", "jobs", "threads", "timeout", "trial_timeout", "sampler", "pruner", "metric", "direction", "seed",
        "storage", "segment", "cv", "space",
    )  # fmt: skip
    return {k: getattr(options, k) for k in keys if getattr(options, k, None) is not None}


def qtune_parser() -> argparse.ArgumentParser:
    """Return the parser of the line of ``%%qtune``."""
    parser = _MagicParser(
        prog="%%qtune", description="Search the distributions in the YAML of the cell; the cell returns at once.",
        epilog=_TUNE_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False,
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", nargs="?", help="name of the study and of its handle in the notebook")
    add_study_options(parser)
    parser.add_argument("--experiment", "-e", metavar="E", help="experiment to record under; default: the YAML's")
    parser.add_argument("--wait", action="store_true", help="return when the study is over (for scripts)")
    return parser


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of the ``qnb`` command."""
    from . import __version__

    parser = argparse.ArgumentParser(prog="qnb", description="Quant research in notebooks, from the shell.")
    parser.add_argument("--version", action="version", version=f"qnb {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a workflow YAML",
        epilog=_RUN_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("config", metavar="CONFIG.yaml", help="the workflow; '-' reads it from standard input")
    run.add_argument("--name", "-n", metavar="NAME", help="name of the run; default: the file's name")
    add_task_options(run)
    run.add_argument("--uri", metavar="URI", help="MLflow tracking URI; default sqlite:///mlflow.db in this folder")
    run.add_argument("--provider-uri", metavar="DIR", help="market data folder, instead of the one in the YAML")
    run.add_argument("--quiet", "-q", action="store_true", help="print the result only")
    run.add_argument("--open", action="store_true", help="open the report in the browser when it is there")

    demo = commands.add_parser("demo", help="run the main job on the embedded demo market")
    demo.add_argument("--uri", metavar="URI", help="MLflow tracking URI")
    demo.add_argument("--quiet", "-q", action="store_true", help="print the result only")
    demo.add_argument("--open", action="store_true", help="open the report in the browser when it is there")

    runs = commands.add_parser("runs", help="list runs")
    _fill_runs(runs)
    show = commands.add_parser("show", help="show one run")
    show.add_argument("run", metavar="RUN", help="name (its newest run), id, or four or more of its first characters")
    show.add_argument("--uri", metavar="URI", help="MLflow tracking URI")
    show.add_argument("--log", action="store_true", help="print the log as well")
    show.add_argument("--config", action="store_true", help="print the resolved YAML as well")

    schema = commands.add_parser("schema", help="write the JSON schema of the workflow YAML, for editors")
    schema.add_argument("--out", "-o", metavar="FILE", help="where to write it; default: standard output")

    tune = commands.add_parser(
        "tune",
        help="search hyperparameters, and say how much of the best is luck",
        epilog=_TUNE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tune.add_argument("-c", "--config", metavar="CONFIG.yaml", required=True, help="workflow with distributions")
    tune.add_argument("--name", "-n", metavar="NAME", help="name of the study; default: the file's name")
    add_study_options(tune)
    tune.add_argument("--uri", metavar="URI", help="MLflow tracking URI; default sqlite:///mlflow.db in this folder")
    tune.add_argument("--provider-uri", metavar="DIR", help="market data folder, instead of the one in the YAML")
    tune.add_argument("--quiet", "-q", action="store_true", help="print the result only")

    data = commands.add_parser("data", help="market data: demo, import, check, info, cache")
    _fill_data(data)
    return parser


def qtask_parser() -> argparse.ArgumentParser:
    """Return the parser of the line of ``%%qtask``."""
    parser = _MagicParser(
        prog="%%qtask", description="Run the YAML of the cell in a process of its own; the cell returns at once.",
        epilog=_CELL_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False,
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", nargs="?", help="name of the run and of its handle in the notebook")
    add_task_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would run: rows, memory, time; run nothing")
    add_pool_options(parser)
    parser.add_argument("--wait", action="store_true", help="return when the run is over (for scripts)")
    parser.add_argument("--backend", metavar="B", default=None, help="where to run: kernel (default) or inline")
    return parser


def runs_parser(prog: str = "%qruns") -> argparse.ArgumentParser:
    """Return the parser of ``%qruns``, which takes what ``qnb runs`` takes; a page there is longer."""
    parser = _MagicParser(prog=prog, add_help=False)
    _fill_runs(parser)
    parser.set_defaults(max=100)
    return parser


def _run_ref_parser(prog: str, *, several: bool = False) -> argparse.ArgumentParser:
    """Return the parser of a magic that names a run, or several (``%qshow``, ``%qstop``, ``%qresume``)."""
    parser = _MagicParser(prog=prog, add_help=False)
    nargs = "*" if several else "?"
    parser.add_argument("run", metavar="RUN", nargs=nargs, help="name, id, or four or more of its first characters")
    return parser


def show_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%qshow``."""
    parser = _run_ref_parser("%qshow", several=True)
    parser.add_argument("--overlay", action="store_true", help="draw the curves of the runs over each other")
    return parser


def stop_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%qstop``."""
    parser = _run_ref_parser("%qstop", several=True)
    parser.add_argument("--all", action="store_true", help="every run that waits or is going")
    return parser


def pool_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%qpool``."""
    parser = _MagicParser(prog="%qpool", add_help=False)
    parser.add_argument("--workers", type=int, metavar="N", help="runs at a time; default: the cores")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of all workers together")
    parser.add_argument("--memory", type=gigabytes, metavar="GB", help="memory of one worker; 0 for an equal share")
    parser.add_argument("--idle", type=float, metavar="MINUTES", help="end a worker that had nothing to do for so long")
    parser.add_argument("--next", metavar="RUN", help="have a waiting run go next")
    return parser


def resume_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%qresume``."""
    return _run_ref_parser("%qresume")


def data_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%qdata``, which takes what ``qnb data`` takes."""
    parser = _MagicParser(prog="%qdata", add_help=False)
    _fill_data(parser)
    return parser


def add_pool_options(parser: argparse.ArgumentParser) -> None:
    """Add the limits under which the pool runs a task."""
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="higher goes first; default 0")
    parser.add_argument("--timeout", type=duration_of, default=0.0, metavar="T", help="stop after 90s, 30m or 2h")
    parser.add_argument("--memory", type=gigabytes, default=0.0, metavar="GB", help="memory the worker may have")
    parser.add_argument(
        "--retries", type=int, default=1, metavar="N", help="tries after a crash of the worker; default 1"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of the run before")


def duration_of(text: str) -> float:
    """Return seconds of ``90``, ``90s``, ``30m`` or ``2h``.

    Examples
    --------
    >>> duration_of("30m"), duration_of("1.5h"), duration_of("20")
    (1800.0, 5400.0, 20.0)
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        return float(number) * unit
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 30m or 2h") from None


def gigabytes(text: str) -> float:
    """Return GiB of ``8``, ``8GB`` or ``512MB``.

    Examples
    --------
    >>> gigabytes("8"), gigabytes("8GB"), gigabytes("512MB")
    (8.0, 8.0, 0.5)
    """
    units = {"MB": 1 / 1024, "GB": 1.0, "TB": 1024.0, "G": 1.0, "M": 1 / 1024}
    for name, factor in units.items():
        if text.upper().endswith(name):
            number, unit = text[: -len(name)], factor
            break
    else:
        number, unit = text, 1.0
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 8GB or 512MB")
    return value


def parse_line(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Parse the line of a magic; raises `ConfigError` that shows what is wrong."""
    try:
        words: Sequence[str] = shlex.split(line)
    except ValueError as error:
        raise ConfigError([Problem(f"{parser.prog}: {error}", "close the quotation mark")]) from error
    try:
        return parser.parse_args(words)
    except SystemExit:  # a sub-parser says its own help and leaves
        raise ConfigError([Problem(f"{parser.prog}: nothing was done", f"see {parser.prog}?")]) from None


def _fill_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiment", "-e", metavar="E", help="only this experiment")
    parser.add_argument("--filter", metavar="F", default="", help='MLflow\'s filter grammar, e.g. "metrics.IC > 0.04"')
    parser.add_argument("--max", type=int, default=20, metavar="N", help="at most N runs, newest first; default 20")
    parser.add_argument("--uri", metavar="URI", help="MLflow tracking URI")
    parser.add_argument("--clean", action="store_true", help="remove the folders of runs that were deleted, list none")


def _fill_data(parser: argparse.ArgumentParser) -> None:
    sub = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    demo = sub.add_parser("demo", help="make the embedded demo market and say where it is")
    demo.add_argument("--instruments", type=int, default=300, metavar="N", help="number of instruments; default 300")
    demo.add_argument("--years", type=int, default=12, metavar="Y", help="years of daily bars; default 12")
    demo.add_argument("--seed", type=int, default=None, metavar="S", help="seed of the market")

    imp = sub.add_parser("import", help="turn CSV or Parquet files into a market data store")
    imp.add_argument("source", metavar="SOURCE", help="a file, or a folder with one file a symbol")
    imp.add_argument("target", metavar="STORE", help="folder of the store; made when missing")
    imp.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", dest="mapping",
        help="name a column, e.g. close='Adj Close'; usual names are found without it; may be repeated",
    )  # fmt: skip
    imp.add_argument(
        "--layout", choices=["auto", "files", "long"], default="auto", help="one file a symbol, or one table"
    )
    imp.add_argument("--symbol-column", metavar="C", help="column of the symbol in a long table")
    imp.add_argument("--date-column", metavar="C", help="column of the date")
    imp.add_argument("--adjusted-close", metavar="C", help="column of the adjusted close; factor = adjusted / close")
    imp.add_argument("--date-format", metavar="F", help="how dates are written (strptime codes), where that is unclear")
    imp.add_argument(
        "--prices", choices=["raw", "adjusted"], default="raw", help="prices beside a factor are as traded, or adjusted"
    )
    imp.add_argument("--all", action="store_true", help="list every bad file, not only the first twenty")
    imp.add_argument("--freq", default="day", help="frequency of the bars; default day")
    imp.add_argument("--strict", action="store_true", help="write nothing if any file is bad, and list the bad ones")
    imp.add_argument("--update", action="store_true", help="add to a store that is there already")
    imp.add_argument("--universe", action="append", default=[], metavar="NAME=FILE", help="also import a universe file")
    imp.add_argument("--threads", type=int, default=None, metavar="N", help="files read at a time; default: the cores")

    check = sub.add_parser("check", help="the data doctor: look for faults in a store")
    check.add_argument("store", metavar="STORE", nargs="?", default="demo", help="folder, or demo")
    check.add_argument("--freq", default="day", help="frequency; default day")
    check.add_argument("--all", action="store_true", help="list every finding, not only the first few of a kind")
    check.add_argument("--csv", metavar="FILE", help="write every finding to a CSV file")

    info = sub.add_parser("info", help="what a store holds")
    info.add_argument("store", metavar="STORE", nargs="?", default="demo", help="folder, or demo")

    cache = sub.add_parser("cache", help="what is kept of computed factors and prepared data: list, clear, limit")
    cache.add_argument(
        "--clear", nargs="?", const="", metavar="PATTERN",
        help="remove all, or what a part of its description or the beginning of its key names; runs compute it again",
    )  # fmt: skip
    cache.add_argument("--older", type=float, metavar="DAYS", help="list or clear only what was not used for so long")
    cache.add_argument(
        "--limit", type=gigabytes, metavar="SIZE",
        help="keep 8GB at most from now on, what was used longest ago goes first; 0 for the default of 20GB",
    )  # fmt: skip
    cache.add_argument("--all", action="store_true", help="list every entry, not only the twenty that were used last")


MAGICS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "qtask": qtask_parser,
    "qtune": qtune_parser,
    "qshow": show_parser,
    "qstop": stop_parser,
    "qresume": resume_parser,
    "qruns": runs_parser,
    "qpool": pool_parser,
    "qdata": data_parser,
}
"""Every magic and what makes the parser of its line."""


def namespace_to_dict(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options as a plain dict, without those that were not given."""
    return {k: v for k, v in vars(options).items() if v not in (None, [], False)}
