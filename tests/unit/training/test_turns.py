"""Fits in threads of one process: the numbers of each are those that it has alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from qnb.errors import RunStopped
from qnb.events import Event, LogLine
from qnb.models.lightgbm import LGBModel
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset
from qnb.training.turns import Turns


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make all calls in threads that start together, and return what they return."""
    gate = threading.Barrier(len(calls))

    def work(call: Callable[[], Any]) -> Any:
        gate.wait(20)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result(120) for done in [pool.submit(work, call) for call in calls]]


def test_the_like_minded_are_in_together_and_the_others_in_their_order() -> None:
    turns, order = Turns("it"), list[str]()
    both, leave = threading.Barrier(3), threading.Event()

    def first() -> None:
        with turns.take("a", FitContext()), turns.take("what else it wants itself", FitContext()):
            both.wait(20)
            assert leave.wait(20)
            order.append("first")

    def later(wish: str, waits: threading.Event) -> None:
        with turns.take(wish, FitContext(emit=lambda _: waits.set())):
            order.append(wish)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(first), pool.submit(first)]
        both.wait(20)
        for wish in "ba":
            waits = threading.Event()
            done.append(pool.submit(later, wish, waits))
            assert waits.wait(20), "who came last does not overtake who wants something else"
        leave.set()
        for one in done:
            one.result(20)
    assert order == ["first", "first", "b", "a"]


def test_who_waits_says_so_and_stops_when_asked() -> None:
    turns, events = Turns("it"), list[Event]()
    waits = threading.Event()

    def emit(event: Event) -> None:
        events.append(event)
        waits.set()

    def wait() -> None:
        with pytest.raises(RunStopped), turns.take(2, FitContext(emit=emit, should_stop=waits.is_set)):
            raise AssertionError("it is taken")

    with turns.take(1, FitContext()):
        at_once(wait)
    assert [e.text for e in events if isinstance(e, LogLine)] == [
        "waits until another run in this process is done with it"
    ]
    with turns.take(3, FitContext()):
        pass  # nothing is left of the one that gave up


def test_lightgbm_has_the_threads_of_each_fit() -> None:
    data = SyntheticDataset(days=60, instruments=80)
    curves: dict[int, list[Any]] = {1: [], 2: []}

    def fit(threads: int) -> list[float]:
        evals: dict[str, Any] = {}
        model = LGBModel(num_boost_round=30, num_leaves=31, early_stopping_rounds=0, num_threads=threads, seed=1)
        model.fit(data, context=FitContext(threads=2, seed=1), evals_result=evals)
        model.predict(data, context=FitContext(threads=2))
        return [*evals["train"]["l2"], *evals["valid"]["l2"]]

    alone = {threads: fit(threads) for threads in curves}
    for _ in range(3):
        for threads, curve in zip((1, 2, 1, 2), at_once(*[lambda t=t: fit(t) for t in (1, 2, 1, 2)]), strict=True):  # type: ignore[misc]
            assert curve == alone[threads]


def test_networks_have_their_own_random_numbers_and_leave_torch_as_it_was() -> None:
    torch = pytest.importorskip("torch")
    from qnb.models.mlp import DNNModelPytorch

    data = SyntheticDataset(days=40, instruments=30)

    def fit(seed: int) -> np.ndarray:
        model = DNNModelPytorch(
            max_steps=30, batch_size=128, seed=seed, GPU=None, pt_model_kwargs={"input_dim": 6, "layers": [16]}
        )
        return model.fit(data, context=FitContext(threads=1 + seed % 2)).predict(data).to_numpy()

    before = torch.get_num_threads(), torch.random.get_rng_state()
    alone = [fit(seed) for seed in range(4)]
    for found, expected in zip(at_once(*[lambda s=s: fit(s) for s in range(4)]), alone, strict=True):  # type: ignore[misc]
        np.testing.assert_array_equal(found, expected)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
