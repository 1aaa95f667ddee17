"""The findings of the speed-up study on the terminal, as JSON, and as one self-contained HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from accel_logreg.atomic import atomic_write
from accel_logreg.backends import BackendUnavailableError
from accel_logreg.lab import findings
from accel_logreg.lab.findings import Table
from accel_logreg.lab.results import Results, headlines, task_in_words

PAGE = "report.html"
RESULTS = "results.json"


def show(console: Console, table: Table) -> None:
    """A table and its notes on the terminal."""
    # No frame: nine columns have to fit into 80 characters.
    shown = RichTable(title=table.title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))  # Text: a remedy's [cuda12] is not markup
    console.print(shown)
    for note in table.notes:
        say(console, note, style="dim")
    console.print()


def say(console: Console, sentence: str, style: str | None = None) -> None:
    """A sentence as it is: its brackets and numbers are neither markup nor coloured."""
    console.print(sentence, style=style, markup=False, highlight=False)


def tables(results: Results) -> dict[str, Table]:
    """Every table of measurements by its name in the template; "full" only where it was measured."""
    named = {
        "dot": findings.dot_table(results.dot),
        "dot_order": findings.dot_order_table(results.dot),
        "like": findings.like_table(results),
        "full": findings.full_table(results),
        "phases": findings.phase_table(results),
    }
    return {name: table for name, table in named.items() if table is not None}


def to_json(results: Results) -> str:
    """All raw figures: every sample and every cost, but not the weights."""
    return json.dumps(_plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_html(results: Results, pictures: Mapping[str, bytes]) -> str:
    """The page, with its style and its PNG pictures inside."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files("accel_logreg.lab") / PAGE).read_text(encoding="utf-8"))
    trained = results.trained
    return template.render(
        results=results,
        machine=results.machine,
        headlines=headlines(results),
        task=task_in_words(trained.n_rows, results.n_test, trained.n_features, trained.dtype),
        engines=findings.engine_table(results.status, list(results.compile_seconds)),
        tables=tables(results),
        pictures={name: base64.b64encode(png).decode("ascii") for name, png in pictures.items()},
    )


def publish(output: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files of the report, or none: each is whole on the disk before the first gets its name."""
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Left in reverse order: the page, entered first, gets its name last, when all else is there.
        for name in sorted(contents, key=lambda name: name != PAGE):
            stack.enter_context(atomic_write(output / name)).write(contents[name])


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and errors as what JSON knows; the arrays W are left out for their size."""
    if is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.name != "W"
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, BackendUnavailableError):
        return {"reason": value.reason, "remedy": value.remedy}
    return value
