"""What only the market can tell: every bad input with its line, and nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qnb.check import check_task
from qnb.check import device as device_check
from qnb.config import Settings
from qnb.data.writer import feature_file, write_calendar, write_groups, write_series, write_universe
from qnb.errors import ConfigError, Problem
from qnb.task.spec import load_task

GOOD = """\
qnb_init: {provider_uri: PLACE}
market: &market big
task:
  model: {class: lightgbm, kwargs: {num_leaves: 8}}
  dataset:
    class: DatasetH
    kwargs:
      handler:
        class: DataHandlerLP
        kwargs:
          start_time: 2018-01-01
          end_time: 2019-12-20
          instruments: *market
          data_loader:
            class: QlibDataLoader
            kwargs:
              config:
                feature:
                  - ["$close/Ref($close, 5) - 1", 'Std($close, 10)/$close']
                  - [MOM, VOL]
                label:
                  - ["Ref($close, -2)/Ref($close, -1) - 1"]
                  - [LABEL0]
          learn_processors: [DropnaLabel, {class: CSZScoreNorm, kwargs: {fields_group: label}}]
          infer_processors:
            - {class: FilterCol, kwargs: {fields_group: feature, col_list: [MOM]}}
            - {class: ZScoreNorm, kwargs: {fit_start_time: 2018-01-01, fit_end_time: 2018-12-31}}
      segments:
        train: [2018-01-01, 2018-12-31]
        valid: [2019-01-01, 2019-03-31]
        test: [2019-04-01, 2019-12-20]
  record:
    - SignalRecord
    - class: PortAnaRecord
      kwargs:
        config:
          strategy: {class: TopkDropoutStrategy, kwargs: {signal: <PRED>, topk: 3, n_drop: 1}}
          backtest:
            start_time: 2019-04-01
            end_time: 2019-12-20
            benchmark: INDEX
            exchange_kwargs: {deal_price: close}
