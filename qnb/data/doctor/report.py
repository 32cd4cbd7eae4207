"""What the data doctor can find, and its report as data, as a frame and as text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHECKS", "SEVERITIES", "Check", "DoctorReport", "Finding"]

SEVERITIES = ("error", "warning", "note")
"""Error: results will be wrong or a run will fail. Warning: likely a fault, look at it. Note: good to know."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the doctor looks for: how bad it is, what it is called and what to do about it."""

    severity: str
    title: str
    remedy: str


CHECKS: Mapping[str, Check] = {
    "calendar_missing": Check("error", "No calendar", "Import the data again; without a calendar nothing can be read."),
    "calendar_unreadable": Check(
        "error", "Lines of the calendar that are no date", "Correct the line (2020-01-31), or import the data again."
    ),
    "calendar_duplicate": Check(
        "error",
        "Days that the calendar has twice",
        "Values are stored by position: do not just delete the line, import the data again.",
    ),
    "calendar_unsorted": Check(
        "error",
        "Days of the calendar out of order",
        "Values are stored by position: do not just sort the file, import the data again.",
    ),
    "truncated": Check("error", "Files that are torn", "Import these instruments again (qnb data import --update)."),
    "bad_start": Check(
        "error",
        "Files that start at no day of the calendar",
        "The calendar is older than the file or another one: bring both from one source, or import again.",
    ),
    "too_long": Check(
        "error",
        "Files that reach beyond the end of the calendar",
        "The calendar is older than the files: what lies beyond is not read. Bring both from one source.",
    ),
    "no_data": Check("error", "Instruments without a single file", "Import them, or remove the empty folder."),
    "upper_case": Check(
        "error",
        "Folders in upper case, which no reader of this layout finds",
        "Rename the folder to lower case; symbols stay upper case in the universes.",
    ),
    "not_positive": Check(
        "error",
        "Prices that are zero or negative",
        "Returns become infinite there. Set these days to NaN (suspended) or correct the source, then import again.",
    ),
    "infinite": Check("error", "Infinite values", "Set them to NaN or correct the source, then import again."),
    "high_below_low": Check(
        "error", "High below low", "One of the two is wrong; correct the source, then import these instruments again."
    ),
    "negative_volume": Check("error", "Negative volume", "Correct the source, then import these instruments again."),
    "bad_factor": Check(
        "error", "Factors that are zero or negative", "Prices and lots are divided by it; import again."
    ),
    "universe_unreadable": Check(
        "error", "Lines of universes that cannot be read", "Write SYMBOL, first and last day, separated by tabs."
    ),
    "universe_empty": Check("error", "Universes without a line", "Remove the file or fill it."),
    "span_reversed": Check("error", "Spans that end before they start", "Exchange the two days."),
    "twins": Check("warning", "Instruments with the same closes", "Probably one file was imported under two names."),
    "dead_day": Check(
        "warning",
        "Days of the calendar on which hardly anything has a price",
        "Probably no trading day, or a day whose import failed. Import the day, or import again without it.",
    ),
    "calendar_weekend": Check(
        "warning", "Single days on weekends in the calendar", "Is it a trading day? If not, import again."
    ),
    "calendar_gap": Check(
        "warning",
        "Calendar without a day for weeks",
        "Import the missing days (qnb data import --update).",
    ),
    "span_overlap": Check(
        "warning", "Spans of one instrument that overlap", "Join them into one line; rows are not doubled, but check."
    ),
    "no_universe_all": Check(
        "warning", "Instruments with data that the universe all does not have", "Add them to instruments/all.txt."
    ),
    "universe_no_data": Check(
        "warning",
        "Members of universes without data",
        "They are left out of every run: a survivorship bias if they were delisted. Import them, or remove the lines.",
    ),
    "span_no_data": Check(
        "warning",
        "Spans of membership without a single price",
        "These members count but have no rows: import the years, or shorten the span.",
    ),
    "split": Check(
        "warning",
        "Jumps like a split that the factor does not know",
        "If there was a split, the history before it is not adjusted: import with an adjusted close or a factor.",
    ),
    "factor_jump": Check(
        "warning",
        "Adjusted prices that jump with the factor",
        "Prices seem not to be multiplied by the factor, or twice: compare --prices raw and adjusted of the import.",
    ),
    "jump": Check(
        "warning", "Prices that jump by half or more in a day", "Compare with another source; adjust or correct it."
    ),
    "outside_range": Check(
        "warning",
        "Open, close or vwap outside low and high",
        "Features of the day's range are off there; often prices of one field are adjusted and others not.",
    ),
    "change_differs": Check(
        "warning",
        "Change that is not close / last close - 1",
        "Price limits in backtests go by change: import without the column, it is computed then.",
    ),
    "factor_unknown": Check(
        "warning",
        "Factor unknown on days with a price",
        "One such day turns off rounding to lots for a whole backtest (compat mode). Fill it from the day before.",
    ),
    "partial_row": Check(
        "warning",
        "Days with a close but without other fields",
        "Features of these fields are NaN there. Import the missing column, or set the whole day to NaN.",
    ),
    "no_trade": Check(
        "warning",
        "Price changes without volume",
        "A price moved on a day on which nothing was traded: correct volume or price.",
    ),
    "stale": Check(
        "warning",
        "The same price for weeks although there is volume",
        "Often a vendor fills gaps with the last price; set these days to NaN.",
    ),
    "all_nan": Check("warning", "Fields without a single value", "Remove the file or import the field."),
    "missing_field": Check(
        "warning",
        "Fields that most instruments have and these do not",
        "A missing field is read as NaN on all days: import it for these instruments too.",
    ),
    "misaligned": Check(
        "warning",
        "Fields of one instrument that do not span the same days",
        "Import these instruments again, so that all fields come from one table.",
    ),
    "group_unknown": Check("note", "Groups that name instruments without data", "Remove the lines if you want."),
    "ungrouped": Check(
        "note", "Instruments that a grouping does not name", "Group-neutral operators give NaN for them."
    ),
    "span_outside": Check(
        "note",
        "Spans of membership that reach beyond the data",
        "Harmless if the instrument was listed later or delisted earlier; otherwise import the missing days.",
    ),
    "gap": Check(
        "note",
        "Long gaps (suspensions)",
        "Normal for suspensions of trading. If trading went on, the days are missing: import them.",
    ),
    "jump_after_gap": Check(
        "note",
        "Prices that jump over a gap",
        "Normal after a restructuring; check that splits in the gap are in the factor.",
    ),
    "idle": Check(
        "note",
        "Days with a price but without volume",
        "A backtest takes them for tradable. If they are suspensions, set the price to NaN on these days.",
    ),
}
"""Key of a finding -> what it means; in the order of the report."""


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
