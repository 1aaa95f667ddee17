"""A table of coefficients as text, for rich, as HTML in notebooks, and as a data frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape
from typing import Any, NamedTuple


class Section(NamedTuple):
    """One class's coefficients: a heading, empty where there is one section alone, and a line a "
    "coefficient."""

    heading: str
    lines: list[list[str]]


class CoefficientTable(ABC):
    """What prints as a table. ``print`` shows text, rich and notebooks their own tables of the same "
    "figures."""

    notes: tuple[str, ...]

    @abstractmethod
    def title(self) -> str:
        """One line above the table."""

    @abstractmethod
    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what is said of the model as a whole."""

    @abstractmethod
    def header(self) -> list[str]:
        """The names of a line's entries, that of the coefficient first."""

    @abstractmethod
    def sections(self) -> list[Section]:
        """The lines, class by class."""

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """The figures by name, each an array with an entry a line."""

    @abstractmethod
    def index(self) -> tuple[list[str], list[Any]]:
        """The names of the index's levels, and a line's place in it: a name, or a class and a name."""

    def to_frame(self) -> Any:
        """A pandas.DataFrame, a row a coefficient: by name, of three and more classes by class and name.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError(
                "to_frame() needs pandas, which is not installed: pip install pandas. to_dict() and the "
                "arrays coef, standard_errors, z, p_values and intervals() need nothing"
            ) from None
        names, places = self.index()
        many = len(names) > 1
        make = (
            pandas.MultiIndex.from_tuples(places, names=names)
            if many
            else pandas.Index(places, name=names[0])
        )
        return pandas.DataFrame(self.columns(), index=make)

    def __str__(self) -> str:
        lines = [self.title(), *_two_columns(self.facts())]
        sections, header = self.sections(), self.header()
        of_all = [header, *(line for section in sections for line in section.lines)]
        widths = [max(map(len, column)) for column in zip(*of_all, strict=True)]
        for section in sections:
            lines += ["", *([section.heading] if section.heading else [])]
            lines += [_aligned(line, widths) for line in (header, *section.lines)]
        lines += ["", *(f"Note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def __rich__(self) -> Any:
        """What rich prints: rich.print(model.summary())."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = [Text(self.title(), style="bold"), *map(Text, _two_columns(self.facts()))]
        for section in self.sections():
            table = Table(title=Text(section.heading) if section.heading else None, title_justify="left")
            for k, name in enumerate(self.header()):
                table.add_column(Text(name), justify="right" if k else "left")
            for line in section.lines:
                table.add_row(*map(Text, line))
            parts.append(table)
        return Group(*parts, *(Text(f"Note: {note}") for note in self.notes))

    def _repr_html_(self) -> str:
        """What notebooks show."""
        facts = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in self.facts())
        head = "".join(f"<th>{escape(name)}</th>" for name in self.header())
        parts = [f"<p><b>{escape(self.title())}</b></p><table><tbody>{facts}</tbody></table>"]
        for section in self.sections():
            rows = "".join(
                f"<tr><th>{escape(line[0])}</th>{''.join(f'<td>{escape(x)}</td>' for x in line[1:])}</tr>"
                for line in section.lines
            )
            heading = f"<caption>{escape(section.heading)}</caption>" if section.heading else ""
            parts.append(f"<table>{heading}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
        return "".join(parts) + "".join(f"<p>Note: {escape(note)}</p>" for note in self.notes)


def _aligned(line: list[str], widths: list[int]) -> str:
    first, *others = line
    return "  ".join([first.ljust(widths[0]), *(x.rjust(w) for x, w in zip(others, widths[1:], strict=True))])


def _two_columns(facts: list[tuple[str, str]]) -> list[str]:
    """The facts in two columns, read downwards."""
    half = -(-len(facts) // 2)
    columns = [facts[:half], facts[half:]]
    texts = []
    for column in columns:
        name = max((len(a) for a, _ in column), default=0)
        value = max((len(b) for _, b in column), default=0)
        texts.append([f"{a.ljust(name)}  {b.rjust(value)}" for a, b in column])
    left, right = texts
    right += [""] * (len(left) - len(right))
    return [f"{a}    {b}".rstrip() for a, b in zip(left, right, strict=True)]
