"""Run by the peer's own Python: its backtest of each case, written to a folder.

python peer_backtest.py CASES.json SIGNALS DATA OUT

The function `target` is shared with the test, which runs it through our WeightStrategyBase.
"""

import json
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
warnings.filterwarnings("ignore")


def target(score, current):  # type: ignore[no-untyped-def]
    """Target weights of the weight cases: the best 20 by 1 / rank, and half of what is held of the others."""
    top = score.sort_values(ascending=False).index[:20]
    weights = {name: 0.55 / (i + 1) / 3.6 for i, name in enumerate(top)}
    for name, weight in sorted(current.get_stock_weight_dict(only_stock=False).items()):
        if name not in weights and weight > 0.02:
            weights[name] = weight / 2
    return weights


def _strategy(case, signal):  # type: ignore[no-untyped-def]
    from qlib.contrib.strategy import TopkDropoutStrategy, WeightStrategyBase
    from qlib.contrib.strategy.order_generator import OrderGenWInteract, OrderGenWOInteract

    class Weighted(WeightStrategyBase):
        def generate_target_weight_position(self, score, current, trade_start_time, trade_end_time):  # type: ignore
            return target(score, current)

    if case["weights"]:
        generator = {"by_last_close": OrderGenWOInteract, "by_fill_price": OrderGenWInteract}[case["weights"]]
        return Weighted(signal=signal, order_generator_cls_or_obj=generator)
    return TopkDropoutStrategy(signal=signal, **case["strategy"])


def run(case, signals, out):  # type: ignore[no-untyped-def]
    import numpy as np
    import pandas as pd
    from qlib.backtest import backtest
    from qlib.backtest.executor import SimulatorExecutor

    signal = pd.read_parquet(signals / f"{case['signal']}.parquet")["score"]
    exchange = dict(case["exchange"])
    for name in ("limit_threshold", "volume_threshold"):
        value = exchange.get(name)
        if isinstance(value, list):
            exchange[name] = tuple(value)
        elif isinstance(value, dict):
            exchange[name] = {k: tuple(v) for k, v in value.items()}
    if case["seed"] is not None:
        np.random.seed(case["seed"])
        draw = np.random.RandomState.choice

        def choice(a, size=None, replace=True):  # type: ignore[no-untyped-def]
            # names stay str: the peer's indicators refuse a mixture of str and numpy's str_
            return np.array(list(a), dtype=object)[draw(np.random.mtrand._rand, len(a), size, replace=replace)]

        np.random.choice = choice
    executor = SimulatorExecutor(time_per_step="day", generate_portfolio_metrics=True, **case["executor"])
    metrics, indicators = backtest(
        start_time=case["start"],
        end_time=case["end"],
        strategy=_strategy(case, signal),
        executor=executor,
        benchmark=case["benchmark"],
        account=case["account"],
        exchange_kwargs=exchange,
    )
    report, positions = metrics["1day"]
    report.to_parquet(out / f"{case['name']}.report.parquet")
    indicators["1day"][0].astype(float).to_parquet(out / f"{case['name']}.indicators.parquet")
    rows = [
        (day, name, v["amount"], v["price"], v["weight"], v.get("count_day", 0))
        for day, position in positions.items()
        for name, v in position.position.items()
        if isinstance(v, dict)
    ]
    columns = ["datetime", "instrument", "amount", "price", "weight", "count_day"]
    pd.DataFrame(rows, columns=columns).to_parquet(out / f"{case['name']}.positions.parquet")


if __name__ == "__main__":
    import qlib

    qlib.init(provider_uri=sys.argv[3], region="cn", kernels=1, logging_level=logging.ERROR)
    for one in json.loads(Path(sys.argv[1]).read_text()):
        try:
            run(one, Path(sys.argv[2]), Path(sys.argv[4]))
        except Exception:  # noqa: BLE001 - told by the test of that case
            (Path(sys.argv[4]) / f"{one['name']}.error").write_text(traceback.format_exc())
