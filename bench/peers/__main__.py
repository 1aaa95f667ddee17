"""``python -m bench.peers``: our fit beside every peer's, on the same problems, judged by one evaluator."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from accel_logreg.measure import machine
from bench.peers import draw, report, results, shapes, solvers
from bench.peers.contest import compare
from bench.problems.drawn import drawn, drawn_l1
from bench.problems.problem import Problem
from bench.problems.shipped import real_sets


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.draw or options.real:
            return _draw(options)
        found = results.read(options.read) if options.read else _measure(options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.read and not options.markdown:
        print("\n".join(report.table(result) for result in found))
    print(report.markdown(found) if options.markdown else report.text(found))
    if options.plots:
        for path in report.save_plots(found, options.plots):
            _say(f"written: {path}")
    return 1 if any(report.row(result).failed for result in found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="four minutes: the strongest peers, from where they arrive"
    )
    parser.add_argument("--shape", nargs="+", action="extend", default=[], metavar="NAME", help="only these")
    parser.add_argument("--solver", nargs="+", action="extend", default=[], metavar="NAME", help="only these")
    parser.add_argument("--output", type=Path, help="results file (default of a full run: bench/results/)")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw one SVG a shape there")
    parser.add_argument("--markdown", action="store_true", help="print the summary as the README's table")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="print and draw a results file; measure nothing"
    )
    parser.add_argument(
        "--draw", type=int, default=0, metavar="N", help="N problems from families, by --seed"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which problems are drawn")
    parser.add_argument("--classes", action="store_true", help="of three to a hundred classes")
    parser.add_argument("--l1", action="store_true", help="with an L1 part, all of the penalty or a share")
    parser.add_argument("--real", action="store_true", help="data sets that packages ship")
    parser.add_argument("--busy", action="store_true", help="with a process that spins on every core")
    parser.add_argument("--all", action="store_true", help="print every ratio, not only the ten worst")
    parser.add_argument("--shrink", type=int, default=1, metavar="K", help="a trial with a K-th of the rows")
    return parser


def _draw(options: argparse.Namespace) -> int:
    """The summary of problems that nobody chose; 1 where an answer of ours is not what it promises."""
    busy = " on busy cores" if options.busy else ""
    sources: list[tuple[str, Iterable[Problem]]] = []
    if options.draw:
        kind = "L1 " if options.l1 else "classes " if options.classes else ""
        seed, count = options.seed, options.draw
        found_by = drawn_l1(seed, count) if options.l1 else drawn(seed, count, classes=options.classes)
        sources.append((f"{kind}drawn with seed {options.seed}{busy}", found_by))
    if options.real:
        sources.append((f"real data{busy}", real_sets()))
    failed = False
    with draw.busy_cores() if options.busy else contextlib.nullcontext():
        for title, problems in sources:
            found: list[results.ShapeResult] = []
            with contextlib.suppress(KeyboardInterrupt):
                for result in draw.compete(problems, _say):
                    found.append(result)
                    if (times := draw.ratio(result)) is not None:
                        _say(f"  → {times:.2f}")
            print(draw.summary(found, title, options.all), flush=True)
            failed = failed or any(draw.missed(result) for result in found)
    return int(failed)


def _measure(options: argparse.Namespace) -> list[results.ShapeResult]:
    if options.shrink < 1:
        raise ValueError(f"--shrink {options.shrink} must be at least 1")
    chosen = shapes.named(options.shape)
    peers = solvers.named(options.solver)
    description = machine.describe()
    found: list[results.ShapeResult] = []
    try:
        for shape in chosen:
            found.append(compare(shape, peers, options.quick, options.shrink, not found, _say))
            if not options.markdown:
                print(report.table(found[-1]), flush=True)
    except KeyboardInterrupt:
        _say(f"\ninterrupted: {len(found)} of {len(chosen)} shapes were finished")
    partial = (
        options.quick or options.shape or options.solver or options.shrink > 1 or len(found) < len(chosen)
    )
    path = options.output or (None if partial else results.default_path(description))
    if path is None:
        _say("a partial run: no results file was written (give --output to keep it)")
    else:
        results.write(path, found, description)
        _say(f"written: {path}")
    return found


def _say(line: str) -> None:
    """Progress goes beside the tables, not into them."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
