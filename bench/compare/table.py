"""A comparison as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from accel_logreg.measure.clock import in_words
from accel_logreg.measure.table import Table
from bench.compare.comparison import LEVEL, Comparison, Row, Verdict

FORMAT = "accel_logreg comparison"
VERSION = 1
_COLUMNS = ("benchmark", "A", "B", "B/A", "95 % interval", "verdict")


def table(found: Comparison, title: str) -> Table:
    """The benchmarks of both, those that fail first, then by how much they changed."""
    order = sorted(found.rows, key=lambda row: (not row.fails, -_change(row)))
    rows = tuple((row.name, *_cells(row)) for row in order)
    return Table(title, _COLUMNS, rows, _notes(found))


def sentences(found: Comparison) -> list[str]:
    """What is said after the table: what could not be compared, answers, and the conclusion."""
    said = [f"Only in A: {', '.join(found.only_a)}"] if found.only_a else []
    said += [f"Only in B: {', '.join(found.only_b)}"] if found.only_b else []
    said += [f"Not alike: {name}: {why}" for name, why in found.incomparable.items()]
    said += [f"Worse answer in B: {text}" for text in found.worse]
    return [*said, conclusion(found)]


def conclusion(found: Comparison) -> str:
    """One sentence: what failed, or that nothing did, and how many of each verdict there are."""
    counts = {verdict: sum(row.verdict is verdict for row in found.rows) for verdict in Verdict}
    shares = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    if not found.failures:
        return f"No slow-down beyond the thresholds among {len(found.rows)}: {shares}."
    named = ", ".join(f"{row.name} ({row.ratio.value:.2f} times)" for row in found.failures)
    again = "" if found.paired else " Confirm it with --revisions, which measures both in turns."
    return f"TOO SLOW: {named}. Among {len(found.rows)}: {shares}.{again}"


def to_markdown(found: Comparison, title: str, remarks: Sequence[str] = ()) -> str:
    """Title, differences, table and sentences, for an issue or a pull request."""
    shown = table(found, title)
    lines = [f"### {_escaped(title)}", ""]
    above = [*remarks, *(f"Not alike: {text}" for text in found.differences)]
    lines += [*(f"- {_escaped(text)}" for text in above), *([""] if above else [])]
    lines += [_line(shown.columns), _line(["---", *["---:"] * 4, "---"])]
    lines += [_line([_escaped(cell) for cell in row]) for row in shown.rows]
    lines += ["", *(f"- {_escaped(text)}" for text in (*sentences(found), *shown.notes))]
    return "\n".join(lines) + "\n"


def to_json(found: Comparison, title: str) -> str:
    """All of it, numbers unrounded, times in seconds; what is not known is null."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "failed": bool(found.failures),
        "level": LEVEL,
        **asdict(found),
    }
    return json.dumps(_finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    interval = f"{row.ratio.low:.3f} to {row.ratio.high:.3f}" if row.ratio.known else "not known"
    verdict = "TOO SLOW" if row.fails else row.verdict.value
    return (
        in_words(row.median_a),
        in_words(row.median_b),
        f"{row.ratio.value:.3f}",
        interval,
        f"{verdict}: {row.remark}" if row.remark else verdict,
    )


def _notes(found: Comparison) -> tuple[str, ...]:
    relative, absolute = f"{found.thresholds.relative:.0%}", in_words(found.thresholds.absolute)
    fails = (
        f"Too slow: certainly by more than {relative}, and by more than {absolute}. Verdicts allow for "
        f"{len(found.rows)} benchmarks looked at together; the interval is that of one."
    )
    if found.paired:
        return (
            fails,
            "Both were measured in turns; A, B and B/A are medians of the rounds' least times.",
        )
    assert found.scatter is not None
    return (
        fails,
        f"Verdicts allow for runs of the same code that differ by {found.scatter:.1%} (standard deviation).",
    )


def _change(row: Row) -> float:
    return max(row.ratio.value, 1.0 / row.ratio.value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value != value else value
