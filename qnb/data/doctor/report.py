"""What the data doctor found: as data, as a frame and as text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .checks import CHECKS, SEVERITIES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DoctorReport", "Finding", "sorted_findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one instrument, universe or calendar.

    Attributes
    ----------
    check : str
        Key in `CHECKS`.
    subject : str
        Symbol, universe or file.
    days : int
        Days (rows, lines) on which it occurs.
    first, last : str
        First and last of these days; '' where a day makes no sense.
    value : str
        What was found, on the first or the worst of these days.
    """

    check: str
    subject: str
    days: int = 1
    first: str = ""
    last: str = ""
    value: str = ""

    @property
    def severity(self) -> str:
        """``error``, ``warning`` or ``note``."""
        return CHECKS[self.check].severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """All that the doctor found in a store.

    Attributes
    ----------
    store, freq : str
        What was looked at.
    findings : tuple of Finding
        Worst first.
    facts : mapping of str to str
        What the store holds, for the head of the report.
    seconds : float
        How long it took.
    """

    store: str
    freq: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, severity: str) -> int:
        """Return the number of findings of a severity."""
        return sum(f.severity == severity for f in self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.count("error") == 0

    @property
    def exit_status(self) -> int:
        """0 without errors, 1 with errors; warnings and notes do not count."""
        return 0 if self.ok else 1

    def of(self, check: str) -> tuple[Finding, ...]:
        """Return the findings of one check."""
        return tuple(f for f in self.findings if f.check == check)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a finding: severity, check, subject, days, first, last, value, remedy."""
        import pandas as pd

        columns = ["severity", "check", "subject", "days", "first", "last", "value", "remedy"]
        rows = [
            (f.severity, f.check, f.subject, f.days, f.first, f.last, f.value, CHECKS[f.check].remedy)
            for f in self.findings
        ]
        return pd.DataFrame(rows, columns=columns)

    def render(self, *, limit: int | None = 3) -> str:
        """Return the report as text, worst first; at most `limit` subjects for each check (None: all)."""
        facts = ", ".join(f"{value} {name}" for name, value in self.facts.items())
        lines = [f"{self.store} ({self.freq}): {facts}", self._verdict()]
        for check in CHECKS:
            found = self.of(check)
            if found:
                lines += ["", *_section(check, found, limit)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()

    def _verdict(self) -> str:
        if not self.findings:
            return f"Nothing to complain about ({self.seconds:.1f} s)."
        parts = []
        for severity in SEVERITIES:
            found = [f for f in self.findings if f.severity == severity]
            if found:
                kinds = len({f.check for f in found})
                parts.append(f"{_plural(len(found), severity)} of {_plural(kinds, 'kind')}")
        return f"{', '.join(parts)} ({self.seconds:.1f} s)."


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return `findings` worst first: by severity, check, number of days, subject."""
    order = {check: i for i, check in enumerate(CHECKS)}
    return tuple(
        sorted(
            findings,
            key=lambda f: (SEVERITIES.index(f.severity), order[f.check], -f.days, f.subject, f.first),
        )
    )


def _section(check: str, found: tuple[Finding, ...], limit: int | None) -> list[str]:
    about = CHECKS[check]
    days = sum(f.days for f in found)
    subjects = len({f.subject for f in found})
    dated = any(f.first for f in found)
    extent = f"{subjects:,} affected" + (f", {_plural(days, 'day')}" if dated else "")
    lines = [f"{about.severity.upper():<8}{about.title}: {extent}  [{check}]"]
    shown = found if limit is None else found[:limit]
    width = max(len(f.subject) for f in shown)
    lines += [f"        {f.subject:<{width}}  {_when(f)}{f.value}".rstrip() for f in shown]
    if len(shown) < len(found):
        lines.append(f"        ... and {len(found) - len(shown):,} more")
    lines += _shared_day(found)
    lines += textwrap.wrap(about.remedy, 100, initial_indent="      > ", subsequent_indent="        ")
    return lines


def _shared_day(found: tuple[Finding, ...]) -> list[str]:
    """A line on the day that most single-day findings share, if it stands out: then it is one fault, not many."""
    count = Counter(f.first for f in found if f.first and f.days == 1)
    if not count:
        return []
    day, n = count.most_common(1)[0]
    if n < 5 or n < 0.2 * len(found):
        return []
    return [f"        {n:,} of {len(found):,} are on {day}: look at that day first"]


def _when(f: Finding) -> str:
    if not f.first:
        return ""
    if f.days == 1:
        return f"{f.first}  "
    return f"{f.days:,} days {f.first} .. {f.last}  "


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word}" + ("" if n == 1 else "s")
