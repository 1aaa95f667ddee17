"""The summary: one row a shape, ours beside the best peer, as text and as the README's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accel_logreg.measure.words import in_words, significant
from bench.peers.results import PROMISE, TARGET, Run, ShapeResult
from bench.peers.tables import memory


@dataclass(frozen=True)
class Row:
    """What the summary says of one shape.

    ratio : the best peer's time over ours; None if ours failed or no peer came within 1e-6.
    verdict : in words, FAILED if our answer is not what it promises to be.
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
    return Row(_name(result), ours, peer, ratio, target, verdict, memory(result, ours), reading, seconds)


def _failure(result: ShapeResult) -> str:
    ours, doubt = result.ours, result.optimum.bound
    if ours is None:
        return "our default fit was not measured"
    if ours.trouble or ours.suboptimality is None:
        return ours.trouble or "our answer was not judged"
    if not ours.suboptimality <= PROMISE:
        return f"our suboptimality is {ours.suboptimality:.1e}, above {PROMISE:g}"
    if not ours.suboptimality + doubt <= PROMISE:
        return f"J* is known within {doubt:.1e} only, so {PROMISE:g} is not shown"
    return ""


def text(results: Sequence[ShapeResult]) -> str:
    """The table that ends a run."""
    rows = [row(result) for result in results]
    head = f"  {'shape':26}{'ours':>9}{'gap':>10}{'reads':>7}{'memory':>9}{'best peer':>11}{'gap':>10}"
    lines = [
        "",
        "SUMMARY: our default fit beside the fastest fit of any peer within 1e-6, medians, warm",
        head + f"{'ratio':>8}{'target':>8}  verdict",
    ]
    for entry in rows:
        target = "" if entry.target is None else f"{entry.target:g}"
        lines.append(
            f"  {entry.shape:26}{_time(entry.ours):>9}{_gap(entry.ours):>10}{_reads(entry.ours):>7}"
            f"{entry.memory:>9}{_time(entry.peer):>11}{_gap(entry.peer):>10}"
            f"{_ratio(entry.ratio):>8}{target:>8}  {entry.verdict}"
        )
        lines.append(f"  {'':26}{_peer(entry)}")
    failed = [entry.shape for entry in rows if entry.failed]
    if failed:
        lines.append(f"\n  *** FAILED: {', '.join(failed)}: our answer is not within {PROMISE:g} there ***")
    lines.append(
        "\n  gap: (J − J*)/J* of the worst round, by our float64 evaluator on the X given; memory: what a\n"
        "  fit adds at its peak, beside X; a peer's conversion to its own format is not in its time"
    )
    return "\n".join(lines)


def markdown(results: Sequence[ShapeResult]) -> str:
    """The same for the README."""
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
        cells = (entry.shape, _time(entry.ours), _gap(entry.ours), _reads(entry.ours), entry.memory)
        lines.append(f"| {' | '.join((*cells, peer, ratio, target))} |")
    return "\n".join(lines)


def _name(result: ShapeResult) -> str:
    return result.name if result.divided_by == 1 else f"{result.name} ÷{result.divided_by}"


def _peer(entry: Row) -> str:
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


def _reads(run: Run | None) -> str:
    return "–" if run is None or run.reads is None else str(run.reads)


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else significant(ratio)
