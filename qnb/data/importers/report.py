"""What an import did, as data and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["BadFile", "ImportReport"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file, or a symbol of a long table, that was not imported, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes
    ----------
    source, store, freq : str
        Where from, where to, frequency.
    layout : str
        ``files`` or ``long``.
    new, changed, unchanged : int
        Instruments that were not in the store before, that were written again, that were the same already.
    rows : int
        Rows of good instruments that were read.
    days, added_days : int
        Length of the calendar, and how much of it is new.
    first, last : str
        First and last day or time of the calendar.
    fields : tuple of str
        Fields that were written.
    bad : tuple of BadFile
        What was not imported.
    notes : dict of str to tuple of str
        What was done that the user may want to know, with the symbols that it concerns.
    universes : dict of str to int
        Universes written and how many symbols each has.
    seconds : float
        How long it took.
    """

    source: str
    store: str
    freq: str
    layout: str
    new: int
    changed: int
    unchanged: int
    rows: int
    days: int
    added_days: int
    first: str
    last: str
    fields: tuple[str, ...]
    bad: tuple[BadFile, ...] = ()
    notes: dict[str, tuple[str, ...]]
    universes: dict[str, int]
    seconds: float = 0.0

    @property
    def imported(self) -> int:
        """Instruments that are in the store because of this import."""
        return self.new + self.changed + self.unchanged

    def render(self, *, limit: int | None = _SHOWN) -> str:
        """Return the report as text; at most `limit` bad files and five symbols a note (None: all)."""
        parts = [
            f"{n:,} {what}"
            for n, what in ((self.new, "new"), (self.changed, "changed"), (self.unchanged, "unchanged"))
            if n
        ]
        added = f" ({self.added_days:,} new)" if self.added_days < self.days else ""
        unit = "days" if self.freq == "day" else f"bars of {self.freq}"
        lines = [
            f"Imported {self.imported:,} instruments ({', '.join(parts) or 'nothing'}), {self.rows:,} rows, "
            f"in {self.seconds:.1f} s",
            f"  from      {self.source} ({'one file a symbol' if self.layout == 'files' else 'long table'})",
            f"  into      {self.store}",
            f"  calendar  {self.first} to {self.last}, {self.days:,} {unit}{added}",
            f"  fields    {' '.join(self.fields)}",
            "  universes " + ", ".join(f"{name} ({n:,})" for name, n in self.universes.items()),
        ]
        for note, symbols in self.notes.items():
            lines.append(f"  note      {note}{_whom(symbols, limit)}")
        if self.bad:
            lines += ["", f"Not imported: {len(self.bad):,}"]
            kept = self.bad if limit is None else self.bad[:limit]
            width = min(40, max(len(b.name) for b in kept))
            lines += [f"  {b.name:<{width}}  {b.reason}" for b in kept]
            if len(kept) < len(self.bad):
                lines.append(f"  ... and {len(self.bad) - len(kept):,} more")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def collect_notes(found: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return (symbol, note) pairs as note -> symbols, the most frequent note first; '' is no symbol."""
    order = Counter(note for _, note in found)
    return {note: tuple(s for s, n in found if n == note and s) for note, _ in order.most_common()}


def _whom(symbols: tuple[str, ...], limit: int | None) -> str:
    if not symbols:
        return ""
    shown = symbols if limit is None else symbols[:5]
    more = f", ... {len(symbols):,} in all" if len(shown) < len(symbols) else ""
    return f": {', '.join(shown)}{more}"