"""
STD = "'Std($close, 10)/$close'"
VALID = "valid: [2019-01-01, 2019-03-31]"
START, END = "    start_time: 2019-04-01", "    end_time: 2019-12-20\n            bench"
SYMBOLS = ("AA", "BB", "CC", "DD", "EE", "FF")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six instruments and an index over 2018 and 2019, weekdays."""
    path = tmp_path_factory.mktemp("store")
    days = np.arange("2018-01-01", "2020-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    write_calendar(path, days)
    for symbol in (*SYMBOLS, "INDEX"):
        for field in ("open", "close", "high", "low", "volume", "factor"):
            file = feature_file(path, symbol, field)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_series(file, 0, np.ones(len(days)))
    write_groups(path, "sector", dict.fromkeys(SYMBOLS, "tech"))
    both = ("2018-01-01", "2019-12-31")
    write_universe(path, "all", [(s, *both) for s in SYMBOLS])
    write_universe(path, "big", [(s, *both) for s in SYMBOLS[:4]])
    write_universe(path, "early", [(s, "2018-01-01", "2018-12-31") for s in SYMBOLS[:4]])
    write_universe(path, "ghosts", [(s, *both) for s in ("XX", "YY")])
    return path


def checked(text: str, store: Path | str, first_line: int = 1) -> list[Problem]:
    task = load_task(text.replace("PLACE", str(store)), first_line=first_line)
    return check_task(task, Settings().with_(**task.settings))


def lines_of(text: str, *words: str) -> list[int]:
    """Return the line of each word, which occurs once."""
    assert all(text.count(w) == 1 for w in words)
    return [text[: text.index(w)].count("\n") + 1 for w in words]


@pytest.mark.parametrize(
    ("group", "message", "remedy"),
    [
        ("../instruments/all", "no grouping '../instruments/all': it holds a slash", "name a file of the store's"),
        ("secto", "no grouping 'secto'", "did you mean 'sector'?"),
        ("industry", "no grouping 'industry'", "write groups/industry.txt into the store"),
        ("sector", "", ""),
    ],
)
def test_groupings_are_those_of_the_market(store: Path, group: str, message: str, remedy: str) -> None:
    text = GOOD.replace(STD, f"\"CSRank($close, '{group}')\"")
    found = checked(text, store)
    assert [p.message for p in found] == ([message] if message else [])
    if message:
        assert found[0].remedy.startswith(remedy)
        assert [found[0].line] == lines_of(text, "CSRank")


def test_the_good_one_is_good(store: Path) -> None:
    assert checked(GOOD, store) == []


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy", "severity"),
    [
        # where the data is
        ("{provider_uri: PLACE}", "{provider_uri: §/no/such/folder}", "no market data at /no/such/folder", "", "error"),
        # universe
        ("&market big", "&market §bgi", "no universe 'bgi'", "'big'", "error"),
        ("&market big", "&market §ghosts", "none of the 2 instruments of 'ghosts' has data", "", "error"),
        ("&market big", "&market [AA, §XX]", "no instrument 'XX'", "left out", "warning"),
        ("&market big", "&market [§AAA]", "no instrument 'AAA'", "'AA'", "error"),
        # expressions: the column is that of the mistake in the line
        ('"$close/Ref(', '"§$clos/Ref(', "no field $clos", "$close", "error"),
        ('"$close/Ref(', '"$close/§Reff(', "unknown operator 'Reff'", "Ref", "error"),
        (STD, "'Std($close, 10)/§)'", "unexpected ')'", "", "error"),
        (STD, "'Std(§$cap, 10)'", "no field $cap", "NaN", "warning"),
        (STD, "'§Ref($close, -1)'", "reads 1 days ahead", "", "warning"),
        (STD, "'§BFillNan($close)'", "reads all later days", "", "warning"),
        (STD, "§Std($close, 10)", "Std($close, 10) was split at its commas", "quotes", "error"),
        ('["Ref($close, -2)', '["Ref(§$clse, -2)', "no field $clse", "$close", "error"),
        ("{deal_price: close}", "{deal_price: §clsoe}", "no field $clsoe", "$close", "error"),
        # columns
        ("col_list: [MOM]", "col_list: [§MON]", "no feature 'MON'", "'MOM'", "error"),
        # a value that is searched
        (
            "num_leaves: 8", "§num_leaves: {low: 4, high: 8}", "num_leaves is a distribution", "%%qtune", "warning",
        ),
        # segments
        (VALID, "§valid: [2018-12-01, 2019-03-31]", "overlap", "let train end before valid starts", "error"),
        (VALID, "§valid: [2019-03-31, 2019-01-01]", "ends before it starts", "swap", "error"),
        (VALID, "valid: [§soon, 2019-03-31]", "'soon' is not a date", "", "error"),
        (VALID, "valid: §2019", "must be two dates", "[first day, last day]", "error"),
        (VALID, "§valid: [2025-01-01, 2025-03-31]", "lies outside of the data", "2018-01-01 to 2019-12-31", "error"),
        (VALID, "§valid: [2019-01-05, 2019-01-06]", "has no trading day", "", "error"),
        (VALID, "§extra: [2019-12-25, 2019-12-31]", "lies outside of the handler's", "", "error"),
        ("          start_time: 2018-01-01\n", "          start_time: 2018-02-01\n", "is cut to the", "", "warning"),
        ("end_time: 2019-12-20\n          inst", "end_time: §soon\n          inst", "not a date", "", "error"),
        ("        test: [", "        tset: [", "there is no segment 'test'", "train, valid, tset", "error"),
        # what a label needs
        ('["Ref($close, -2)/', '["§Ref($close, -20)/', "so the last 13 days of test have none", "", "warning"),
        # backtest
        ("benchmark: INDEX", "benchmark: §INDX", "no benchmark 'INDX'", "'INDEX'", "error"),
        (START, "    start_time: §2019-03-01", "trading days before the first prediction", "", "warning"),
        (END, "    end_time: §2019-12-31\n            bench", "after the last prediction", "", "warning"),
        ("topk: 3", "topk: §30", "topk is 30, but the universe has at most 4", "", "warning"),
        ("topk: 3", "topk: §0", "topk must be at least 1", "", "error"),
        ("n_drop: 1", "n_drop: §5", "n_drop (5) is larger than topk (3)", "", "warning"),
    ],
)  # fmt: skip
def test_one_mistake_one_message(store: Path, old: str, new: str, message: str, remedy: str, severity: str) -> None:
    assert GOOD.count(old) == 1
    marked = GOOD.replace(old, new)
    problems = checked(marked.replace("§", ""), store, first_line=2)
    (problem,) = [p for p in problems if message in p.message]
    assert problems[0] == problem or severity == "warning", [str(p) for p in problems]
    assert remedy in problem.remedy
    assert problem.severity == severity
    if "§" in new:
        line = marked[: marked.index("§")].count("\n") + 1
        column = marked.split("\n")[line - 1].index("§") + 1
        assert (problem.line, problem.column) == (line + 1, column)
    else:
        assert problem.line is not None


def test_all_at_once_in_the_order_of_the_lines(store: Path) -> None:
    text = GOOD.replace("&market big", "&market bgi").replace('"$close/Ref', '"$clos/Ref').replace("INDEX", "INDX")
    problems = [p for p in checked(text, store) if p.severity == "error"]
    assert [p.line for p in problems] == lines_of(text, "bgi", "$clos/", "INDX")


def test_a_universe_without_members_in_a_segment(store: Path) -> None:
    found = [p for p in checked(GOOD.replace("&market big", "&market early"), store) if p.severity == "error"]
    assert [p.line for p in found] == lines_of(GOOD, "valid:", " test: [")
    assert "no instrument of 'early' is a member in segment valid" in found[0].message


