"""What is wrong with a workflow is told at once, each with its line and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.errors import ConfigError, Problem
from qnb.task.booster_parameters import BOOSTER_PARAMETERS
from qnb.task.filters import FILTERS
from qnb.task.portfolio import BACKTEST, EXCHANGE
from qnb.task.spec import Task, load_task

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
GOOD = (WORKFLOWS / "lightgbm_alpha158.yaml").read_text()
GBDT = "class: LGBModel\n    module_path: qlib.contrib.model.gbdt"
LAST = "  instruments: *market"


def problems_of(text: str, *, first_line: int = 1, base_dir: Path | None = None) -> list[Problem]:
    try:
        return list(load_task(text, first_line=first_line, base_dir=base_dir).warnings)
    except ConfigError as error:
        return list(error.problems)


def test_the_good_one_is_good() -> None:
    assert problems_of(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        (GBDT, "class: §LGBModell\n    module_path: qlib.contrib.model.gbdt", "qnb has no LGBModell", "'LGBModel'"),
        (GBDT, "class: §lightgmb", "no model 'lightgmb'", "'lightgbm'"),
        (GBDT, "class: §Alpha158", "no model 'Alpha158'", "is a handler"),
        (GBDT, "class: LGBModel\n    module_path: §qlib.contrib.model.gbtd", "no module", "'qlib.contrib.model.gbdt'"),
        (GBDT, "class: §3", "class must be a name, received 3", ""),
        ("class: Alpha158", "class: §Alpha159", "qnb has no Alpha159", "'Alpha158'"),
        ("learning_rate: 0.2", "§learning_rat: 0.2", "LGBModel takes no argument 'learning_rat'", "'learning_rate'"),
        ("loss: mse", "loss: §3", "loss of LGBModel must be text, received 3", "quotation marks"),
        ("    kwargs:\n      loss: mse", "    §kwarg:\n      loss: mse", "unknown key 'kwarg' in a model", "'kwargs'"),
        ("  model:\n", "  §modell:\n", "unknown key 'modell' in task", "'model'"),
        ("      segments:\n", "      §segmets:\n", "DatasetH takes no argument 'segmets'", "'segments'"),
        ("fit_end_time: 2014-12-31", "§fit_end: 2014-12-31", "Alpha158 takes no argument 'fit_end'", "'fit_end_time'"),
        (LAST, f"{LAST}\n  infer_processors: [§Filna]", "no processor 'Filna'", "'Fillna'"),
        (LAST, f"{LAST}\n  infer_processors: §Fillna", "infer_processors must be a list", ""),
        (
            LAST,
            f"{LAST}\n  infer_processors:\n    - {{class: Fillna, kwargs: {{§field_group: x}}}}",
            "Fillna takes no argument 'field_group'",
            "'fields_group'",
        ),
        (
            LAST,
            f"{LAST}\n  filter_pipe:\n    - {{filter_type: §NameFilter}}",
            "no filter 'NameFilter'",
            "'NameDFilter'",
        ),
        (LAST, f"{LAST}\n  filter_pipe:\n    - §{{filter_type: NameDFilter}}", "needs 'name_rule_re'", ""),
        (LAST, f"{LAST}\n  filter_pipe: §NameDFilter", "filter_pipe must be a list", ""),
        ("region: cn}", "§regoin: cn}", "unknown key 'regoin' in qlib_init", "'region'"),
        ("region: cn}", "region: §xx}", "unknown region 'xx'", "cn"),
        ("class: SigAnaRecord", "class: §SigAnaRecrod", "qnb has no SigAnaRecrod", "'SigAnaRecord'"),
        ("ann_scaler: 252", "§ann_scalar: 252", "SigAnaRecord takes no argument 'ann_scalar'", "'ann_scaler'"),
        ("ann_scaler: 252", "ann_scaler: §'252'", "must be a number", "remove the quotation marks"),
        ("class: TopkDropoutStrategy", "class: §TopkDropout", "qnb has no TopkDropout", "'TopkDropoutStrategy'"),
        ("topk: 50", "§topkk: 50", "TopkDropoutStrategy takes no argument 'topkk'", "'topk'"),
        ("n_drop: 5", "n_drop: §five", "n_drop of TopkDropoutStrategy must be a whole number", ""),
        ("n_drop: 5", "n_drop: §2.0", "n_drop of TopkDropoutStrategy must be a whole number", "write 2"),
        ("account: 100000000", "§acount: 100000000", "unknown key 'acount' in backtest", "'account'"),
        ("open_cost: 0.0005", "§opencost: 0.0005", "unknown key 'opencost' in exchange_kwargs", "'open_cost'"),
        ("open_cost: 0.0005", "open_cost: §-0.1", "open_cost must not be negative", ""),
        ("account: 100000000", "account: §0", "account must be above 0", ""),
        ("  backtest:\n", "  §mde: strict\n  backtest:\n", "unknown key 'mde' in config", "'mode'"),
        ("deal_price: close", "deal_price: §[close]", "deal_price must be a pair of expressions", ""),
        ("account: 100000000", "account: 1e8\n    §open_cost: 0.1", "unknown key 'open_cost'", "into exchange_kwargs"),
        ("{config: *port", "{§confg: *port", "PortAnaRecord takes no argument 'confg'", "'config'"),
    ],
)
def test_one_mistake_one_message(old: str, new: str, message: str, remedy: str) -> None:
    assert GOOD.count(old) == 1
    marked = GOOD.replace(old, new)
    line = marked[: marked.index("§")].count("\n") + 1
    text = marked.replace("§", "")
    (problem,) = problems_of(text, first_line=2)
    assert message in problem.message
    assert remedy in problem.remedy
    column = marked.split("\n")[line - 1].index("§") + 1
    quoted = text.split("\n")[line - 1][column - 1] == "'"
    containers = "[" in new and "received [" in problem.message
    assert (problem.line, problem.column) == (line + 1, column + quoted if not containers else problem.column)


def test_records_that_need_predictions() -> None:
    head = GOOD[: GOOD.index("  record:")]
    line = head.count("\n") + 2
    (problem,) = problems_of(f"{head}  record:\n    - SigAnaRecord\n    - SignalRecord\n")
    assert (problem.message, problem.line) == ("SigAnaRecord needs the predictions of a SignalRecord", line)
    (problem,) = problems_of(f"{head}  record:\n    class: PortAnaRecord\n")
    assert "PortAnaRecord needs" in problem.message
    assert problems_of(f"{head}  record: [SignalRecord, SigAnaRecord]\n") == []


def test_filters_of_a_universe() -> None:
    pipe = """\
  instruments:
    market: *market
    filter_pipe:
      - {filter_type: NameDFilter, name_rule_re: SH6, filter_start_time: 2010-01-01}
      - {filter_type: ExpressionDFilter, rule_expression: $close > 5, keep: false}
