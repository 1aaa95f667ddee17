"""What is read: each shape's table and picture, and the summary, whose rows have ours beside a peer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accel_logreg.files.atomic import publish
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_bytes, in_words, significant
from bench.peers.results import PROMISE, TARGET, Run, ShapeResult
from bench.peers.solvers import OURS
from bench.report.table import plain_lines

_SMALL = 5e6  # bytes of X: any code outweighs it
_COLUMNS = (
    "solver", "to 1e-3", "to 1e-6", "to 1e-8", "at 1e-6: gap", "spread", "rounds", "iter", "reads", "memory",
    "cold", "convert", "parameters",
)  # fmt: skip
_SUMMARY = ("shape", "ours", "gap", "reads", "memory", "best peer", "gap", "ratio", "target", "verdict")


def table(result: ShapeResult) -> str:
    """Every solver's time to three gaps, fastest to 1e-6 first, and what there is to know."""
    solvers = list(dict.fromkeys(run.solver for run in result.runs))
    rows = tuple(_cells(result, solver) for solver in sorted(solvers, key=lambda name: _order(result, name)))
    notes = [
        f"left out, {reason}: {', '.join(name for name, why in result.left_out.items() if why == reason)}"
        for reason in dict.fromkeys(result.left_out.values())
    ]
    notes += [f"{solver}: {words}" for solver in solvers if (words := _remarks(result, solver))]
    notes += result.notes
    if result.compile_seconds is not None:
        first = in_words(result.compile_seconds)
        notes.append(f"{OURS}, the very first fit after installation, kernels compiled: {first}")
    columns = (*_COLUMNS[:-1], "zeros", _COLUMNS[-1]) if result.penalty else _COLUMNS
    title, *lines = plain_lines(Table(_heading(result), columns, rows))
    return "\n".join([f"\n{title}", *(f"  {line}" for line in (*lines, *notes))])


def _heading(result: ShapeResult) -> str:
    """The problem, the machine's bandwidth and how J* was found."""
    density = "" if result.n_stored == result.n * result.d else f", {result.n_stored:,} nonzeros"
    trial = "" if result.divided_by == 1 else f" (a trial: rows ÷ {result.divided_by})"
    optimum = result.optimum
    known = (
        f"J* ≥ {optimum.value!r} by {optimum.how}: at most {optimum.bound:.1e} above it, relative"
        if result.penalty
        else f"J* = {optimum.value!r} by {optimum.how}: ‖∇J‖ = {optimum.gradient_norm:.1e}, "
        f"so it is at most {optimum.bound:.1e} too high, relative"
    )
    penalty = f", {result.penalty}" if result.penalty else ""
    return (
        f"{result.name}{trial}: {result.n:,} × {result.d:,} {result.dtype}{density}{penalty}, "
        f"{in_bytes(result.X_bytes)}; memory read at {in_bytes(result.read_bandwidth)}/s\n{known}"
    )


def _order(result: ShapeResult, solver: str) -> tuple[float, float]:
    """Fastest to 1e-6 first; those that never got there by how near they came."""
    run = result.fastest(solver, TARGET)
    if run is not None:
        return run.median, 0.0
    gaps = [r.suboptimality for r in result.runs if r.solver == solver and r.suboptimality is not None]
    return math.inf, min(gaps, default=math.inf)


def _cells(result: ShapeResult, solver: str) -> tuple[str, ...]:
    """The run that reached 1e-6 soonest, or else came nearest."""
    times = [_time(result.fastest(solver, gap)) for gap in (1e-3, TARGET, PROMISE)]
    runs = [run for run in result.runs if run.solver == solver]
    judged = [run for run in runs if run.seconds and run.suboptimality is not None]
    nearest = min(judged, key=lambda run: run.suboptimality or 0.0, default=None)
    run = result.fastest(solver, TARGET) or nearest
    if run is None:
        trouble = next((run.trouble for run in runs if run.trouble), "nothing measured")
        return (solver, *times, *[""] * (9 if result.penalty else 8), trouble)
    cold = result.cold_seconds.get(solver)
    conversion = result.conversions.get(solver)
    return (
        solver,
        *times,
        _gap(run),
        f"{(max(run.seconds) - min(run.seconds)) / run.median:.0%}" if len(run.seconds) > 1 else "",
        "look" if run.scouting else str(len(run.seconds)),
        _count(run.iterations),
        _count(run.reads),
        memory(result, run),
        "–" if cold is None else in_words(cold),
        "" if conversion is None else in_words(conversion[0]),
        *([_count(run.zeros)] if result.penalty else []),
        run.in_words(),
    )