def test_a_label_without_any_data_after_it(store: Path) -> None:
    text = GOOD.replace("test: [2019-04-01, 2019-12-20]", "test: [2019-12-16, 2019-12-20]")
    text = text.replace("Ref($close, -2)/", "Ref($close, -30)/")
    errors = [p for p in checked(text, store) if p.severity == "error"]
    assert any(
        "no row of segment test has a label" in p.message and [p.line] == lines_of(text, " test: [") for p in errors
    )


def test_a_label_that_reaches_into_the_next_segment(store: Path) -> None:
    text = GOOD.replace("Ref($close, -2)/", "Ref($close, -10)/")
    found = [p for p in checked(text, store) if "reaches" in p.message]
    assert [p.line for p in found] == lines_of(text, "train:", "valid:")
    assert {p.severity for p in found} == {"warning"}
    assert "leave a gap of 10 trading days" in found[0].remedy


def test_processors_fitted_after_train(store: Path) -> None:
    text = GOOD.replace("DataHandlerLP", "Alpha158").replace(
        "instruments: *market\n",
        "instruments: *market\n          fit_start_time: 2018-01-01\n          fit_end_time: 2019-06-30\n",
    )
    start = text.index("          data_loader:")
    text = text[:start] + text[text.index("          learn_processors") :]
    text = text.replace("col_list: [MOM]", "col_list: [KLEN]")
    (problem,) = [p for p in checked(text, store) if "fitted" in p.message]
    assert (problem.line, problem.severity) == (15, "warning")


def test_operators_of_the_user(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "own_ops.py"
    file.write_text(
        "from qnb.expr.operator import Element, Parameter\n\n"
        "class CheckTwice(Element):\n    signature = (Parameter('x', 'series'),)\n"
        "    def compute(self, x):\n        return 2 * x\n"
    )
    text = GOOD.replace("Std($close, 10)/$close", "CheckTwice($close)")
    assert "unknown operator 'CheckTwice'" in checked(text, store)[0].message
    text = text.replace("PLACE}", f"PLACE, custom_ops: ['{file}:CheckTwice']}}")
    assert checked(text, store) == []


def test_a_gpu_that_is_not_there(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace("{num_leaves: 8}", "{num_leaves: 8, device: gpu}")
    monkeypatch.setattr(device_check, "_has_gpu", lambda: False)
    (problem,) = checked(text, store)
    assert (problem.line, problem.severity) == (4, "warning")
    assert "this machine has none" in problem.message
    monkeypatch.setattr(device_check, "_has_gpu", lambda: True)
    assert checked(text, store) == []


def test_warnings_of_the_text_are_kept(store: Path) -> None:
    (problem,) = checked(GOOD + "unused: 1\n", store)
    assert problem.severity == "warning"


def test_a_demo_market_is_not_made_for_a_check(tmp_path: Path) -> None:
    task = load_task("market: demo:instruments=500,seed=99\nmodel: lightgbm\n")
    settings = Settings().with_(**task.settings, cache_dir=tmp_path)
    assert check_task(task, settings) == []
    assert list(tmp_path.iterdir()) == []
    for text, message in (
        ("universe: dmeo\n", "no universe 'dmeo'"),
        ("benchmark: SH000300\n", "no benchmark 'SH000300'"),
        ("features: {A: $clsoe}\n", "no field $clsoe"),
    ):
        wrong = load_task("market: demo:instruments=500,seed=99\nmodel: lightgbm\n" + text)
        (problem,) = check_task(wrong, settings)
        assert message in problem.message
        assert problem.line == 3
    with pytest.raises(ConfigError):
        load_task("market: 3\nmodel: lightgbm\n")
    wrong = load_task("market: demo:instrumets=500\nmodel: lightgbm\n")
    assert "unknown argument 'instrumets'" in check_task(wrong, Settings().with_(**wrong.settings))[0].message


def test_a_broken_calendar_is_a_problem_of_the_provider(tmp_path: Path) -> None:
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "day.txt").write_text("2018-01-02\n2018-01-01\n")
    (problem,) = checked(GOOD, tmp_path)
    assert "out of order" in problem.message
    assert problem.line == 1


def test_the_real_market_in_under_two_seconds_without_heavy_libraries(
    cn_data: Path, yardstick: Callable[[], float]
) -> None:
    workflow = Path(__file__).resolve().parents[2] / "workflows" / "lightgbm_inline.yaml"
    code = f"""
import sys
from pathlib import Path
from qnb.task.spec import load_task
from qnb.check import check_task
from qnb.config import Settings
task = load_task(Path({str(workflow)!r}).read_text(), overrides=("qlib_init.provider_uri={cn_data}",))
print(len(check_task(task, Settings().with_(**task.settings))))
print(*[m for m in ("pandas", "numba", "lightgbm", "torch", "mlflow", "scipy", "plotly") if m in sys.modules])
"""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=90)
        seconds.append(time.perf_counter() - began)
        assert out.stdout.split("\n")[:2] == ["0", ""]
    assert min(seconds) < 200 * yardstick()  # about 50 on an idle machine
