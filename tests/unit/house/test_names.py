"""Names that become parts of paths: what is refused, and that every way in asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb.config import Settings
from qnb.data.importers import import_market
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.writer import check_symbol, feature_file, feature_folder, write_calendar, write_groups, write_universe
from qnb.errors import ConfigError, DataError, RecorderError
from qnb.expr.evaluate import evaluate
from qnb.expr.rows import Rows
from qnb.names import checked_name, checked_path, is_device, wrong_with
from qnb.panels.browser_rows import Rows as BrowserRows
from qnb.recorder.browse import RunIndex
from qnb.recorder.memory import MemoryStore
from qnb.recorder.recorder import Recorder
from qnb.recorder.spool import Kept, Spool
from qnb.tuning.old_schema import read_pipeline

BAD = {
    "": "it is empty",
    "..": "begins or ends with a dot",
    "../x": "holds a slash",
    "a/b": "holds a slash",
    "a\\b": "holds a slash",
    "/etc/passwd": "holds a slash",
    ".hidden": "begins or ends with a dot",
    "end.": "begins or ends with a dot",
    " a": "begins or ends with a dot or a blank",
    "a ": "begins or ends with a dot or a blank",
    "a\nb": "U+000A",
    "a\0b": "U+0000",
    "a\x7f": "U+007F",
    "a\u2028": "U+2028",
    "txt\u202egpj": "U+202E",
    "\ud800": "U+D800",
    "CON": "Windows keeps it",
    "nul.txt": "Windows keeps it",
    "Com1": "Windows keeps it",
    "lpt¹": "Windows keeps it",
    "n" * 256: "longer than 255 bytes",
    "名" * 86: "longer than 255 bytes",
}
GOOD = ("csi300", "BRK.B", "^GSPC", "000300.SH", "名字", "a b", "EURUSD=X", "M&M", "console", "com", "n" * 255, "😀")


@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_what_cannot_name_a_file(name: str, why: str) -> None:
    assert why in wrong_with(name)
    with pytest.raises(DataError, match=r"the universe '.*' cannot name a file: .*; choose another name") as caught:
        checked_name("universe", name, error=DataError)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", GOOD)
def test_what_can(name: str) -> None:
    assert checked_name("universe", name, error=DataError) == name


def test_the_suffix_counts() -> None:
    assert wrong_with("n" * 251, ".txt") == ""
    assert wrong_with("n" * 252, ".txt") == "it is longer than 251 bytes"


@given(st.text(max_size=300))
def test_a_name_that_passes_is_one_part_of_a_path(name: str) -> None:
    if not wrong_with(name, ".txt"):
        folder = Path("/somewhere")
        assert (folder / f"{name}.txt").parent == folder
        assert len(f"{name}.txt".encode()) <= 255


def test_paths_of_artifacts() -> None:
    assert checked_path("artifact", "portfolio_analysis/report.pkl", new=True, error=RecorderError)
    assert checked_path("artifact", "a\\b", new=True, error=RecorderError) == "a/b"
    assert checked_path("artifact", ".DS_Store", new=False, error=RecorderError) == ".DS_Store"  # another program's
    for new in (True, False):
        for path in ("../x", "/x", "a/../b", "", "a/\0"):
            with pytest.raises(RecorderError):
                checked_path("artifact", path, new=new, error=RecorderError)
    with pytest.raises(RecorderError, match=r"the artifact 'CON' cannot name a file"):
        checked_path("artifact", "a/CON/b", new=True, error=RecorderError)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a calendar that nobody may overwrite."""
    folder = tmp_path / "st"
    for name in ("calendars", "instruments", "features", "groups"):
        (folder / name).mkdir(parents=True)
    write_calendar(folder, np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]"))
    (tmp_path / "u.txt").write_text("A\t2020-01-02\t2020-01-03\n")
    return folder


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_store_is_never_left(store: Path, tmp_path: Path) -> None:
    before = state(tmp_path)
    opened = QlibBinStore(store)
    for name in ("../calendars/day", "../../x", "/tmp/x", "a/b", " a"):
        ways: tuple[Callable[[], Any], ...] = (
            lambda name=name: write_universe(store, name, []),
            lambda name=name: write_groups(store, name, {}),
            lambda name=name: feature_folder(store, name),
            lambda name=name: feature_file(store, "a", name),
            lambda name=name: opened.universe(name),
            lambda name=name: opened.group(name),
            lambda name=name: opened.periods(name, "a"),
            lambda name=name: opened.periods("a", name),
        )
        for way in ways:
            with pytest.raises(DataError, match="cannot name a file"):
                way()
    assert state(tmp_path) == before