def _remarks(result: ShapeResult, solver: str) -> str:
    """Trouble of some of its runs, what ours says of itself, warnings and the memory of a conversion."""
    runs = [run for run in result.runs if run.solver == solver]
    words = [f"{run.in_words()}: {run.trouble}" for run in runs if run.trouble and len(runs) > 1]
    words += list(dict.fromkeys(run.remark for run in runs if run.remark))[-1:]
    if (conversion := result.conversions.get(solver)) and conversion[1] > 0.01 * result.X_bytes:
        words.append(f"its format holds {100.0 * conversion[1] / result.X_bytes:.0f} % of X besides")
    words += [f"warns: {text}" for text in dict.fromkeys(text for run in runs for text in run.warnings)][:2]
    return "; ".join(words)


@dataclass(frozen=True)
class Row:
    """What the summary says of one shape.

    ratio : the best peer's time over ours; None if ours failed or no peer came within 1e-6.
    verdict : in words, FAILED if our answer is not what it promises to be.
    reading : our reads of X as a share of the memory's bandwidth.
    conversion : seconds to the best peer's own format.
    """

    shape: str
    ours: Run | None
    peer: Run | None
    ratio: float | None
    target: float | None
    verdict: str
    memory: str
    reading: float | None
    conversion: float | None

    @property
    def failed(self) -> bool:
        return self.verdict.startswith("FAILED")


def row(result: ShapeResult) -> Row:
    """Ours is the default fit, checked; the best peer is the fastest run of any within TARGET."""
    ours, peer = result.ours, result.best_peer(TARGET)
    target = result.target if result.divided_by == 1 else None
    failure = _failure(result)
    ratio = None if failure or peer is None or ours is None else peer.median / ours.median
    if failure:
        verdict = f"FAILED: {failure}"
    elif ratio is None:
        verdict = f"no peer came within {TARGET:g}"
    elif target is None:
        verdict = f"a trial: rows ÷ {result.divided_by}, no target"
    else:
        verdict = "met" if ratio >= target else "not met"
        rival = result.best_peer(TARGET, result.against)
        if result.against and rival is not None and ours is not None:
            times = rival.median / ours.median
            met = "met" if times >= target else "not met"
            verdict = f"{met}: {significant(times)} times {result.against}'s fastest"
    reading = None
    if ours is not None and ours.seconds:
        read = 0 if ours.reads is None else ours.reads * result.X_bytes
        reading = read / ours.median / result.read_bandwidth
    conversion = result.conversions.get(peer.solver) if peer else None
    seconds = conversion[0] if conversion else None
    name = result.name if result.divided_by == 1 else f"{result.name} ÷{result.divided_by}"
    return Row(name, ours, peer, ratio, target, verdict, memory(result, ours), reading, seconds)


def _failure(result: ShapeResult) -> str:
    ours, doubt = result.ours, result.optimum.bound
    if ours is None:
        return "our default fit was not measured"
    if ours.trouble or ours.suboptimality is None:
        return ours.trouble or "our answer was not judged"
    if result.penalty:  # judged by a lower bound: what is not known of J* is counted against us already
        if doubt > PROMISE and not ours.suboptimality <= PROMISE:
            return f"J* is known within {doubt:.1e} only, so {PROMISE:g} is not shown"
        doubt = 0.0
    if not ours.suboptimality <= PROMISE:
        return f"our suboptimality is {ours.suboptimality:.1e}, above {PROMISE:g}"
    if not ours.suboptimality + doubt <= PROMISE:
        return f"J* is known within {doubt:.1e} only, so {PROMISE:g} is not shown"
    return ""


