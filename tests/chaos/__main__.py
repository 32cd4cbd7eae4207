"""Kill -9 at random moments, on full disks, with a database that stops: what is left must be whole.

``python -m tests.chaos --rounds 100 --seed 1`` plays rounds one after the other and prints a line for each;
``--round 17`` repeats one of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import disk, server
from .play import play
from .rounds import Round, make_round, make_rounds
from .server import Database


def main() -> int:
    """Return 0 when no round showed a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill -9 and look what is left.")
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="how many; default 100")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the list of rounds; default 1")
    parser.add_argument("--only", choices=["plain", "disk", "database"], default="", help="rounds of one kind")
    parser.add_argument("--round", type=int, metavar="K", help="round K of the seed alone, counted from 0")
    parser.add_argument("--keep", action="store_true", help="keep the folders of good rounds, too")
    options = parser.parse_args()
    rounds = make_rounds(options.rounds, options.seed, only=options.only)
    if options.round is not None:
        rounds = [make_round(options.round, options.seed)]
    skipped = {"disk": disk.missing(), "database": server.missing()}
    played: Counter[str] = Counter()
    faults = 0
    with _database(rounds, skipped) as database:
        for number in rounds:
            if skipped.get(number.kind):
                print(f"{number.title} skipped: {skipped[number.kind]}", flush=True)
                continue
            base = Path(tempfile.mkdtemp(prefix="chaos-"))  # short, as socket paths must be
            outcome = play(number, base, database)
            print(outcome.line, flush=True)
            played[number.kind] += 1
            played["killed"] += outcome.killed
            faults += bool(outcome.faults)
            if outcome.faults:
                print(f"    kept in {base}", flush=True)
            elif not options.keep:
                shutil.rmtree(base, ignore_errors=True)
    killed = played.pop("killed", 0)
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(played.items()))
    print(f"{sum(played.values())} rounds ({kinds}), {killed} kills, {faults} with faults")
    return int(faults > 0)


@contextmanager
def _database(rounds: list[Round], skipped: dict[str, str]) -> Iterator[Database | None]:
    """Run a server if a round needs one."""
    if skipped["database"] or all(r.kind != "database" for r in rounds):
        yield None
        return
    with Database.running() as database:
        yield database


if __name__ == "__main__":
    sys.exit(main())
