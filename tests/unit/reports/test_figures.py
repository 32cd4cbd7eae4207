"""Each figure: its numbers against a plain computation, its drawing in both themes, and its size."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb import registry
from qnb.reports.figure_spec import SECTIONS, FigureSpec, all_figures
from qnb.reports.figures.autocorrelation import autocorrelation_data
from qnb.reports.figures.cumulative import cumulative_data
from qnb.reports.figures.drawdown import drawdown_data
from qnb.reports.figures.groups import groups_data
from qnb.reports.figures.holdings import holdings_data
from qnb.reports.figures.ic import ic_data
from qnb.reports.figures.ic_months import ic_months_data
from qnb.reports.figures.long_short import long_short_data
from qnb.reports.figures.months import months_data
from qnb.reports.figures.rolling import rolling_data
from qnb.reports.figures.turnover import turnover_data
from qnb.reports.material import Material, Returns, returns_of, scores_of
from qnb.reports.theme import colour_map
from qnb.reports.types import ReportInput

Sample = Callable[..., ReportInput]
SPECS = all_figures()


def frame_of(returns: Returns) -> pd.DataFrame:
    return pd.DataFrame({"after": returns.after, "excess": returns.excess}, index=pd.DatetimeIndex(returns.dates))


@pytest.fixture
def returns(sample: Sample) -> Returns:
    found = Material(sample()).returns
    assert found is not None
    return found


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
@pytest.mark.parametrize("mode", ["sum", "product"])
def test_a_figure_draws_the_same_in_both_themes_but_for_the_colours(
    spec: FigureSpec, mode: str, sample: Sample
) -> None:
    data = spec.compute(Material(sample(), mode=mode))  # type: ignore[arg-type]
    light, dark = (spec.draw(data, theme=theme).to_json() for theme in ("light", "dark"))
    mapped = light
    for one, other in sorted(colour_map().items()):
        mapped = mapped.replace(f'"{one}"', f'"{other}"').replace(f"color:{one}", f"color:{other}")
    assert json.loads(mapped) == json.loads(dark)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_a_figure_says_in_a_sentence_what_it_shows(spec: FigureSpec, sample: Sample) -> None:
    figure = spec.draw(spec.compute(Material(sample())))
    meta = figure.layout.meta
    assert meta["title"]
    assert meta["aria"].endswith(".")
    assert any(c.isdigit() for c in meta["aria"])
    assert "nan" not in figure.to_json().lower()
    assert spec.section in SECTIONS


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_twelve_years_stay_small(spec: FigureSpec, sample: Sample) -> None:
    given = sample(days=3000)
    figure = spec.draw(spec.compute(Material(given)))
    assert len(figure.to_json()) < 150_000


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_data_is_frozen_and_nothing_makes_no_figure(spec: FigureSpec, sample: Sample) -> None:
    data = spec.compute(Material(sample()))
    with pytest.raises(FrozenInstanceError):
        setattr(data, fields(data)[0].name, None)
    assert spec.compute(Material(ReportInput("nothing"))) is None


def test_figures_come_by_section_and_order() -> None:
    names = [spec.name for spec in SPECS]
    assert names[:2] == ["cumulative", "drawdown"]
    assert len(set(names)) == len(names)
    assert {"excess", "turnover", "months", "rolling", "ic", "ic_months", "groups", "long_short", "autocorrelation",
            "holdings"} < set(names)  # fmt: skip


def test_cumulative_sums_or_compounds_each_series_on_its_own(returns: Returns) -> None:
    summed, compounded = cumulative_data(returns), cumulative_data(returns, mode="product")
    assert summed.after[-1] == pytest.approx(sum(returns.after))
    assert summed.excess is not None
    assert summed.excess[-1] == pytest.approx(summed.after[-1] - summed.bench[-1])  # type: ignore[index]
    growth = 1.0
    for r in returns.after:
        growth *= 1 + r
    assert compounded.after[-1] == pytest.approx(growth - 1)


def test_drawdown_spells_match_a_walk_over_the_days(returns: Returns) -> None:
    data = drawdown_data(returns, count=3)
    curve = np.cumsum(returns.main)
    high, depth = -np.inf, []
    for value in curve:
        high = max(high, value)
        depth.append(value - high)
    assert data.depth == pytest.approx(np.array(depth))
    first = data.worst[0]
    assert first.depth == pytest.approx(min(depth))
    assert curve[first.peak] == pytest.approx(max(curve[: first.trough + 1]))
    if first.recovered is not None:
        assert curve[first.recovered] >= curve[first.peak] - 1e-12
        assert first.days == first.recovered - first.peak
    assert first.bench == pytest.approx(
        float(np.sum(returns.bench[first.peak + 1 : (first.recovered or len(curve) - 1) + 1]))  # type: ignore[index]
    )
    assert [s.depth for s in data.worst] == sorted(s.depth for s in data.worst)


def test_months_sum_to_the_years_and_miss_what_was_not_traded(returns: Returns) -> None:
    data = months_data(returns)
    monthly = frame_of(returns)["excess"].groupby(pd.DatetimeIndex(returns.dates).to_period("M")).sum()
    for period, value in monthly.items():
        assert data.values[period.year - data.years[0], period.month - 1] == pytest.approx(value)
    assert data.totals == pytest.approx(np.nansum(data.values, axis=1))
    assert np.isnan(data.values[-1, 11])
    assert f"{int((monthly > 0).sum())} of {len(monthly)} months above zero" in data.sentence


def test_rolling_ratios_are_those_of_the_last_window(returns: Returns) -> None:
    data = rolling_data(returns, window=100)
    assert data is not None
    last = returns.main[-100:]
    assert data.information_ratio is not None
    assert data.information_ratio[-1] == pytest.approx(last.mean() / last.std(ddof=1) * 238**0.5)
    assert np.isnan(data.sharpe[:99]).all()
    assert np.isfinite(data.sharpe[99:]).all()


def test_rolling_takes_a_shorter_window_for_a_short_test_and_none_for_a_few_days(sample: Sample) -> None:
    def window(days: int) -> int | None:
        found = rolling_data(Material(sample(days=days)).returns)  # type: ignore[arg-type]
        return None if found is None else found.window

    assert (window(400), window(300), window(100)) == (238, 59, None)


def test_turnover_begins_when_the_first_purchase_has_left_its_window(sample: Sample) -> None:
    report = sample().report.copy()  # type: ignore[union-attr]
    report.loc[report.index[:2], "turnover"] = [0.0, 0.9]
    data = turnover_data(returns_of(report))
    assert data is not None
    assert np.isnan(data.turnover[:21]).all()
    assert np.nanmax(data.turnover) == pytest.approx(0.2)
    assert data.cost[-1] == pytest.approx(report["cost"].sum())


def test_groups_and_long_short_match_a_sort_of_each_day(sample: Sample) -> None:
    given = sample(days=30)
    scores = scores_of(given.pred, given.label)  # type: ignore[arg-type]
    assert scores is not None
    groups, long_short = groups_data(scores), long_short_data(scores)
    both = pd.concat([given.pred, given.label["LABEL0"]], axis=1).dropna()  # type: ignore[index]
    active = np.zeros(5)
    spread = 0.0
    for _, day in both.groupby(level="datetime"):
        ordered = day.sort_values("score", ascending=False)["LABEL0"].to_numpy()
        parts = [ordered[np.arange(len(ordered)) * 5 // len(ordered) == g] for g in range(5)]
        active += [part.mean() - ordered.mean() for part in parts]
        spread += parts[0].mean() - parts[-1].mean()
    assert groups is not None
    assert long_short is not None
    assert groups.values[-1] == pytest.approx(active)
    assert long_short.values[-1] == pytest.approx(spread)


def test_autocorrelation_is_the_mean_rank_correlation_of_two_days(sample: Sample) -> None:
    scores = scores_of(sample(days=12).pred, None)  # type: ignore[arg-type]
    assert scores is not None
    data = autocorrelation_data(scores, lags=3)
    assert data is not None
    ranked = pd.DataFrame(scores.scores).rank(axis=1)
    pairs = [np.corrcoef(ranked.iloc[t], ranked.iloc[t + 2])[0, 1] for t in range(10)]
    assert data.values[1] == pytest.approx(np.mean(pairs))
    one_day = replace(scores, dates=scores.dates[:1], scores=scores.scores[:1])
    assert autocorrelation_data(one_day) is None


def test_ic_means_leave_missing_days_out(sample: Sample) -> None:
    material = Material(sample())
    assert material.ic is not None
    assert material.rank_ic is not None
    ic = material.ic.copy()
    ic[100:103] = np.nan
    assert material.scores is not None
    data = ic_data(material.scores.dates, ic, rank_ic=material.rank_ic)
    assert data.ic_mean[130] == pytest.approx(np.nanmean(ic[71:131]))
    months = ic_months_data(material.scores.dates, ic)
    assert months.total[-1] == pytest.approx(np.nansum(ic))
    first = material.scores.dates.astype("datetime64[M]") == months.months[0]
    assert months.means[0] == pytest.approx(np.nanmean(ic[first]))


def test_daily_ic_is_the_correlation_over_the_instruments_of_the_day(sample: Sample) -> None:
    given = sample(days=5)
    material = Material(given)
    both = pd.concat([given.pred, given.label["LABEL0"]], axis=1).dropna()  # type: ignore[index]
    for method, found in (("pearson", material.ic), ("spearman", material.rank_ic)):
        expected = [day["score"].corr(day["LABEL0"], method=method) for _, day in both.groupby(level="datetime")]
        assert found == pytest.approx(expected)


def test_holdings_count_names_not_cash(sample: Sample) -> None:
    material = Material(sample())
    data = holdings_data(material.given.report, material.holdings)  # type: ignore[arg-type]
    assert data is not None
    assert set(data.names) == {5.0}  # type: ignore[arg-type]
    assert data.invested == pytest.approx(np.full(300, 0.95))
    assert holdings_data(material.given.report[["return"]], None) is None  # type: ignore[index]


def test_positions_are_read_from_columns_or_index_and_under_both_names_of_the_day(sample: Sample) -> None:
    positions = sample(days=3).positions
    assert positions is not None
    indexed = positions.set_index(["datetime", "instrument"])
    peer = positions.rename(columns={"datetime": "date"})
    for form in (indexed, peer):
        counted = Material(sample(days=3, positions=form)).holdings
        assert counted is not None
        assert counted.tolist() == [5, 5, 5]


def test_scores_may_come_with_the_levels_the_other_way_round(sample: Sample) -> None:
    given = sample(days=4)
    turned = given.pred.reorder_levels(["instrument", "datetime"]).sort_index()  # type: ignore[union-attr]
    straight, other = Material(given), Material(replace(given, pred=turned))
    assert other.ic == pytest.approx(straight.ic)


def test_the_example_of_the_documentation_is_a_figure(tmp_path: Path, sample: Sample) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how_to" / "add_a_figure.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert source is not None
    path = tmp_path / "traded.py"
    path.write_text(source[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("qnb.reports.figures.example_of_the_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        figure = module.FIGURE.draw(module.FIGURE.compute(Material(sample())))
    finally:
        del sys.modules[spec.name]
    assert figure.layout.meta["aria"] == "Value traded since the first day: 6,000\xa0% of the account at the end."


def test_other_packages_add_figures_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more_figures.py").write_text(
        "from qnb.reports.figure_spec import FigureSpec\n"
        "EXTRA = FigureSpec('extra', 'signal', 5, lambda m: None, lambda d, theme='light': None)\n"
    )
    (tmp_path / "more-1.0.dist-info").mkdir()
    (tmp_path / "more-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (tmp_path / "more-1.0.dist-info" / "entry_points.txt").write_text("[qnb.figure]\nextra = more_figures:EXTRA\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_entry_points", registry._entry_points.__wrapped__)
    names = [spec.name for spec in all_figures()]
    assert names.index("extra") == names.index("ic") - 1
