"""Lays a report out as one HTML file that needs nothing else, and as a static fragment for a notebook.

Every text that comes from a run is escaped where it enters the page: names and numbers by `html.escape`, figures as
JSON in which no character can end a script element. Static pictures of the figures stand in the page from the start;
the script draws the live ones over them, and print and pages without a script keep the pictures.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from .. import __version__
from . import numbers
from .blocks import facts_block, figure_block, months_block, table_block
from .build import Report
from .script import report_script
from .theme import DARK, FONT, LIGHT, MONO, colour_map, css_variables, theme_of
from .types import Kpi, Phrase

__all__ = ["report_fragment", "report_html", "write_html"]


_HERE = Path(__file__).parent
_NO_PORTFOLIO = "No backtest: the task has no portfolio record. Add one to the task's records:"
_PORTFOLIO_YAML = """record:
  - class: SignalRecord
  - class: PortAnaRecord
    kwargs:
      config:
        strategy: {class: TopkDropoutStrategy, kwargs: {signal: <PRED>, topk: 50, n_drop: 5}}
        backtest: {start_time: 2017-01-01, end_time: 2020-08-01, account: 100000000, benchmark: SH000300}"""
_NO_SIGNAL = "No predictions: the task has no signal record."


def write_html(report: Report, path: str | Path, *, theme: str = "auto") -> Path:
    """Write `report` as one self-contained HTML file, atomically, and return its path.

    Parameters
    ----------
    report : Report
        What `build_report` returned.
    path : str or Path
        The file; its folder is made if need be.
    theme : {'auto', 'light', 'dark'}
        ``auto`` follows the reader's system. On paper it is always light.

    Raises
    ------
    UnknownNameError
        For another theme.
    OSError
        Where the file cannot be written; nothing half-written is left.
    """
    target = Path(path)
    text = report_html(report, theme=theme)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def report_html(report: Report, *, theme: str = "auto") -> str:
    """Return the page that `write_html` writes."""
    from plotly.offline import get_plotlyjs

    wish = "" if theme == "auto" else f' data-theme="{theme_of(theme).name}"'
    figures = report.drawn("light")
    return "".join(
        (
            f'<!DOCTYPE html>\n<html lang="en"{wish}>\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; img-src data: blob:; font-src data:\">\n",
            f'<meta name="generator" content="qnb {__version__}">\n<title>{escape(report.input.title)}</title>\n',
            f"<style>{_page_variables()}\n{_text('report.css')}{_text('print.css')}</style>\n</head>\n",
            '<body class="qnb-report"><div class="page">\n',
            _header(report),
            _kpis(report.kpis),
            *_sections(report, figures),
            _footer(report),
            "</div>\n",
            _figures_json(figures),
            f"<script>{get_plotlyjs()}</script>\n<script>{report_script()}\n",
            'qnbReport(document.querySelector(".qnb-report"), Plotly);</script>\n</body>\n</html>\n',
        )
    )


def report_fragment(report: Report, *, live: bool = False) -> str:
    """Return the heart of `report` as HTML with inline SVG, for a notebook.

    It follows JupyterLab's theme where it stands in one.

    Parameters
    ----------
    live : bool
        False: the main figures, needs neither script nor network. True: all figures, with places that
        ``qnbReport`` (see `qnb.reports.script`) draws them in; without it the static pictures are seen.
    """
    figures = report.drawn("light")
    wanted = ["cumulative", "drawdown", "ic_months", "groups"]
    if live:
        wanted += [spec.name for spec in report.specs if spec.name not in (*wanted, "months")]
    full = {spec.name for spec in report.specs if spec.full} | {"cumulative", "drawdown"}
    blocks = [figure_block(n, figures[n], full=n in full, live=live) for n in wanted if n in figures]
    if "months" in report.data:
        blocks.insert(sum(name in figures for name in wanted[:2]), months_block(report.data["months"]))
    names = ("summary", "signal_numbers", "worst_drawdowns") if live else ("summary", "signal_numbers")
    tables = [table_block(report.tables[n], full=n == "worst_drawdowns") for n in names if n in report.tables]
    return (
        f"<style>{_fragment_variables()}\n{_text('report.css')}</style>"
        f'<div class="qnb-report fragment"><div class="page"><h1>{escape(report.input.title)}</h1>'
        f"{_lead(report.lead)}{_kpis(report.kpis)}"
        f'<div class="grid">{"".join(blocks)}{"".join(tables)}</div></div>'
        f"{_figures_json(figures) if live else ''}</div>"
    )


def _figures_json(figures: Mapping[str, go.Figure]) -> str:
    specs = {name: figure.to_plotly_json() for name, figure in figures.items() if name != "months"}
    return (
        f'<script type="application/json" class="qnb-figures">{_json(specs)}</script>\n'
        f'<script type="application/json" class="qnb-dark">{_json(colour_map())}</script>\n'
    )


def _page_variables() -> str:
    fonts = f"--qnb-font:{FONT};--qnb-mono:{MONO};"
    light, dark = css_variables(LIGHT), css_variables(DARK)
    return (
        f":root{{{fonts}{light}color-scheme:light}}"
        "body{margin:0}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}color-scheme:dark}}}}"
    )


def _fragment_variables() -> str:
    font = f"--qnb-font:var(--jp-ui-font-family,{FONT});--qnb-mono:var(--jp-code-font-family,{MONO});"
    return (
        f".qnb-report{{{font}{css_variables(LIGHT, jupyter=True)}}}"
        f'[data-jp-theme-light="false"] .qnb-report{{{css_variables(DARK, jupyter=True)}}}'
    )


def _header(report: Report) -> str:
    given, run = report.input, report.input.run
    place = " / ".join(p for p in (run.experiment, run.run_id) if p)
    origin = " · ".join(p for p in ("Backtest report" if report.has_portfolio else "Report", run.name, place) if p)
    links = "".join(f'<a href="#{key}">{n} {escape(name)}</a>' for n, (key, name) in enumerate(_parts(report), start=1))
    return (
        f'<header><div><p class="origin">{escape(origin)}</p><h1>{escape(given.title)}</h1>{_lead(report.lead)}</div>'
        f'{facts_block(_head_facts(report))}</header>\n<nav aria-label="Sections">{links}</nav>\n'
    )


def _lead(lead: Iterable[Phrase]) -> str:
    words = "".join(f"<b>{escape(p.text)}</b>" if p.strong else escape(p.text) for p in lead)
    return f'<p class="lead">{words.strip()}</p>'


def _head_facts(report: Report) -> list[tuple[str, str]]:
    given, run = report.input, report.input.run
    facts = []
    if run.status:
        took = f", {numbers.duration(run.seconds)}" if run.seconds is not None else ""
        facts.append(("Status", run.status.capitalize() + took))
    if run.started is not None:
        facts.append(("Started", numbers.moment(run.started)))
    if given.made is not None:
        facts.append(("Made", numbers.moment(given.made)))
    traded = report.data["cumulative"].dates if "cumulative" in report.data else None
    for name, span in given.segments.items():
        if len(span) == 2:
            begin, end = numbers.month(span[0]), numbers.month(span[1])
            if name == "test" and traded is not None and len(traded):
                end = min(end, numbers.month(traded[-1]))  # a segment may reach past the last day of the data
            facts.append((name.capitalize(), f"{begin} to {end}"))
    if traded is not None:
        facts.append(("Days", f"{numbers.count(len(traded))}, {numbers.count(given.periods)} a year"))
    return facts


def _kpis(kpis: tuple[Kpi, ...]) -> str:
    if not kpis:
        return ""
    cells = "".join(
        f'<div class="kpi" tabindex="0"><dt>{escape(k.label)}</dt><dd class="value">{_spoken(k.value)}</dd>'
        f'<dd class="caption">{escape(k.caption)}</dd>'
        + (f'<dd class="tip" role="tooltip">{escape(k.formula)}</dd>' if k.formula else "")
        + "</div>"
        for k in kpis
    )
    if len(kpis) < 6:
        return f'<dl class="kpis few" style="--n:{len(kpis)}">{cells}</dl>\n'
    rest = "".join('<div class="kpi rest"></div>' for _ in range(-len(kpis) % 6))
    return f'<dl class="kpis">{cells}{rest}</dl>\n'


def _spoken(text: str) -> str:
    """Write a number so that a reader of the screen says 'minus'."""
    shown = escape(text)
    if text.startswith(numbers.MINUS):
        return f'<span role="text" aria-label="minus {escape(text[1:])}">{shown}</span>'
    return shown


def _parts(report: Report) -> list[tuple[str, str]]:
    parts = [("performance", "Performance"), ("signal", "Signal")]
    if report.has_portfolio:
        parts.append(("portfolio", "Portfolio"))
    if "orders" in report.tables:
        parts.append(("trades", "Trades"))
    if report.input.provenance or report.input.command:
        parts.append(("provenance", "Provenance"))
    return parts


def _sections(report: Report, figures: Mapping[str, go.Figure]) -> Iterable[str]:
    bodies = {
        "performance": _performance,
        "signal": _signal,
        "portfolio": _portfolio,
        "trades": _trades,
        "provenance": _provenance,
    }
    for n, (key, name) in enumerate(_parts(report), start=1):
        title = "Trades, with their reasons" if key == "trades" else name
        yield (
            f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}"><span class="n">{n}</span>{title}</h2>'
            f"{bodies[key](report, figures)}</section>\n"
        )


def _performance(report: Report, figures: Mapping[str, go.Figure]) -> str:
    if not report.has_portfolio:
        return f'<p class="absent">{_NO_PORTFOLIO}</p><pre>{escape(_PORTFOLIO_YAML)}</pre>'
    blocks = []
    for spec in report.specs:
        if spec.section != "performance" or spec.name in ("months", "excess"):
            continue
        if spec.name == "rolling":
            blocks.append(_summary_beside_months(report, figures))
        blocks.append(figure_block(spec.name, figures[spec.name], full=spec.full))
    if "rolling" not in report.data:
        blocks.append(_summary_beside_months(report, figures))
    if "worst_drawdowns" in report.tables:
        blocks.append(table_block(report.tables["worst_drawdowns"], full=True))
    return f'<div class="grid">{"".join(blocks)}</div>'


def _summary_beside_months(report: Report, figures: Mapping[str, go.Figure]) -> str:
    right = months_block(report.data["months"])
    if "excess" in figures:
        right += figure_block("excess", figures["excess"])
    return f'{table_block(report.tables["summary"])}<div class="stack wide">{right}</div>'


def _signal(report: Report, figures: Mapping[str, go.Figure]) -> str:
    blocks = [figure_block(s.name, figures[s.name], full=s.full) for s in report.specs if s.section == "signal"]
    if not blocks:
        return f'<p class="absent">{_NO_SIGNAL}</p>'
    if "signal_numbers" in report.tables:
        blocks.append(table_block(report.tables["signal_numbers"]))
    return f'<div class="grid">{"".join(blocks)}</div>'


def _portfolio(report: Report, figures: Mapping[str, go.Figure]) -> str:
    blocks = [figure_block(s.name, figures[s.name], full=s.full) for s in report.specs if s.section == "portfolio"]
    return f'<div class="grid">{"".join(blocks)}</div>'


def _trades(report: Report, figures: Mapping[str, go.Figure]) -> str:
    blocks = [table_block(report.tables[name], full=True) for name in ("orders", "reasons")]
    return f'<div class="grid">{"".join(blocks)}</div>'


def _provenance(report: Report, figures: Mapping[str, go.Figure]) -> str:
    columns = "".join(
        f"<div><h3>{escape(str(name))}</h3>{facts_block(facts.items())}</div>"
        for name, facts in report.input.provenance.items()
    )
    command = f"<pre>{escape(report.input.command)}</pre>" if report.input.command else ""
    return f'<div class="origins">{columns}</div>{command}'


def _footer(report: Report) -> str:
    known = report.input.provenance
    marks = (("Task", "Hash", "task"), ("Data", "Fingerprint", "data"))
    right = " · ".join(f"{word} {known[part][key][:8]}" for part, key, word in marks if key in known.get(part, {}))
    return (
        f"<footer><span>Made by qnb {__version__}. One file; it needs no network. Past returns say little of future "
        f"ones.</span><span>{escape(right)}</span></footer>\n"
    )


def _json(value: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
