"""Matplotlib's figures as SVG that follows the reader's light or dark theme.

Colours become variables of plots.css and words stay words. A picture is whole as a file of its own, with
those variables inside, and goes into a page without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# Okabe and Ito's colours, as variables that a dark page makes lighter.
NAMES = {
    "#d55e00": "vermilion", "#e69f00": "orange", "#56b4e9": "sky", "#009e73": "green", "#0072b2": "blue",
    "#cc79a7": "purple",
}  # fmt: skip
DPI = 120  # of photographs inside
_SAVED: dict[Any, Any] = {
    "svg.hashsalt": "accel_logreg", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]
}  # fmt: skip


def to_svg(figure: Figure, titles: Mapping[str, str] | None = None) -> bytes:
    """The figure as a file of its own, on transparent ground; the same figure gives the same bytes.

    titles : gid of an artist → what a browser shows when the pointer rests on it.
    """
    buffer = BytesIO()
    with rc_context(_SAVED):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True, dpi=DPI)
    svg = buffer.getvalue().decode()
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<(\w+)[^>]*#[0-9a-f]{6}[^>]*>", _theme, svg).replace("xlink:href", "href")
    for gid, words in (titles or {}).items():
        svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(words)}</title>', 1)
    svg = re.sub(r"\n\s*", "\n", svg[svg.index("<svg") :])
    return svg.replace("<svg", '<svg class="plot"', 1).replace(">", f"><style>{theme()}</style>", 1).encode()


def inline(svg: bytes, name: str, title: str) -> str:
    """The element to put into a page that has the theme: ids made its own by ``name``, and a title."""
    text = re.sub(r"<style>.*?</style>", "", svg.decode(), count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    label = f"{name}-title"
    named = f'<title id="{label}">{escape(title)}</title>'
    return text.replace(">", f' role="img" aria-labelledby="{label}">{named}', 1)


@cache
def theme() -> str:
    """plots.css: the variables, for light and for dark."""
    return (files(__package__) / "plots.css").read_text(encoding="utf-8")


def _theme(tag: re.Match[str]) -> str:
    words = tag[1] in ("text", "tspan")
    return re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda colour: _variable(colour[0], words), tag[0])


def _variable(colour: str, words: bool) -> str:
    if colour in NAMES:
        return f"var(--{NAMES[colour]}{'-text' if words else ''})"
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    if not red == green == blue:
        return colour  # a colour scale's: the same in both themes
    if red <= 0x33:
        return "var(--ink)"
    if words or red <= 0x80:
        return "var(--soft)"
    return "var(--faint)" if red < 0xFA else "var(--paper)"
