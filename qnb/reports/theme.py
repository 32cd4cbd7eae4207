"""Colours, type and Plotly template of the two themes, and the same tokens as CSS variables.

Ground, text and rules come from JupyterLab's variables where a page has them; the values here are the fallback and the
report's own. Every colour of a figure is one of these tokens or a tint of one, so a figure drawn light becomes a dark
one by replacing colours (`colour_map`), without being drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from ..errors import UnknownNameError

__all__ = ["DARK", "FONT", "LIGHT", "MONO", "Theme", "colour_map", "css_variables", "template", "theme_of"]

FONT = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'

_JUPYTER = {
    "ground": "--jp-layout-color0",
    "soft": "--jp-layout-color1",
    "text": "--jp-ui-font-color1",
    "muted": "--jp-ui-font-color2",
    "rule": "--jp-border-color2",
    "accent": "--jp-brand-color1",
}


@dataclass(frozen=True, slots=True)
class Theme:
    """The tokens of one theme.

    Attributes
    ----------
    ground, soft, selected, text, muted, rule, control, grid, zero, accent : str
        Grounds, text, lines and the one accent, as ``#rrggbb``.
    run, excess, before, benchmark : str
        Series 1 to 4: this run after cost; excess; before cost; benchmark and context.
    fifth, sixth, seventh, eighth : str
        Series 5 to 8, only where runs are compared, with a dash each.
    drawdown : str
        Drawdown line; its area is the same at `area`.
    warning, warning_soft : str
        Text and ground of a warning.
    area, bar, heat : float
        Opacity of an area, of bars, and of the strongest cell of a heat map.
    """

    name: str
    ground: str
    soft: str
    selected: str
    text: str
    muted: str
    rule: str
    control: str
    grid: str
    zero: str
    accent: str
    run: str
    excess: str
    before: str
    benchmark: str
    fifth: str
    sixth: str
    seventh: str
    eighth: str
    drawdown: str
    warning: str
    warning_soft: str
    area: float = 0.2
    bar: float = 0.55
    heat: float = 0.46

    def tint(self, colour: str, opacity: float) -> str:
        """Return `colour` at `opacity` as ``rgba(r,g,b,a)``."""
        r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({r},{g},{b},{opacity:g})"


LIGHT = Theme(
    name="light",
    ground="#ffffff",
    soft="#f6f8fa",
    selected="#eaf3ff",
    text="#1b1f24",
    muted="#57606a",
    rule="#d8dee4",
    control="#868f99",
    grid="#e7ebef",
    zero="#a8b1ba",
    accent="#0969da",
    run="#0b62c4",
    excess="#ba500a",
    before="#5a2c76",
    benchmark="#68717b",
    fifth="#12493b",
    sixth="#966431",
    seventh="#7505e4",
    eighth="#b0306a",
    drawdown="#b3261e",
    warning="#744800",
    warning_soft="#fff4cf",
)

DARK = Theme(
    name="dark",
    ground="#111417",
    soft="#1a1f24",
    selected="#14273d",
    text="#e6edf3",
    muted="#9aa4ae",
    rule="#30363d",
    control="#6e7781",
    grid="#23292f",
    zero="#586069",
    accent="#58a6ff",
    run="#6cb2ff",
    excess="#f0953f",
    before="#d94fc8",
    benchmark="#9aa4ae",
    fifth="#1fdf67",
    sixth="#e6b99e",
    seventh="#b95bfa",
    eighth="#e8586a",
    drawdown="#ff8178",
    warning="#e3b341",
    warning_soft="#3a2d05",
    heat=0.62,
)

_THEMES = {"light": LIGHT, "dark": DARK}


def theme_of(theme: str | Theme) -> Theme:
    """Return the theme of that name, or the theme itself.

    Raises
    ------
    UnknownNameError
        For a name other than ``"light"`` and ``"dark"``.
    """
    if isinstance(theme, Theme):
        return theme
    if theme not in _THEMES:
        raise UnknownNameError("theme", theme, _THEMES, hint="valid: light, dark")
    return _THEMES[theme]


def colours(theme: Theme) -> dict[str, str]:
    """Return the theme's colours by token name."""
    return {f.name: v for f in fields(theme) if isinstance(v := getattr(theme, f.name), str) and v.startswith("#")}


@cache
def colour_map() -> dict[str, str]:
    """Return light colour -> dark colour, tints included, as they stand in a figure's JSON."""
    found: dict[str, str] = {}
    dark = colours(DARK)
    for token, light in colours(LIGHT).items():
        found[light] = dark[token]
        for here, there in ((LIGHT.area, DARK.area), (LIGHT.bar, DARK.bar), (LIGHT.heat, DARK.heat), (0.0, 0.0)):
            found[LIGHT.tint(light, here)] = DARK.tint(dark[token], there)
    return found


@cache
def css_names() -> dict[str, str]:
    """Return light colour -> CSS variable, for drawings that follow the page's theme."""
    return {light: f"--qnb-{token.replace('_', '-')}" for token, light in colours(LIGHT).items()}


def css_variables(theme: Theme, *, jupyter: bool = False) -> str:
    """Return the tokens as CSS declarations, ``--qnb-text:#1b1f24;…``.

    Parameters
    ----------
    jupyter : bool
        Let JupyterLab's own variables decide on grounds, text, rules and accent where the page has them.
    """
    parts = []
    for token, colour in colours(theme).items():
        value = f"var({_JUPYTER[token]},{colour})" if jupyter and token in _JUPYTER else colour
        parts.append(f"--qnb-{token.replace('_', '-')}:{value}")
    parts.append(f"--qnb-heat:{theme.heat:g}")
    return ";".join(parts) + ";"


@cache
def template(theme: Theme) -> dict[str, Any]:
    """Return the Plotly template of `theme`, as a plain dict; small, because every figure's JSON carries it."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.rule,
        "zerolinecolor": theme.zero,
        "zerolinewidth": 1,
        "tickfont": {"size": 11, "color": theme.muted},
        "title": {"font": {"size": 11, "color": theme.muted}},
        "automargin": False,
        "showline": False,
        "ticks": "",
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 11, "color": theme.text},
            "paper_bgcolor": theme.ground,
            "plot_bgcolor": theme.ground,
            "colorway": [theme.run, theme.excess, theme.before, theme.benchmark],
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": theme.ground,
                "bordercolor": theme.rule,
                "font": {"family": FONT, "size": 12, "color": theme.text},
            },
            "dragmode": "zoom",
            "showlegend": False,
            "separators": ".,",
            "xaxis": {**axis, "showgrid": False, "zeroline": False, "ticklabelstandoff": 5},
            "yaxis": {**axis, "fixedrange": True, "zeroline": True, "ticklabelstandoff": 6},
        }
    }
