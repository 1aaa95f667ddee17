"""A report as one self-contained HTML page: its style, its pictures and its one script inside.

The page forbids the browser to load anything or to run any other script (Content-Security-Policy). Without
the script it reads the same; tables then keep the order they were written in.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from accel_logreg.measure.pictures import inline, theme
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import PREFIXES

# What a unit is worth, of seconds, bytes, flops, bytes or flops per second, and of one.
UNITS = {"%": 1e-2, "×": 1.0, "": 1.0} | {
    prefix + unit: size for prefix, size in PREFIXES.items() for unit in ("s", "B", "B/s", "FLOP", "FLOP/s")
}
_CELL = re.compile(
    r"""\s*(?P<number>[-−+]?\d[\d,]*(?:\.\d+)?(?:[eE][-−+]?\d+)?)
        \s*(?P<unit>[^\W\d_][\w/]*|[%×]|)
        (?:\s+(?:to|±|\().*)?\s*""",  # of an interval, the lower end; what stands in brackets is a remark
    re.VERBOSE,
)
_NOTHING = {"", "–", "-", "none", "not run", "not known", "gpu"}  # cells that say nothing, in lower case


def render(template: Path, pictures: Mapping[str, bytes], **context: Any) -> str:
    """The page made from a template, which may extend page.html and import page_parts.html.

    template : its file
    pictures : name → SVG as ``pictures.to_svg`` writes it; ``picture(name, …)`` in the template shows it
    """
    loader = FunctionLoader(_file)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"slug": slug, "kinds": kinds, "sort_value": sort_value}
    script = _file("page.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        **context,
        pictures=pictures,
        draw=lambda name, title: inline(pictures[name], slug(name), title),
        style=theme() + _file("page.css"),
        script=script,
        script_digest=f"sha256-{digest}",
    )


def slug(text: str) -> str:
    """An id for a heading: "one-step-of-gradient-descent"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def kinds(table: Table) -> list[str]:
    """A class for each column: "number" where all cells that say something are, "words" for sentences."""
    found = []
    for column in range(len(table.columns)):
        cells = [row[column] for row in table.rows]
        said = [cell for cell in cells if cell.strip().lower() not in _NOTHING]
        numbers = bool(said) and all(sort_value(cell) is not None for cell in said)
        long = any(len(cell) > 34 for cell in cells)
        found.append("words" if long else "number" if numbers and column else "")
    return found


def sort_value(cell: str) -> float | None:
    """The number in "161 ms", "1,234×", "3.2e-10", "45 %" or "1.2 ms to 1.5 ms", in the unit's own base.

    None where the cell is not one number with a unit that is known: "numba", "not run", "2000x28".
    """
    found = _CELL.fullmatch(cell)
    if found is None or found["unit"] not in UNITS:
        return None
    return float(found["number"].replace(",", "").replace("−", "-")) * UNITS[found["unit"]]


def _file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
