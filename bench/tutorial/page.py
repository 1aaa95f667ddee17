"""A page of Markdown as a program: its code blocks run top to bottom, its figures stand between markers.

Blocks fenced as ``python`` run, in one namespace. Blocks fenced with a file's path, such as
``py kernels/python_loop/dense.py``, quote that file. A table lives between ``<!-- measured:begin NAME -->``
and ``<!-- measured:end NAME -->``, where NAME is what a block gave ``show``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_logreg.lesson.tutorial import running
from accel_logreg.measure.machine import Machine
from accel_logreg.measure.words import in_memory

ROOT = Path(__file__).parents[2]
PAGES = tuple(ROOT / "docs" / name for name in ("from_loop_to_gpu.md", "why_vectorising_wins.md"))
TRANSLATIONS = {page: page.with_suffix(".zh.md") for page in PAGES}  # the same blocks, the same tables
MACHINE = "machine"  # the marker that the runner fills, not a block

_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MEASURED = re.compile(
    r"^<!-- measured:begin (\S+) -->\n(.*?)^<!-- measured:end \1 -->$", re.MULTILINE | re.DOTALL
)
_ELISION = re.compile(r"^\s*(?:#|//)? ?…\n", re.MULTILINE)


class PageError(ValueError):
    """The page and its blocks do not fit together; the message says where."""


@dataclass(frozen=True)
class Fence:
    """One fenced block.

    language, source : the two words after the backticks; source is "" where there is one only
    line : int
        Of the page, where the code begins, from 1.
    """

    language: str
    source: str
    code: str
    line: int


def fences(text: str) -> list[Fence]:
    """All fenced blocks that name a language, in the page's order."""
    return [
        Fence(found[1], found[2] or "", found[3], text.count("\n", 0, found.start(3)) + 1)
        for found in _FENCE.finditer(text)
    ]


def execute(
    text: str, quick: bool, name: str = "page", namespace: dict[str, Any] | None = None
) -> dict[str, str]:
    """Run the page's Python blocks in one namespace; marker → the table that a block showed for it.

    ``namespace`` is the one to use, for who wants to look at it afterwards. What a block raises is passed
    on, with the page's own line numbers.
    """
    namespace = {} if namespace is None else namespace
    namespace.setdefault("__name__", "tutorial")
    with running(quick) as run:
        for fence in fences(text):
            if fence.language == "python":
                # Lines above, so that a traceback shows the page's line.
                exec(compile("\n" * (fence.line - 1) + fence.code, name, "exec"), namespace)
    return run.shown


def fill(text: str, shown: Mapping[str, str]) -> str:
    """The page with every marker's text replaced.

    Raises
    ------
    PageError
        A marker that no block showed a table for, or a table without its marker.
    """
    markers = [found[1] for found in _MEASURED.finditer(text)]
    if twice := sorted({name for name in markers if markers.count(name) > 1}):
        raise PageError(f"the page has more than one marker for {', '.join(twice)}")
    if empty := sorted(set(markers) - shown.keys()):
        raise PageError(f"no block showed {', '.join(empty)}, which the page has markers for")
    if homeless := sorted(shown.keys() - set(markers)):
        raise PageError(f"the page has no marker for {', '.join(homeless)}, which its blocks showed")
    return _MEASURED.sub(
        lambda found: (
            f"<!-- measured:begin {found[1]} -->\n{shown[found[1]]}\n<!-- measured:end {found[1]} -->"
        ),
        text,
    )


def misquoted(text: str, root: Path = ROOT) -> list[str]:
    """Quotations that their file does not contain, line by line and in order; a sentence each.

    A line with nothing but "…" stands for lines left out.
    """
    wrong = []
    for fence in fences(text):
        path = root / fence.source
        pieces = [f"^{re.escape(piece)}" for piece in _ELISION.split(fence.code) if piece]
        quoted = re.compile("(?s:.*?)".join(pieces), re.MULTILINE)
        if fence.source and not (path.is_file() and quoted.search(path.read_text(encoding="utf-8"))):
            wrong.append(f"line {fence.line}: {fence.source} does not have these lines in this order")
    return wrong


def machine_in_words(machine: Machine, load_average: float, command: str) -> str:
    """Two lines for the page: where, when and how its figures were measured."""
    caches = ", ".join(f"{level} {in_memory(size)}" for level, size in machine.cache_bytes.items())
    packages = ", ".join(f"{name} {machine.packages[name]}" for name in ("numpy", "numba"))
    text = (
        f"{machine.cpu}, {machine.usable_cores} cores ({caches}), {machine.python}, {packages}, "
        f"{machine.date[:10]}, `{command}`."
    )
    if load_average > 0.25 * machine.usable_cores:
        text += (
            f" Take these times with care: in the minute before, other work kept about {load_average:.1f} of "
            f"{machine.usable_cores} cores busy."
        )
    return text
