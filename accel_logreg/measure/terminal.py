"""Printing: through rich where it is installed, as plain text where it is not.

A GPU machine's Python may lack rich. Every command but ``speedup`` runs there all the same.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Protocol

_TAG = re.compile(r"(?<!\\)\[/?[a-z ]*\]")


class Terminal(Protocol):
    """What the commands ask of a console; rich's own has it."""

    def print(
        self,
        text: Any = "",
        /,
        *,
        style: str | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        soft_wrap: bool | None = None,
    ) -> None: ...


class PlainTerminal:
    """Text without colours, each line as long as it is."""

    def __init__(self, *, stderr: bool = False, markup: bool = True) -> None:
        self._stderr, self._markup = stderr, markup

    def print(
        self,
        text: Any = "",
        /,
        *,
        style: str | None = None,  # noqa: ARG002
        markup: bool | None = None,
        highlight: bool | None = None,  # noqa: ARG002
        soft_wrap: bool | None = None,  # noqa: ARG002
    ) -> None:
        """Print one line, without the tags of rich's markup unless ``markup`` is False."""
        if self._markup if markup is None else markup:
            text = _TAG.sub("", str(text)).replace("\\[", "[")
        print(text, file=sys.stderr if self._stderr else sys.stdout)


def terminal(*, stderr: bool = False, markup: bool = True, soft_wrap: bool = False) -> Terminal:
    """A console on standard output or on standard error."""
    try:
        from rich.console import Console
    except ImportError:
        return PlainTerminal(stderr=stderr, markup=markup)
    return Console(stderr=stderr, highlight=False, markup=markup, soft_wrap=soft_wrap)


def escape(text: str) -> str:
    """The text as it is, inside markup."""
    try:
        from rich.markup import escape as escape_markup
    except ImportError:
        return text.replace("[", "\\[")
    return escape_markup(text)
