"""Tables made once, as text, and shown both on the terminal and in a page, so the two cannot differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def show(console: Console, table: Table) -> None:
    """A table and its notes on the terminal."""
    from rich.table import Table as RichTable  # here: benchmarks make tables where rich is missing
    from rich.text import Text

    say(console, table.title, style="italic")  # RichTable would wrap it at the table's own width
    # No frame: nine columns have to fit into 80 characters.
    shown = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False)
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
