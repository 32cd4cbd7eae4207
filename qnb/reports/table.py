"""A table as data, its HTML form and its form as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from .svg import sparkline

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cell", "Column", "Table", "table_html"]


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a column.

    Attributes
    ----------
    head : str
        Its word; '' for the column of row names.
    right : bool
        Numbers stand right, words left.
    strong, mono : bool
        Bold; in the code font.
    swatch : str
        Token of the theme (``"run"``) for a square before the head, '' for none.
    gap : bool
        More room before it: a second block of columns begins.
    """

    head: str
    right: bool = True
    strong: bool = False
    mono: bool = False
    swatch: str = ""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; what it shows is already written.

    Attributes
    ----------
    text : str
        Number or word.
    more : str
        Muted words after it.
    tone : str
        '' or ``"warning"`` or ``"muted"``.
    strong : bool
        Bold.
    spark : sequence of float, or None
        Values of a small curve that takes the place of the text.
    span : (low, high)
        Scale of that curve, common to its column.
    """

    text: str = ""
    more: str = ""
    tone: str = ""
    strong: bool = False
    spark: Sequence[float] | None = None
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report.

    Attributes
    ----------
    name, title, note : str
        Stable key, title, and what a reader must know beside it.
    columns : tuple of Column
    rows : tuple of tuple of Cell
        Each as long as `columns`.
    """

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the texts as a frame, curves left out."""
        import pandas as pd

        keep = [i for i in range(len(self.columns)) if not any(row[i].spark is not None for row in self.rows)]
        rows = [[" ".join(t for t in (row[i].text, row[i].more) if t) for i in keep] for row in self.rows]
        return pd.DataFrame(rows, columns=[self.columns[i].head for i in keep])


def table_html(table: Table) -> str:
    """Return the table as HTML; every text is escaped.

    The first column is the rows' head where its own head is empty.
    """
    head = "".join(_head(column) for column in table.columns)
    body = "".join(
        "<tr>" + "".join(_cell(c, col, i) for i, (c, col) in enumerate(zip(row, table.columns, strict=True))) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table><caption class="unseen">{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(column: Column) -> str:
    swatch = f'<i class="swatch" style="background:var(--qnb-{column.swatch})"></i>' if column.swatch else ""
    return f'<th scope="col"{_classes(replace(column, mono=False), Cell())}>{swatch}{escape(column.head)}</th>'


def _cell(cell: Cell, column: Column, place: int) -> str:
    if cell.spark is not None:
        return f'<td class="spark">{sparkline(cell.spark, low=cell.span[0], high=cell.span[1])}</td>'
    more = f' <span class="more">{escape(cell.more)}</span>' if cell.more else ""
    text = escape(cell.text)
    if cell.strong and cell.more:
        text = f"<b>{text}</b>"
    tag, scope = ("th", ' scope="row"') if place == 0 and not column.head else ("td", "")
    return f"<{tag}{scope}{_classes(column, cell)}>{text}{more}</{tag}>"


def _classes(column: Column, cell: Cell) -> str:
    names = [
        name
        for name, on in (
            ("r", column.right),
            ("strong", column.strong or (cell.strong and not cell.more)),
            ("mono", column.mono),
            ("gap", column.gap),
            (cell.tone, bool(cell.tone)),
        )
        if on
    ]
    return f' class="{" ".join(names)}"' if names else ""
