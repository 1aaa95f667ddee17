"""A page of Markdown as a notebook: its Python blocks become cells, everything else the text between them."""

from __future__ import annotations

import json
import re
from typing import Any

_CELL = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"^<!-- measured:\w+ \S+ -->\n?", re.MULTILINE)


def to_notebook(text: str) -> str:
    """The notebook's JSON; the same page gives the same bytes."""
    cells = []
    for number, piece in enumerate(_CELL.split(text)):  # text and code in turns
        source = piece.strip("\n") if number % 2 else _MARKER.sub("", piece).strip("\n")
        if source:
            cells.append(_cell(source, code=bool(number % 2)))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(source: str, code: bool) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": "code" if code else "markdown", "metadata": {}}
    if code:
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}
