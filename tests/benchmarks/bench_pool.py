"""The pool: latency, warm start, stopping and draining a queue, overhead on a training, memory that workers share.

Usage: python -m tests.benchmarks.bench_pool [--tasks 500] [--seconds 60] [--only latency warm stop drain overhead
memory dataset]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from qnb.config import Settings
from qnb.handle import RunHandle
from qnb.pool.tickets import Ticket
from qnb.session import Session

MODEL = '''
import os
import time
import numpy as np
import pandas as pd
from qnb.errors import RunStopped
from qnb.events import MetricLogged


class Nap:
    """Sleeps, then ends."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds

    def fit(self, dataset, context=None):
        time.sleep(self.seconds)

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Work(Nap):
    """Computes a fixed number of steps on one thread, tells each like a training does, and how long it took."""

    def __init__(self, steps: int = 100) -> None:
        self.steps = steps

    def fit(self, dataset, context=None):
        began, cpu = time.perf_counter(), time.process_time()
        x = np.random.default_rng(0).normal(size=200_000)
        for i in range(self.steps):
            for _ in range(20):
                np.sort(x)
            context.emit(MetricLogged(name="l2.valid", value=1.0 / (i + 1), step=i))
            if context.should_stop():
                raise RunStopped("on request")
        context.emit(MetricLogged(name="cpu", value=time.process_time() - cpu))
        context.emit(MetricLogged(name="seconds", value=time.perf_counter() - began))


class Mapped(Nap):
    """Reads a whole matrix that is mapped from a file, and says what memory is its own afterwards."""

    def __init__(self, path: str = "", seconds: float = 3.0) -> None:
        self.path, self.seconds = path, seconds

    def fit(self, dataset, context=None):
        from qnb.machine import private_memory
        before = private_memory(os.getpid())
        matrix = np.load(self.path, mmap_mode="r")
        total = sum(float(matrix[i : i + 10_000].sum()) for i in range(0, len(matrix), 10_000))
        context.emit(MetricLogged(name="total", value=total))
        time.sleep(self.seconds)
        context.emit(MetricLogged(name="private", value=float(private_memory(os.getpid()) - before)))


class Rows(Nap):
    """Reads the rows of the segments as our own models do, chunk by chunk, and says what memory is its own then."""

    def __init__(self, key: str = "learn", seconds: float = 3.0) -> None:
        self.key, self.seconds = key, seconds

    def fit(self, dataset, context=None):
        from qnb.machine import private_memory
        samples = [dataset.sample(name, data_key=self.key) for name in ("train", "valid")]
        total = sum(np.nansum(s.x[i : i + 16384]) for s in samples for i in range(0, len(s), 16384))
        time.sleep(self.seconds)
        context.emit(MetricLogged(name="total", value=float(total)))
        context.emit(MetricLogged(name="bytes", value=float(sum(s.x.nbytes + s.y.nbytes for s in samples))))
        context.emit(MetricLogged(name="private", value=float(private_memory(os.getpid()))))


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {}

    def prepare(self, segments, **kwargs): ...