def text(results: Sequence[ShapeResult]) -> str:
    """The table that ends a run."""
    rows = [row(result) for result in results]
    cells = tuple(
        (
            *_ours(entry), _time(entry.peer), _gap(entry.peer), _ratio(entry.ratio),
            "" if entry.target is None else f"{entry.target:g}", entry.verdict,
        )
        for entry in rows
    )  # fmt: skip
    title = "SUMMARY: our default fit beside the fastest fit of any peer within 1e-6, medians, warm"
    title, head, *lines = plain_lines(Table(title, _SUMMARY, cells))
    failed = [entry.shape for entry in rows if entry.failed]
    below = [
        "gap: (J − J*)/J* of the worst round, by our float64 evaluator on the X given; memory: what a",
        "fit adds at its peak, beside X; a peer's conversion to its own format is not in its time",
    ]
    if failed:
        below[:0] = [f"*** FAILED: {', '.join(failed)}: our answer is not within {PROMISE:g} there ***", ""]
    pairs = [
        line for entry, line in zip(rows, lines, strict=True) for line in (line, f"    {_detail(entry)}")
    ]
    return "\n".join(["", title, *(f"  {line}".rstrip() for line in (head, *pairs, "", *below))])


def markdown(results: Sequence[ShapeResult]) -> str:
    """The same in Markdown: the README's table, and the targets beside it."""
    lines = [
        "| shape | ours | gap | reads of X | extra memory | best peer within 1e-6 | ratio | target |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in map(row, results):
        peer = "none" if entry.peer is None else f"{entry.peer.solver}, {_time(entry.peer)}"
        if entry.conversion is not None and entry.conversion >= 1e-3:
            peer += f" (+ {in_words(entry.conversion)} conversion)"
        ratio = f"**{_ratio(entry.ratio)}×**" if entry.ratio is not None else entry.verdict
        target = (
            "" if entry.target is None else f"{entry.target:g}×, {entry.verdict.removeprefix('FAILED: ')}"
        )
        lines.append(f"| {' | '.join((*_ours(entry), peer, ratio, target))} |")
    return "\n".join(lines)


def save_plots(results: Sequence[ShapeResult], folder: Path) -> list[Path]:
    """(J − J*)/J* against time, one SVG a shape: each line is a solver, each point a tolerance."""
    from bench.report import peers

    shapes = [peers.shape_of(result) for result in results]
    pictures = {f"{shape.name}.svg": peers.panel(shape) for shape in shapes if shape.lines}
    if pictures:
        publish(folder, pictures, last="")
    return [folder / name for name in pictures]


def memory(result: ShapeResult, run: Run | None) -> str:
    """What a fit adds at its peak: in % of X, or in bytes where X is small."""
    if run is None or run.peak_bytes is None:
        return "–"
    if result.X_bytes < _SMALL:
        return in_bytes(run.peak_bytes)
    return f"{100.0 * run.peak_bytes / result.X_bytes:.3g} %"


def _ours(entry: Row) -> tuple[str, ...]:
    reads = None if entry.ours is None else entry.ours.reads
    return entry.shape, _time(entry.ours), _gap(entry.ours), _count(reads), entry.memory


def _detail(entry: Row) -> str:
    words = []
    if entry.reading is not None:
        words.append(f"our reads of X at {entry.reading:.0%} of the memory's bandwidth")
    if entry.peer is not None:
        once = ", one look" if entry.peer.scouting else f", rounds: {len(entry.peer.seconds)}"
        more = "" if entry.conversion is None else f", + {in_words(entry.conversion)} conversion"
        words.append(f"best peer: {entry.peer.solver} ({entry.peer.in_words()}{once}{more})")
        if entry.conversion is not None and entry.ratio is not None and entry.ours is not None:
            whole = entry.peer.median + entry.conversion
            words.append(f"counting that, {significant(whole / entry.ours.median)} times")
    return "; ".join(words)


def _time(run: Run | None) -> str:
    return in_words(run.median) if run is not None and run.seconds else "–"


def _gap(run: Run | None) -> str:
    if run is None or run.suboptimality is None:
        return "–"
    return f"{run.suboptimality:.1e}" if run.suboptimality >= 1e-15 else "<1e-15"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else significant(ratio)