def test_an_import_names_no_universe_outside(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "A.csv").write_text("date,close\n2020-01-02,1\n2020-01-03,2\n")
    (tmp_path / "u.txt").write_text("A\t2020-01-02\t2020-01-03\n")
    import_market(tmp_path / "src", tmp_path / "st")
    before = state(tmp_path)
    for name in ("../calendars/day", "../../x", "NUL", ""):
        with pytest.raises(DataError, match=r"the universe '.*' cannot name a file"):
            import_market(tmp_path / "src", tmp_path / "st", mode="update", universes={name: tmp_path / "u.txt"})
    assert state(tmp_path) == before


def test_odd_symbols_keep_their_folders(store: Path) -> None:
    assert feature_folder(store, "CON").name == "_qlib_con"
    assert feature_folder(store, "CON.DE").name == "_qlib_con.de"
    for symbol in ("BRK.B", "^GSPC", "000300.SH", "EURUSD=X", "M&M", "BTC-USD", "PRN", "CON.DE", "AUX.L"):
        assert check_symbol(symbol) == symbol
        feature_folder(store, symbol).mkdir()
    opened = QlibBinStore(store)
    assert {"CON.DE", "PRN", "BRK.B"} <= set(opened.instruments())
    (store / "features" / "nul.x").mkdir()  # as another program made it
    assert feature_folder(store, "NUL.X").name == "nul.x"
    assert "NUL.X" in QlibBinStore(store).instruments()
    for symbol in ("BTC/USDT", "..", ".SPX", "A\nB", "A.", "x" * 256):
        with pytest.raises(DataError, match="cannot name a"):
            check_symbol(symbol)


def test_a_group_of_an_expression(store: Path, tmp_path: Path) -> None:
    folder = feature_folder(store, "a")
    folder.mkdir()
    np.array([0, 1, 2], dtype="<f4").tofile(folder / "close.day.bin")
    (store / "instruments" / "all.txt").write_text("A\t2020-01-02\t2020-01-03\n")
    opened = QlibBinStore(store)
    rows = Rows.from_universe(opened.universe("all"), opened.calendar, None, None, source=opened)
    with pytest.raises(DataError, match=r"the group '\.\./instruments/all' cannot name a file: it holds a slash"):
        evaluate(["CSRank($close, '../instruments/all')"], opened, rows)


def test_artifacts_stay_in_their_run(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    store = MemoryStore("memory:names")
    try:
        info = store.create_run(store.create_experiment("e"), "r", tags={})
        recorder = Recorder(store, info, Settings(work_dir=tmp_path))
        for name in ("../x", "a/../../x", "/x", "CON", "a/nul.txt", ".x", "a\nb", "n" * 300):
            with pytest.raises(RecorderError, match="artifact"):
                recorder.save_objects(**{name: 1})
            with pytest.raises(RecorderError, match="artifact"):
                recorder.save_objects(artifact_path=name, x=1)
        for name in ("../x", "/x", "a/../../x"):
            for read in (recorder.load_object, recorder.download_artifact, recorder.list_artifacts):
                with pytest.raises(RecorderError, match="stays within the run"):
                    read(name)
        assert recorder.save_objects(**{"portfolio_analysis/report 1.pkl": 1}) == ["portfolio_analysis/report 1.json"]
    finally:
        store.close()


def test_ids_of_runs_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "request.json").write_text("{}")
    for run_id in ("..", "../runs", "", "a/b"):
        assert BrowserRows(tmp_path / "runs", RunIndex("memory:").run).handle_of(run_id) is None
    with pytest.raises(RecorderError, match=r"the run '../x' cannot name a file"):
        Spool([tmp_path], Kept("../x", "memory:"))


def test_an_experiment_of_the_old_tuner_names_a_folder(tmp_path: Path) -> None:
    text = (
        "experiment: {name: ../../x}\ntuner_pipeline: [{model: {class: LGBModel}}]\n"
        "optimization_criteria: {}\ntime_period: {}\ndata: {}\n"
    )
    with pytest.raises(ConfigError, match=r"line 1: the experiment's name '\.\./\.\./x' cannot name a folder"):
        read_pipeline(text, source="", base_dir=tmp_path)


def test_devices() -> None:
    assert all(map(is_device, ("con", "CON", "con.txt", "COM9", "aux .x", "CONOUT$")))
    assert not any(map(is_device, ("console", "com", "com10", "xcon", "", "a.con")))
