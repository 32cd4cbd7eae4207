"""What the data doctor looks for: how bad each thing is, what it is called, what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CHECKS", "SEVERITIES", "Check"]

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