'''


class Bench:
    """A session in a folder of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        os.environ["QNB_WORKERS"] = str(workers)
        self.folder = folder
        (folder / "bench_model.py").write_text(MODEL, encoding="utf-8")
        os.chdir(folder)
        self.session = Session(Settings(work_dir=folder))

    def submit(self, model: str, **kwargs: object) -> RunHandle:
        """Queue a run of a model above."""
        inner = ", ".join(f"{k}: {v!r}" for k, v in kwargs.items())
        text = (
            f"qlib_init: {{provider_uri: demo, recorder_uri: 'memory:x'}}\ntask:\n"
            f"  model: {{class: {model}, module_path: bench_model.py, kwargs: {{{inner}}}}}\n"
            "  dataset: {class: Data, module_path: bench_model.py}\n  record: []\n"
        )
        task, settings, _ = self.session.load(text, source="bench")
        return self.session.submit(task, settings, name="bench", ticket=Ticket("", "", retries=0))

    def close(self) -> None:
        """End the pool."""
        pool = self.session.pool()
        self.session.close()
        pool.wait_gone(30)


def latency(options: argparse.Namespace) -> int:
    """Measure submit to the worker's first event, warm."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 1)
        began = time.time()
        first = bench.submit("Nap", seconds=0).wait(120)
        cold = first.state.started - began
        spans = []
        for _ in range(options.repeat):
            began = time.time()
            run = bench.submit("Nap", seconds=0)
            spans.append(time.time() - began)
            run.wait(60)
            spans[-1] = run.state.started - began
        bench.close()
    spans.sort()
    middle = statistics.median(spans) * 1e3
    print(f"submit to first event, cold {cold:.2f} s; warm, of {len(spans)}: median {middle:.1f}"
          f" ms, slowest {spans[-1] * 1e3:.1f} ms")  # fmt: skip
    return _target("submit to first event, warm median", statistics.median(spans), 0.05, "s")


def warm(options: argparse.Namespace) -> int:
    """Measure how soon a worker is ready again after the one before was killed."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 1)
        run = bench.submit("Nap", seconds=0).wait(120)
        spans = []
        for _ in range(max(5, options.repeat // 4)):
            psutil.Process(run.state.pid).kill()
            began = time.perf_counter()
            run = bench.submit("Nap", seconds=0)
            while run.status in ("waiting", "running") and not run.state.started:
                time.sleep(0.001)
            spans.append(time.perf_counter() - began)
            run.wait(60)
            time.sleep(0.3)
        bench.close()
    print("worker killed to the next one at work: " + ", ".join(f"{s:.2f}" for s in spans) + " s")
    return _target("warm worker ready by forking", statistics.median(spans), 1.0, "s")


def stop(options: argparse.Namespace) -> int:
    """Stop all of a queue: 300 runs that wait and two that are going."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 2)
        going = [bench.submit("Work", steps=1_000_000) for _ in range(2)]
        while not all(run.state.curves for run in going):
            time.sleep(0.05)
        began = time.perf_counter()
        for _ in range(300):
            bench.submit("Nap", seconds=0)
        queued = time.perf_counter() - began
        began = time.perf_counter()
        runs = bench.session.going()
        for run in runs:
            run.stop()
        for run in runs:
            run.wait(120)
        seconds = time.perf_counter() - began
        assert len(runs) == 302
        bench.close()
    print(f"300 waiting runs queued in {queued:.2f} s, stopped with two that were going in {seconds:.2f} s")
    return _target("300 waiting and two going runs stopped", seconds, 10.0, "s")


def drain(options: argparse.Namespace) -> int:
    """Drain a queue of one-second tasks with two workers."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 2)
        for run in [bench.submit("Nap", seconds=0.5) for _ in range(2)]:
            run.wait(120)
        began = time.perf_counter()
        runs = [bench.submit("Nap", seconds=1.0) for _ in range(options.tasks)]
        queued = time.perf_counter() - began
        for run in runs:
            run.wait(options.tasks * 4)
        seconds = time.perf_counter() - began
        assert all(run.status == "finished" for run in runs)
        bench.close()
    ideal = options.tasks / 2
    print(
        f"{options.tasks} tasks of 1 s on two workers: {seconds:.1f} s, ideal {ideal:.1f} s; queued in {queued:.2f} s"
    )
    missed = _target(f"{options.tasks} tasks queued", queued, options.tasks / 100, "s")
    return missed + _target("share of the ideal, short of one", 1 - ideal / seconds, 0.05, "")


def overhead(options: argparse.Namespace) -> int:
    """Compare a training in a bare process with the same one in a worker, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 1)
        sys.path.insert(0, folder)
        bench.submit("Work", steps=5).wait(120)
        model = __import__("bench_model").Work
        probe = _alone(model(10))
        steps = max(10, int(10 * options.seconds / probe / options.rounds / 2))
        alone, pooled, whole, cpu = [], [], [], []
        for _ in range(options.rounds):
            before = time.process_time()
            alone.append(_alone(model(steps)))
            before = time.process_time() - before
            began = time.perf_counter()
            run = bench.submit("Work", steps=steps).wait(600)
            whole.append(time.perf_counter() - began)
            pooled.append(run.metrics["seconds"])
            cpu.append(run.metrics["cpu"] / before - 1)
        bench.close()
    ratio = statistics.median(p / a for p, a in zip(pooled, alone, strict=True)) - 1
    print(f"the same fit alone {statistics.median(alone):.2f} s, in a worker {statistics.median(pooled):.2f} s, "
          f"submit to result {statistics.median(whole):.2f} s; rounds "
          + ", ".join(f"{p / a - 1:+.2%}" for p, a in zip(pooled, alone, strict=True)))  # fmt: skip
    # On a machine with other work the processor's time says more: all threads of the worker are in it.
    print("processor time of the worker beyond that of the bare process: " + ", ".join(f"{c:+.2%}" for c in cpu))
    return _target("overhead on a training", ratio, 0.01, "")


def _alone(model: object) -> float:
    class Context:
        def emit(self, event: object) -> None: ...

        def should_stop(self) -> bool:
            return False

    began = time.perf_counter()
    model.fit(None, context=Context())  # type: ignore[attr-defined]
    return time.perf_counter() - began


def memory(options: argparse.Namespace) -> int:
    """Have four workers read one mapped dataset at the same time; what each has for itself is told."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 4)
        path = Path(folder) / "matrix.npy"
        matrix = np.lib.format.open_memmap(path, mode="w+", dtype="float32", shape=(options.megabytes * 1000, 262))
        matrix[:] = 1.0
        size = matrix.nbytes
        del matrix
        runs = [bench.submit("Mapped", path=str(path)) for _ in range(4)]
        for run in runs:
            run.wait(180)
        own = [run.metrics["private"] for run in runs]
        together = len({run.state.pid for run in runs})
        bench.close()
    print(f"dataset {size / 1e6:.0f} MB, {together} workers; memory of its own each: "
          + ", ".join(f"{o / 1e6:.1f}" for o in own) + " MB")  # fmt: skip
    return _target("extra private memory of a worker, as a share of the dataset", max(own) / size, 0.15, "")


def dataset(options: argparse.Namespace) -> int:
    """Have four workers read Alpha158 of one market; what each has beyond a worker that reads a tiny market is told.

    Rows to predict are contiguous and mapped; rows to learn from have gaps (no label), so they are gathered.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 4)

        def submit(market: str, key: str) -> RunHandle:
            model = f"{{class: Rows, module_path: bench_model.py, kwargs: {{key: {key}}}}}"
            text = f"market: {market!r}\nmodel: {model}\nfeatures: Alpha158\nrecords: []\n"
            task, settings, _ = bench.session.load(text, source="bench")
            return bench.session.submit(task, settings, name="bench")

        large, missed = "demo:instruments=300,years=12", 0
        submit(large, "learn").wait(600)  # computes the features, which stay in the cache
        for key in ("infer", "learn"):
            tiny = submit("demo:instruments=20,years=12", key).wait(600)
            runs = [submit(large, key) for _ in range(4)]
            for run in runs:
                run.wait(600)
                assert run.status == "finished", run.error
            size, together = runs[0].metrics["bytes"], len({run.state.pid for run in runs})
            own = [run.metrics["private"] - tiny.metrics["private"] for run in runs]
            print(f"Alpha158, {key}: {size / 1e6:.0f} MB, {together} workers; beyond a tiny market each: "
                  + ", ".join(f"{o / 1e6:.1f}" for o in own) + " MB")  # fmt: skip
            missed += _target(f"extra private memory of a worker, rows to {key}", max(own) / size, 0.15, "")
        bench.close()
    return missed


def _target(name: str, value: float, target: float, unit: str) -> int:
    met = value <= target
    print(f"{name:<60} {value:8.4f} {unit:<2} target {target:g} {unit}   {'met' if met else 'MISSED'}")
    return int(not met)


PARTS: dict[str, Callable[[argparse.Namespace], int]] = {
    "latency": latency, "warm": warm, "stop": stop, "drain": drain, "overhead": overhead, "memory": memory,
    "dataset": dataset,
}  # fmt: skip


def main() -> int:
    """Run the parts; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="of training in all for the overhead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--megabytes", type=int, default=500, help="of the dataset that workers share")
    parser.add_argument("--only", nargs="*", choices=[*PARTS], default=[*PARTS])
    options = parser.parse_args()
    missed, home = 0, Path.cwd()
    for name in options.only:
        missed += PARTS[name](options)
        os.chdir(home)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
