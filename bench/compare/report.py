"""What a comparison says: a table of what changed, one line for all that did not, and what was concluded.

Of a few hundred benchmarks three may have changed, and those are what is looked for: faster, slower, wrong,
new and gone ones are rows. All others are counted, unless every one is asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_words
from bench.compare.comparison import LEVEL, Comparison, Row, Verdict
from bench.report.document import by_reason
from bench.report.results_file import finite
from bench.report.table import some

FORMAT, VERSION = "accel_logreg comparison", 2
MOST = 12  # rows of new ones, and of those that are gone
NO_CHANGE = "no change that can be told from noise"
_COLUMNS = ("benchmark", "A", "B", "B/A", "95 % interval", "verdict")


def table(found: Comparison, title: str, *, every: bool = False) -> Table:
    """What is wrong, what changed, what fails first, and what only one side has."""
    relative, absolute = f"{found.thresholds.relative:.0%}", in_words(found.thresholds.absolute)
    noise = "Both were measured in turns; A, B and B/A are medians of the rounds' least times."
    if found.scatter is not None:
        noise = (
            f"Verdicts allow for runs of the same code that differ by {found.scatter:.1%} "
            "(standard deviation)."
        )
    fails = (
        f"Too slow: certainly by more than {relative}, and by more than {absolute}. Verdicts allow for "
        f"{len(found.rows)} benchmarks looked at together; the interval is that of one."
    )
    rows = [_without_times(name, f"WRONG ANSWER: {why}") for name, why in found.wrong.items()]
    rows += [_cells(row, found) for row in _order(found) if every or _changed(row, found)]
    rows += _of_one_side(found.only_a, "gone: only in A", every) + _of_one_side(
        found.only_b, "new: only in B", every
    )
    return Table(title, _COLUMNS, rows, (fails, noise))


def sentences(found: Comparison, *, every: bool = False) -> list[str]:
    """What is said after the table: the rest, what could not be compared, answers, and the conclusion."""
    said = [] if every else _rest(found)
    reasons = by_reason(found.incomparable).items()
    said += [f"Not alike: {some(names, 3)}: {why}" for why, names in reasons]
    said += [f"Worse answer in B: {name}: {text}" for name, text in found.worse.items()]
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


def to_markdown(found: Comparison, title: str, remarks: Sequence[str] = (), *, every: bool = False) -> str:
    """Title, differences, table and sentences, for an issue or a pull request."""
    shown = table(found, title, every=every)
    cells = [shown.columns, ("---", *["---:"] * 4, "---"), *shown.rows] if shown.rows else []
    above = [*found.busy, *remarks, *(f"Not alike: {text}" for text in found.differences)]
    parts = [
        [f"### {title}"],
        [f"- {text}" for text in above],
        ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells],
        [f"- {text}" for text in (*sentences(found, every=every), *shown.notes)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def to_json(found: Comparison, title: str) -> str:
    """All of it, numbers unrounded, times in seconds; what is not known is null."""
    body = {"format": FORMAT, "version": VERSION, "title": title, "failed": bool(found.failures)}
    body |= {"level": LEVEL, **asdict(found)}
    return json.dumps(finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _changed(row: Row, found: Comparison) -> bool:
    return row.fails or row.verdict in (Verdict.FASTER, Verdict.SLOWER) or row.name in found.worse


def _order(found: Comparison) -> list[Row]:
    """Those that fail first, then by how much they changed."""
    return sorted(found.rows, key=lambda row: (not row.fails, -abs(math.log(row.ratio.value))))


def _rest(found: Comparison) -> list[str]:
    """The line for all that have no row."""
    rest = [row for row in found.rows if not _changed(row, found)]
    if not rest:
        return []
    whole = len(rest) == len(found.rows)
    what = ("benchmark" if whole else "other") + ("" if len(rest) == 1 else "s")
    seen = sum(row.remark.startswith("seen as") for row in rest)
    doubt = f" ({seen} seen as changed, but a run warns of noise; --all shows which)" if seen else ""
    return [f"{len(rest)} {what}: {NO_CHANGE}{doubt}."]


def _of_one_side(names: Sequence[str], verdict: str, every: bool) -> list[tuple[str, ...]]:
    shown = names if every else names[:MOST]
    rows = [_without_times(name, verdict) for name in shown]
    more = len(names) - len(shown)
    return [*rows, _without_times(f"and {more:,} more", verdict)] if more else rows


def _without_times(name: str, verdict: str) -> tuple[str, ...]:
    return (name, "", "", "", "", verdict)


def _cells(row: Row, found: Comparison) -> tuple[str, ...]:
    interval = f"{row.ratio.low:.3f} to {row.ratio.high:.3f}" if row.ratio.known else "not known"
    verdict = "TOO SLOW" if row.fails else row.verdict.value
    remarks = [row.remark, "worse answer" if row.name in found.worse else ""]
    times = in_words(row.median_a), in_words(row.median_b), f"{row.ratio.value:.3f}"
    return (row.name, *times, interval, ": ".join(filter(None, [verdict, ", ".join(filter(None, remarks))])))