"""
    assert problems_of(GOOD.replace(LAST + "\n", pipe)) == []
    (problem,) = problems_of(GOOD.replace(LAST + "\n", pipe.replace("keep: false", "keeps: no")))
    assert (problem.message, problem.remedy) == ("ExpressionDFilter has no key 'keeps'", "did you mean 'keep'?")


def test_the_class_of_a_network() -> None:
    text = (WORKFLOWS / "general_windows.yaml").read_text()
    good, base = "qlib.contrib.model.pytorch_gru_ts.GRUModel", WORKFLOWS
    assert problems_of(text, base_dir=base) == []
    (problem,) = problems_of(text.replace(good, "qlib.contrib.model.pytorch_gru_ts.GRUModl"), base_dir=base)
    assert "qnb has no GRUModl" in problem.message
    assert problem.remedy == "did you mean 'GRUModel'?"
    assert problem.line == text[: text.index(good)].count("\n") + 1
    assert problems_of(text.replace(good, "GRUModel"), base_dir=base) == []


def test_all_problems_at_once_in_order_and_counted_from_the_cell() -> None:
    text = GOOD.replace("learning_rate", "learning_rat").replace("num_leaves: 210", "num_leave: 210")
    text = text.replace("      segments:\n", "      segmets:\n").replace("class: Alpha158\n", "class: Alpha15\n")
    problems = problems_of(text, first_line=2)
    lines = [p.line for p in problems]
    assert len(problems) >= 4
    assert lines == sorted(lines, key=lambda n: n or 0)
    first = next(n for n, t in enumerate(text.split("\n"), 2) if "learning_rat:" in t)
    assert lines[0] == first


def test_missing_parts() -> None:
    assert "there is no task" in problems_of("market: csi300\n")[0].message
    (problem,) = problems_of("tasks: {model: lightgbm}\n")
    assert problem.remedy == "is 'tasks' meant?"
    messages = [p.message for p in problems_of("task: {}\n")]
    assert messages == ["task without a model", "task without a dataset"]
    assert "task must be a mapping" in problems_of("task: lightgbm\n")[0].message
    (problem,) = problems_of(
        "task:\n  model:\n  dataset: {class: DatasetH, kwargs: {handler: Alpha158, segments: {}}}\n"
    )
    assert (problem.message, problem.line) == ("model is empty", 2)


def test_a_required_argument_is_missing() -> None:
    text = "task:\n  model: lightgbm\n  dataset:\n    class: DatasetH\n    kwargs:\n      handler: Alpha158\n"
    (problem,) = problems_of(text)
    assert "DatasetH needs 'segments'" in problem.message
    assert problem.line == 5


def test_unused_top_level_keys_are_warnings_unless_they_hold_anchors() -> None:
    assert problems_of(GOOD + "costs: &costs {a: 1}\nunused: [*costs]\n")[0].severity == "warning"
    (problem,) = problems_of(GOOD + "experiment_nam: mine\n")
    assert (problem.severity, problem.remedy) == ("warning", "did you mean 'experiment_name'?")
    assert (
        problems_of(GOOD.replace("task:\n", "extra: &extra 8\ntask:\n").replace("max_depth: 8", "max_depth: *extra"))
        == []
    )


def test_settings_of_the_peer_without_meaning_here_are_left_out() -> None:
    text = GOOD.replace("region: cn}", "region: cn, dataset_cache: null, maxtasksperchild: 1, kernels: 4}")
    assert set(load_task(text).settings) == {"provider_uri", "region", "kernels"}


def test_own_class_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom qnb.training.model import BaseModel\n\n"
        "class MyModel(BaseModel):\n    def __init__(self, size: int = 3, **kwargs):\n"
        "        super().__init__(**kwargs)\n\n"
        "class Strict:\n    def __init__(self, size: int):\n        self.size = size\n"
        "    def fit(self, dataset): ...\n    def predict(self, dataset): ...\n"
    )
    model = "class: LGBModel\n    module_path: qlib.contrib.model.gbdt\n    kwargs:\n"
    own = (
        GOOD[: GOOD.index(model)]
        + "class: {0}\n    module_path: mine.py\n    kwargs: {1}\n"
        + GOOD[GOOD.index("  dataset:\n") :]
    )

    def found(name: str, kwargs: str) -> list[str]:
        text = own.replace("{0}", name).replace("{1}", kwargs)
        return [p.message for p in problems_of(text, base_dir=tmp_path)]

    assert found("Strict", "{size: 3}") == []
    assert found("Strict", "{siz: 3}") == ["Strict takes no argument 'siz'"]
    assert found("Strict", "{}") == ["Strict needs 'size'"]
    assert found("Strict", "{size: big}") == ["size of Strict must be a whole number, received 'big'"]
    assert found("MyModl", "{}")[0].startswith("no class 'MyModl'")


def test_own_class_of_a_module_in_a_folder_of_sys(tmp_path: Path) -> None:
    (tmp_path / "lib" / "pack").mkdir(parents=True)
    (tmp_path / "lib" / "pack" / "__init__.py").write_text("raise RuntimeError('a check imports nothing')\n")
    net = "class Net:\n    fit = predict = None\n    def __init__(self, width=1):\n        pass\n"
    (tmp_path / "lib" / "pack" / "nets.py").write_text(net)
    text = "sys: {rel_path: lib}\n" + GOOD.replace(
        "class: LGBModel\n    module_path: qlib.contrib.model.gbdt", "class: pack.nets.Net"
    )
    problems = problems_of(text, base_dir=tmp_path)
    assert problems
    assert all("Net takes no argument" in p.message for p in problems)
    missing = problems_of(text.replace("pack.nets.Net", "packk.nets.Net"), base_dir=tmp_path)
    assert missing[0].message == "no module 'packk.nets'"


def test_files_that_are_missing_or_broken(tmp_path: Path) -> None:
    text = GOOD.replace("module_path: qlib.contrib.model.gbdt", "module_path: mine.py")
    (problem,) = problems_of(text, base_dir=tmp_path)
    assert "no file" in problem.message
    assert problem.line == next(n for n, t in enumerate(text.split("\n"), 1) if "mine.py" in t)
    (tmp_path / "mine.py").write_text("class LGBModel(:\n")
    (problem,) = problems_of(text, base_dir=tmp_path)
    assert "is no Python" in problem.message


def test_a_class_of_the_notebook_is_left_to_the_run() -> None:
    assert problems_of(GOOD.replace("module_path: qlib.contrib.model.gbdt", "module_path: __main__")) == []


def test_keys_of_the_backtest_are_those_of_the_engine() -> None:
    from qnb.backtest.config import BACKTEST_KEYS
    from qnb.backtest.spec import ExchangeSpec

    assert set(BACKTEST) == set(BACKTEST_KEYS)
    assert set(EXCHANGE) >= set(ExchangeSpec.__dataclass_fields__) - {"ffr_weight"}


def test_filters_are_those_of_the_engine() -> None:
    from qnb.data.filters import filter_from_config

    for kind, keys in FILTERS.items():
        values = {"name_rule_re": "SH", "rule_expression": "$close > 5", "keep": True}
        assert filter_from_config({"filter_type": kind, **{k: values.get(k) for k in keys}})


def test_booster_parameters_know_what_the_libraries_know() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    aliases = lightgbm.basic._ConfigAliases
    assert aliases.get(*aliases._get_all_param_aliases()) <= BOOSTER_PARAMETERS["LGBModel"]


def test_a_task_is_frozen() -> None:
    task = load_task(GOOD)
    assert isinstance(task, Task)
    with pytest.raises(AttributeError):
        task.name = "other"  # type: ignore[misc]
