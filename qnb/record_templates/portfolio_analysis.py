"""What trading on the predictions would have given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..backtest import BacktestResult, backtest_from_config, indicator_analysis
from ..config import current_settings
from ..data.provider import open_store
from ..errors import ConfigError, Problem
from ..events import Progress
from ..metrics.risk import risk_analysis
from ..task.component import build_component
from ._base import RecordTemplate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PortAnaRecord", "risk_frames", "risk_metrics"]

DEFAULT_CONFIG: Mapping[str, Any] = {
    "strategy": {"class": "TopkDropoutStrategy", "kwargs": {"signal": "<PRED>", "topk": 50, "n_drop": 5}},
    "backtest": {
        "start_time": None,
        "end_time": None,
        "account": 1e8,
        "benchmark": "SH000300",
        "exchange_kwargs": {
            "limit_threshold": 0.095,
            "deal_price": "close",
            "open_cost": 0.0005,
            "close_cost": 0.0015,
            "min_cost": 5,
        },
    },
}
EVERY = 20


class PortAnaRecord(RecordTemplate):
    """Backtests the predictions and analyses the result, below ``portfolio_analysis``.

    Artifacts: ``report_normal_1day``, ``positions_normal_1day``, ``indicators_normal_1day``, ``port_analysis_1day``,
    ``indicator_analysis_1day`` and the order ledger ``orders_1day``. Metrics:
    ``1day.excess_return_{without,with}_cost.{mean,std,annualized_return,information_ratio,max_drawdown}`` and
    ``1day.{ffr,pa,pos}``.

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` of a SignalRecord.
    config : mapping
        ``strategy`` (class, module_path, kwargs; ``signal: <PRED>`` is the recorder's predictions), ``backtest``
        (start_time, end_time, account, benchmark, exchange_kwargs) and, if need be, ``executor``.
    risk_analysis_freq, indicator_analysis_freq : str or list, optional
        Frequencies to analyse; only ``day`` (``1day``) is there.
    indicator_analysis_method : {'mean', 'amount_weighted', 'value_weighted'}, optional
        How the daily indicators are averaged.
    skip_existing : bool
        Do nothing when the artifacts are there already.
    model, dataset : object, optional
        For strategies that want them.
    """

    artifact_path: ClassVar[str] = "portfolio_analysis"

    def __init__(
        self,
        recorder: Any = None,
        config: Mapping[str, Any] | None = None,
        risk_analysis_freq: str | Sequence[str] | None = None,
        indicator_analysis_freq: str | Sequence[str] | None = None,
        indicator_analysis_method: str | None = None,
        skip_existing: bool = False,
        model: Any = None,
        dataset: Any = None,
    ) -> None:
        super().__init__(recorder, skip_existing)
        self.config = config if config is not None else DEFAULT_CONFIG
        self.risk_analysis_freq = risk_analysis_freq
        self.indicator_analysis_freq = indicator_analysis_freq
        self.indicator_analysis_method = indicator_analysis_method
        self.model = model
        self.dataset = dataset
        for name in ("risk_analysis_freq", "indicator_analysis_freq"):
            _only_daily(getattr(self, name), name)

    def compute(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Run the backtest once and analyse it."""
        result = self._backtest(self.load("pred.pkl"))
        analysis = risk_frames(result.report)
        indicators = indicator_analysis(result.indicators, method=self.indicator_analysis_method or "mean")
        artifacts = {
            "report_normal_1day.pkl": result.report,
            "positions_normal_1day.pkl": result.positions,
            "indicators_normal_1day.pkl": result.indicators,
            "orders_1day.pkl": result.orders,
            "port_analysis_1day.pkl": analysis,
            "indicator_analysis_1day.pkl": indicators,
        }
        metrics = risk_metrics(analysis)
        metrics |= {f"1day.{name}": float(value) for name, value in indicators["value"].items()}
        return artifacts, metrics

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        stems = (
            "report_normal",
            "positions_normal",
            "indicators_normal",
            "orders",
            "port_analysis",
            "indicator_analysis",
        )
        return [f"{stem}_1day.pkl" for stem in stems]

    def _backtest(self, pred: pd.DataFrame) -> BacktestResult:
        settings = current_settings()
        inject = {"model": self.model, "dataset": self.dataset}

        def build(config: Any) -> Any:
            return build_component(config, "strategy", inject={k: v for k, v in inject.items() if v is not None})

        def progress(done: int, total: int) -> None:
            if done % EVERY == 0 or done == total:
                self._emit(Progress(stage="portfolio", step=done, total=total, unit="day"))

        return backtest_from_config(
            self.config, signal=pred, store=open_store(settings), region=settings.region, build=build, progress=progress
        )


def risk_frames(report: pd.DataFrame) -> pd.DataFrame:
    """Return the risk analysis of the excess return before and after cost, one column ``risk``, two index levels."""
    import pandas as pd

    excess = report["return"] - report["bench"]
    return pd.concat(
        {
            "excess_return_without_cost": risk_analysis(excess, freq="day"),
            "excess_return_with_cost": risk_analysis(excess - report["cost"], freq="day"),
        }
    )


def risk_metrics(analysis: pd.DataFrame) -> dict[str, float]:
    """Return the rows of `risk_frames` as metrics ``1day.<return>.<measure>``."""
    return {f"1day.{kind}.{measure}": float(value) for (kind, measure), value in analysis["risk"].items()}


def _only_daily(freq: str | Sequence[str] | None, name: str) -> None:
    for one in [freq] if isinstance(freq, str) else freq or ():
        if one not in ("day", "1day", "d", "1d"):
            raise ConfigError([Problem(f"{name} {one!r}: only daily backtests can be analysed", "write day", name)])
