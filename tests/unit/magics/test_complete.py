"""Completion and help through IPython's own completer, with the lines of the cell as the user sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from qnb.config import Settings, current_settings, use_settings
from qnb.magics.complete import add_help, remove_help
from qnb.magics.qtask import QnbMagics
from qnb.magics.qtune import TuneMagics
from qnb.options import MAGICS
from qnb.rundir import create_run
from qnb.task.spec import load_task


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    before = current_settings()
    use_settings(Settings().with_(work_dir=str(tmp_path)))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    add_help(made)
    yield made
    remove_help(made)
    made.history_manager.end_session()
    InteractiveShell.clear_instance()
    use_settings(before)


def _offered(shell: InteractiveShell, code: str) -> list[tuple[str, str]]:
    """Return what is offered, with the text of the cell that it replaces."""
    at = code.index("|")
    code = code.replace("|", "", 1)
    with provisionalcompleter():
        return [(c.text, code[c.start : c.end]) for c in shell.Completer.completions(code, at)]


def test_keys_and_classes_in_a_cell(shell: InteractiveShell) -> None:
    assert _offered(shell, "%%qtask a\nmod|") == [("model: ", "mod")]
    assert ("LGBModel", "LG") in _offered(shell, "%%qtask a --seed 3\nmodel:\n  class: LG|")
    assert ("Ref(", "Re") in _offered(shell, "%%qtask a\n\nlabel: Ref($close, -2)/Re|")


def test_python_stays_python(shell: InteractiveShell) -> None:
    shell.user_ns["model_of_mine"] = 1
    shell.Completer.use_jedi = False
    assert ("model_of_mine", "model_o") in _offered(shell, "model_o|")


def test_variables_of_the_notebook(shell: InteractiveShell) -> None:
    shell.user_ns["rate"] = 0.1
    assert _offered(shell, "%%qtask a\nmodel: {lightgbm: {learning_rate: {{ ra|") == [("rate", "ra")]


def test_runs_and_options_on_the_line(shell: InteractiveShell, tmp_path: Path) -> None:
    settings = Settings().with_(work_dir=str(tmp_path))
    create_run(load_task("model: lightgbm"), settings, name="first try")
    create_run(load_task("model: lightgbm"), settings, name="second")
    assert ("second", "se") in _offered(shell, "%qshow se|")
    assert ("'first try'", "fir") in _offered(shell, "%qstop fir|")
    assert ("--filter", "--f") in _offered(shell, "%qruns --f|")
    assert ("--experiment", "--ex") in _offered(shell, "%%qtask a --ex|\nmodel: lightgbm")


def test_every_magic_completes_what_its_parser_takes(shell: InteractiveShell, tmp_path: Path) -> None:
    registered = [*vars(QnbMagics).values(), *vars(TuneMagics).values()]
    names = {m.__name__ for m in registered if callable(m) and m.__name__.startswith("q")}
    assert MAGICS.keys() == names
    for magic, make in MAGICS.items():
        parser = make()
        for action in parser._actions:
            for option in (o for o in action.option_strings if o.startswith("--")):
                for sign in ("%", "%%") if magic in ("qtask", "qtune", "qruns") else ("%",):
                    line = f"{sign}{magic} {option[:3]}|"
                    assert (option, option[:3]) in _offered(shell, line), line


def test_runs_are_named_by_name_or_id_wherever_one_is_taken(shell: InteractiveShell, tmp_path: Path) -> None:
    settings = Settings().with_(work_dir=str(tmp_path))
    run = create_run(load_task("model: lightgbm"), settings, name="second")
    for line in ("%qshow", "%qshow other", "%qshow --overlay", "%qstop", "%qstop --all", "%qresume", "%qpool --next"):
        assert ("second", "se") in _offered(shell, f"{line} se|"), line
        assert (run.run_id, run.run_id[:4]) in _offered(shell, f"{line} {run.run_id[:4]}|"), line
    assert ("second", "se") not in _offered(shell, "%qpool --workers se|")


def test_actions_of_market_data_their_options_and_choices(shell: InteractiveShell) -> None:
    assert ("import", "im") in _offered(shell, "%qdata im|")
    assert ("--universe", "--u") in _offered(shell, "%qdata import a b --u|")
    assert ("files", "fi") in _offered(shell, "%qdata import --layout fi|")
    assert ("--universe", "--u") not in _offered(shell, "%qdata info --u|")


def test_help_under_the_cursor_of_a_kernel(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []

    def before(code: str, cursor_pos: int, detail_level: int = 0, omit_sections: object = ()) -> dict[str, object]:
        asked.append((code, cursor_pos))
        return {"found": False}

    kernel = SimpleNamespace(do_inspect=before)
    shell = SimpleNamespace(kernel=kernel, Completer=SimpleNamespace(custom_matchers=[]), user_ns={}, _qnb_matcher=None)
    add_help(shell)  # type: ignore[arg-type]
    cell = "%%qtask a\nmodel: lightgbm"
    reply = kernel.do_inspect(cell, len(cell) - 2)
    assert reply["found"]
    assert reply["data"]["text/plain"].startswith("model LGBModel")
    assert kernel.do_inspect("print(1)", 3) == {"found": False}
    assert kernel.do_inspect("%%qtask a", 3) == {"found": False}
    assert asked == [("print(1)", 3), ("%%qtask a", 3)]
