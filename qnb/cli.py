"""The ``qnb`` command: run, demo, tune, runs, show, data.

Heavy modules are imported in the command that needs them, so that ``qnb --help`` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Settings
from .errors import ConfigError, Problem, QnbError
from .options import command_parser
from .refused import refusal, require_encodable, survives_any_text

if TYPE_CHECKING:
    from .task.spec import Task

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 well, 1 failed, 2 wrong input, 130 stopped."""
    gc.set_threshold(50_000, 20, 50)  # importing makes many objects and hardly any garbage
    survives_any_text(sys.stdout, sys.stderr)
    try:
        return _main(argv)
    finally:
        gc.freeze()  # or the interpreter looks through all of them once more at its end, for a third of a second


def _main(argv: Sequence[str] | None) -> int:
    options = command_parser().parse_args(argv)
    if options.command is None:
        command_parser().print_help()
        return 0
    try:
        require_encodable(Path.cwd())
        status = _COMMANDS[options.command](options)
        sys.stdout.flush()
        return status
    except ConfigError as error:
        _say(f"error: {error}")
        return 2
    except QnbError as error:
        _say(f"error: {error}")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (OSError, ImportError) as error:
        said = refusal(error)
        if not said:
            raise
        _say(f"error: {said}")
        return 1


def _run(options: argparse.Namespace) -> int:
    from .task.file import workflow_text

    path = options.config
    if path == "-":
        text, source, base = sys.stdin.read(), "standard input", Path.cwd()
    else:
        file = Path(path).expanduser()
        text, source, base = workflow_text(path), path, file.parent
    name = options.name or (Path(path).stem if path != "-" else "run")
    return _run_text(text, source=source, base=base, name=name, options=options)


def _demo(options: argparse.Namespace) -> int:
    text = (Path(__file__).parent / "demo.yaml").read_text(encoding="utf-8")
    options.overrides, options.check, options.seed, options.experiment = [], False, None, None
    options.provider_uri = None
    return _run_text(text, source="demo workflow", base=Path.cwd(), name="demo", options=options)


def _run_text(text: str, *, source: str, base: Path, name: str, options: argparse.Namespace) -> int:
    from .task.spec import load_task

    task = load_task(text, source=source, overrides=tuple(options.overrides), base_dir=base)
    settings = _settings(options, task)
    problems = _check(task, settings)
    if options.check:
        errors = sum(p.severity == "error" for p in problems)
        if not errors:
            print(f"{source}: no mistakes found" + (f", {len(problems)} warnings" if problems else ""))
        return 2 if errors else 0
    if options.experiment:
        task = task.replace(experiment=options.experiment)
    return _execute(task, settings, name=name, options=options)


def _check(task: Task, settings: Settings) -> list[Problem]:
    from .check import check_task

    problems = check_task(task, settings)
    errors = [p for p in problems if p.severity == "error"]
    for problem in problems:
        if problem.severity != "error":
            _say(f"warning: {problem}")
    if errors:
        raise ConfigError(errors, source=task.source)
    return problems


def _execute(task: Task, settings: Settings, *, name: str, options: argparse.Namespace) -> int:
    from .execution.worker import Place, execute_run
    from .rundir import create_run
    from .terminal import TerminalView

    directory = create_run(task, settings, name=name, seed=options.seed)
    view = TerminalView(quiet=options.quiet)
    for entry in _journal_so_far(directory.path):
        view(entry)
    with _Interrupts() as interrupts:
        result = execute_run(directory, listeners=[view], stop=lambda: interrupts.asked, place=Place(alone=True))
    if result["status"] == "failed":
        _say(f"error: {result['message']}")
        _say(f"the traceback is in {directory.path / 'result.json'}; `qnb show {directory.run_id} --log` prints it")
        return 1
    if result["status"] == "stopped":
        _say(f"stopped: {result['message']}")
        return 130
    from .summary import print_summary

    print_summary(result, view.state.curves)
    if options.open and result.get("report"):
        import webbrowser

        webbrowser.open(Path(result["report"]).as_uri())
    return 0


def _tune(options: argparse.Namespace) -> int:
    from .options import study_options
    from .tuning.command import tune

    with _Interrupts() as interrupts:
        return tune(options, _settings(options), given=study_options(options), stop=lambda: interrupts.asked)


def _journal_so_far(path: Path) -> list[Any]:
    from .journal import read_journal

    return [entry.event for entry in read_journal(path)]


def _settings(options: argparse.Namespace, task: Task | None = None) -> Settings:
    settings = Settings.from_env()
    if task is not None:
        settings = settings.with_(**task.settings)
    changes: dict[str, Any] = {}
    if getattr(options, "uri", None):
        changes["recorder_uri"] = options.uri
    if getattr(options, "provider_uri", None):
        changes["provider_uri"] = options.provider_uri
    return settings.with_(**changes)


def _runs(options: argparse.Namespace) -> int:
    if options.clean:
        from .cleaning import clean_runs

        print(clean_runs(_settings(options)))
        return 0
    from .summary import print_runs

    return print_runs(
        _settings(options), experiment=options.experiment, filter_string=options.filter, limit=options.max
    )


def _show(options: argparse.Namespace) -> int:
    from .summary import print_run

    return print_run(_settings(options), options.run, log=options.log, config=options.config)


def _schema(options: argparse.Namespace) -> int:
    from .task.schema import schema, write_schema

    if options.out:
        write_schema(Path(options.out).expanduser())
        print(f"{options.out}: name it in your editor's YAML settings, or in a file's first line:")
        print(f"# yaml-language-server: $schema={options.out}")
    else:
        import json

        print(json.dumps(schema(), indent=1))
    return 0


def _data(options: argparse.Namespace) -> int:
    from .data_commands import run_data_command

    return run_data_command(options, Settings.from_env())


class _Interrupts:
    """Turns the first Ctrl-C into a request to stop and leaves the second one as it is."""

    def __init__(self) -> None:
        self.asked = False
        self._old: Any = None

    def __enter__(self) -> _Interrupts:
        self._old = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._old)

    def _interrupt(self, signum: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(2, b"\nstopping at the next safe place; press Ctrl-C again to end now\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "demo": _demo,
    "runs": _runs,
    "show": _show,
    "schema": _schema,
    "data": _data,
    "tune": _tune,
}

if __name__ == "__main__":
    sys.exit(main())
