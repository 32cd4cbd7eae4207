"""What trading on the predictions would have given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..backtest import BacktestResult, indicator_analysis
from ..backtest.config import DEFAULT_CONFIG, backtest_from_config
from ..config import Settings
from ..data.facade import D
from ..data.provider import open_store
from ..errors import ConfigError, Problem
from ..events import Emit, LogLine, Progress
from ..task.component import build_component
from ._base import Recorded, RecordTemplate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PortAnaRecord"]

FREQ = "1day"
_DAILY = ("day", "1day", "d", "1d")
_METHODS = ("mean", "amount_weighted", "value_weighted")


class PortAnaRecord(RecordTemplate):
    """Backtests the predictions and analyses the result, below ``portfolio_analysis``.

    Artifacts: ``report_normal_1day``, ``positions_normal_1day``, ``indicators_normal_1day``, ``port_analysis_1day``,
    ``indicator_analysis_1day`` and the order ledger ``orders_1day``; see `qnb.backtest.BacktestResult`. Metrics:
    ``1day.excess_return_{without,with}_cost.{mean,std,annualized_return,information_ratio,max_drawdown}``, summed
    returns with 238 days a year (`qnb.metrics.risk.risk_analysis`), and ``1day.{ffr,pa,pos}``.

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` of a SignalRecord.
    config : mapping
        ``strategy`` (class, module_path, kwargs; ``signal: <PRED>`` is the recorder's predictions), ``backtest``
        (start_time, end_time, account, benchmark, exchange_kwargs, mode) and, if need be, ``executor``. Default: the 50
        best by turns of 5 against SH000300.
    risk_analysis_freq, indicator_analysis_freq : str or list, optional
        Frequencies to analyse; only ``day`` (``1day``) is there.
    indicator_analysis_method : {'mean', 'amount_weighted', 'value_weighted'}, optional
        How the daily indicators are averaged; default ``mean``.
    skip_existing : bool
        Do nothing when the artifacts are there already.
    model, dataset : object, optional
        For strategies whose constructor takes them.

    settings : Settings, optional
        Where the market data is, and the region's defaults; given in a run, else those of `qnb.init`.
    """

    stage: ClassVar[str] = "portfolio"
    title: ClassVar[str] = "Portfolio"
    trades: ClassVar[bool] = True
    artifact_path: ClassVar[str] = "portfolio_analysis"
    needs: ClassVar[Any] = (("pred.pkl", "SignalRecord"),)

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
        settings: Settings | None = None,
    ) -> None:
        super().__init__(recorder, skip_existing)
        self.settings = settings
        self.config = DEFAULT_CONFIG if config is None else config
        self.risk_analysis_freq = risk_analysis_freq
        self.indicator_analysis_freq = indicator_analysis_freq
        self.indicator_analysis_method = indicator_analysis_method
        self.model = model
        self.dataset = dataset
        problems = [
            *_not_daily("risk_analysis_freq", risk_analysis_freq),
            *_not_daily("indicator_analysis_freq", indicator_analysis_freq),
        ]
        if indicator_analysis_method not in (None, *_METHODS):
            message = f"indicator_analysis_method {indicator_analysis_method!r} is not known"
            problems.append(Problem(message, f"valid: {', '.join(_METHODS)}", "indicator_analysis_method"))
        if problems:
            raise ConfigError(problems)

    def compute(self, emit: Emit) -> Recorded:
        """Run the backtest and analyse it.

        Raises
        ------
        BacktestError
            When it cannot be run as asked.
        """
        return self._analysed(self.backtest(self.load("pred.pkl"), emit=emit))

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        stems = (
            "report_normal", "positions_normal", "indicators_normal", "port_analysis", "indicator_analysis", "orders",
        )  # fmt: skip
        return [f"{stem}_{FREQ}.pkl" for stem in stems]

    def backtest(self, pred: pd.DataFrame, *, config: Mapping[str, Any] | None = None, emit: Emit) -> BacktestResult:
        """Backtest `pred`, by default as the record's own configuration says; days done go to `emit`."""
        settings = D.settings if self.settings is None else self.settings
        inject = {k: v for k, v in (("model", self.model), ("dataset", self.dataset)) if v is not None}

        def build(description: Any, family: str) -> Any:
            return build_component(description, family, inject=inject)

        def progress(done: int, total: int) -> None:
            emit(Progress(stage=self.stage, step=done, total=total, unit="day"))

        result = backtest_from_config(
            config or self.config, signal=pred, store=open_store(settings), region=settings.region, build=build,
            progress=progress,
        )  # fmt: skip
        for note in result.notes:
            emit(LogLine(text=note, level="warning", stage=self.stage))
        return result

    def _analysed(self, result: BacktestResult) -> Recorded:
        analysis = result.analysis()
        indicators = indicator_analysis(result.indicators, method=self.indicator_analysis_method or "mean")
        frames = {
            **result.to_frames(),
            f"port_analysis_{FREQ}": analysis,
            f"indicator_analysis_{FREQ}": indicators,
        }
        metrics = _risk_metrics(analysis)
        metrics |= {f"{FREQ}.{name}": float(value) for name, value in indicators["value"].items()}
        return Recorded({f"{name}.pkl": frame for name, frame in frames.items()}, metrics)


def _risk_metrics(analysis: pd.DataFrame) -> dict[str, float]:
    """Return the rows of a risk analysis as metrics ``1day.<return>.<measure>``."""
    return {f"{FREQ}.{'.'.join(key)}": float(v) for key, v in zip(analysis.index, analysis["risk"], strict=True)}


def _not_daily(name: str, freq: str | Sequence[str] | None) -> list[Problem]:
    asked = [freq] if isinstance(freq, str) else list(freq or ())
    return [
        Problem(f"{name} {one!r}: backtests are daily, and so is their analysis", "write day", name)
        for one in asked
        if str(one).lower() not in _DAILY
    ]
