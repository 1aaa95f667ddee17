"""One shape's table: every solver's time to three gaps, fastest to 1e-6 first, and what there is to know."""

from __future__ import annotations

import math

from accel_logreg.measure.words import in_words
from bench.peers.results import PROMISE, TARGET, Run, ShapeResult
from bench.peers.solvers import OURS

GAPS = (1e-3, TARGET, PROMISE)
_SMALL = 5e6  # bytes


def heading(result: ShapeResult) -> str:
    """The problem, the machine's bandwidth and how J* was found."""
    density = "" if result.n_stored == result.n * result.d else f", {result.n_stored:,} nonzeros"
    trial = "" if result.divided_by == 1 else f" (a trial: rows ÷ {result.divided_by})"
    optimum = result.optimum
    return (
        f"\n{result.name}{trial}: {result.n:,} × {result.d:,} {result.dtype}{density}, "
        f"{result.X_bytes / 1e6:,.1f} MB; memory read at {result.read_bandwidth / 1e9:.1f} GB/s\n"
        f"J* = {optimum.value!r} by {optimum.how}: ‖∇J‖ = {optimum.gradient_norm:.1e}, "
        f"so it is at most {optimum.bound:.1e} too high, relative"
    )


def table(result: ShapeResult) -> str:
    solvers = dict.fromkeys(run.solver for run in result.runs)
    times = f"  {'solver':29}{'to 1e-3':>10}{'to 1e-6':>10}{'to 1e-8':>10}{'at 1e-6: gap':>14}{'spread':>8}"
    rest = f"{'rounds':>8}{'iter':>6}{'reads':>7}{'memory':>9}{'cold':>9}{'convert':>9}  parameters"
    lines = [heading(result), times + rest]
    lines += [_line(result, solver) for solver in sorted(solvers, key=lambda name: _order(result, name))]
    for reason in dict.fromkeys(result.left_out.values()):
        names = [solver for solver, why in result.left_out.items() if why == reason]
        lines.append(f"  left out, {reason}: {', '.join(names)}")
    lines += [f"  {solver}: {words}" for solver in solvers if (words := _remarks(result, solver))]
    lines += [f"  {note}" for note in result.notes]
    if result.compile_seconds is not None:
        lines.append(
            f"  {OURS}, the very first fit after installation, kernels compiled: "
            f"{in_words(result.compile_seconds)}"
        )
    return "\n".join(lines)


def _order(result: ShapeResult, solver: str) -> tuple[float, float]:
    """Fastest to 1e-6 first; those that never got there by how near they came."""
    run = result.fastest(solver, TARGET)
    if run is not None:
        return run.median, 0.0
    gaps = [r.suboptimality for r in result.runs if r.solver == solver and r.suboptimality is not None]
    return math.inf, min(gaps, default=math.inf)


def _line(result: ShapeResult, solver: str) -> str:
    times = "".join(f"{_to(result.fastest(solver, gap)):>10}" for gap in GAPS)
    run = result.fastest(solver, TARGET) or _nearest(result, solver)
    if run is None:
        trouble = next(
            (r.trouble for r in result.runs if r.solver == solver and r.trouble), "nothing measured"
        )
        return f"  {solver:29}{times}  {trouble}"
    cold = result.cold_seconds.get(solver)
    conversion = result.conversions.get(solver)
    spread = f"{(max(run.seconds) - min(run.seconds)) / run.median:.0%}" if len(run.seconds) > 1 else ""
    rounds = "look" if run.scouting else str(len(run.seconds))
    return (
        f"  {solver:29}{times}{_gap(run):>14}{spread:>8}{rounds:>8}"
        f"{_or_dash(run.iterations):>6}{_or_dash(run.reads):>7}"
        f"{memory(result, run):>9}{'–' if cold is None else in_words(cold):>9}"
        f"{'' if conversion is None else in_words(conversion[0]):>9}  {run.in_words()}"
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


def _nearest(result: ShapeResult, solver: str) -> Run | None:
    runs = [r for r in result.runs if r.solver == solver and r.seconds and r.suboptimality is not None]
    return min(runs, key=lambda r: r.suboptimality or 0.0, default=None)


def _to(run: Run | None) -> str:
    return "–" if run is None else in_words(run.median)


def _gap(run: Run) -> str:
    gap = run.suboptimality
    return "–" if gap is None else "<1e-15" if gap < 1e-15 else f"{gap:.1e}"


def memory(result: ShapeResult, run: Run | None) -> str:
    """What a fit adds at its peak: in % of X, or in MB where X is so small that any code outweighs it."""
    if run is None or run.peak_bytes is None:
        return "–"
    if result.X_bytes < _SMALL:
        return f"{run.peak_bytes / 1e6:.2f} MB"
    return f"{100.0 * run.peak_bytes / result.X_bytes:.3g} %"


def _or_dash(value: int | None) -> str:
    return "–" if value is None else str(value)
