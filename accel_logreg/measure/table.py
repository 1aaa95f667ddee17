"""Tables made once, as text, and shown both on the terminal and in a page, so the two cannot differ."""

from __future__ import annotations

from dataclasses import dataclass

from accel_logreg.measure.terminal import PlainTerminal, Terminal


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def show(terminal: Terminal, table: Table) -> None:
    """A table and its notes on the terminal."""
    if isinstance(terminal, PlainTerminal):
        for line in plain_lines(table):
            say(terminal, line)
    else:
        _show_rich(terminal, table)
    for note in table.notes:
        say(terminal, note, style="dim")
    terminal.print()


def say(terminal: Terminal, sentence: str, style: str | None = None) -> None:
    """A sentence as it is: its brackets and numbers are neither markup nor coloured."""
    terminal.print(sentence, style=style, markup=False, highlight=False)


def plain_lines(table: Table) -> list[str]:
    """Title, column names and rows, each column as wide as its widest cell."""
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [table.title, *(line.rstrip() for line in lines)]


def _show_rich(terminal: Terminal, table: Table) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    say(terminal, table.title, style="italic")  # RichTable would wrap it at the table's own width
    # No frame: nine columns have to fit into 80 characters.
    shown = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))  # Text: a remedy's [cuda12] is not markup
    terminal.print(shown)
