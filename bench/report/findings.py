"""What a reader is to know of a run first: a few sentences, each made from its records.

Who is fastest, by which factor and over which baseline; what is near its ceiling; how certain the figures
are; what did not run, and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from accel_logreg.measure.words import in_percent, in_words, significant
from bench.report.ceilings import FROM_CACHE
from bench.report.document import BenchDocument, Record, by_reason
from bench.report.table import base_of, baseline, faster, in_rate, order, some, verdict, way

MOST = 6  # sentences
_FIRST = ("dot", "descent", "fit", "pass", "csr", "predict")  # suites, by what a reader asks first
_LESSON = ("dot", "descent")  # in which the loop is the point
_QUIET = {
    True: "The machine was quiet",
    False: "The machine was busy",
    None: "Nothing tells whether the machine was quiet",
}
_WIDE = 0.1  # of the median: an interval beyond it is named


def findings(document: BenchDocument) -> list[str]:
    """At most six sentences, fewer where the run was a part; none where it holds nothing."""
    if not document.records:
        return list(_skipped(document))
    others = [*_ceilings(document), *_certainty(document), *_skipped(document)]
    return [*list(_fastest(document))[: MOST - len(others)], *others]


def _fastest(document: BenchDocument) -> Iterator[str]:
    """Of each suite, who wins the contest that says most: the most engines, then the largest problem."""
    contests: dict[str, list[list[Record]]] = {}
    for group in document.groups().values():
        warm = [record for record in group if record.cache != "cold"]
        if len({record.engine for record in warm}) > 1:
            contests.setdefault(warm[0].suite, []).append(warm)
    for suite in sorted(contests, key=lambda suite: (*_FIRST, suite).index(suite)):
        yield _winner(max(contests[suite], key=_says))


def _says(group: Sequence[Record]) -> tuple[int, int]:
    engines = len({record.engine for record in group}) if group[0].suite in _LESSON else 0
    return engines, max(math.prod(record.shape) for record in group)


def _winner(group: Sequence[Record]) -> str:
    best = min(group, key=lambda record: record.median_seconds)
    base = base_of(best, group)
    title = best.group[:1].upper() + best.group[1:]
    what = f"{title}: {way(best)} is the fastest, {in_words(best.median_seconds)}"
    if base is best:
        return f"{what}, and so is the simplest engine that was timed."
    over = [base]
    calls = [record for record in group if order(base) < order(record) < order(best)]
    if calls and base.engine == "python":  # the loop is a low bar: the next engine stands beside it
        over.append(min(calls, key=lambda record: (order(record), record.median_seconds)))
    return f"{what}, {' and '.join(_times(best, one) for one in over)}."


def _times(best: Record, base: Record) -> str:
    factor = faster(best, base)
    if factor.leads is None:
        return f"which cannot be told from {baseline(base)}"
    bounds = f" ({significant(factor.low)} to {significant(factor.high)})" if factor.known else ""
    return f"{significant(factor.value)} times as fast{bounds} as {baseline(base)}"


def _ceilings(document: BenchDocument) -> Iterator[str]:
    known = [record for record in document.records if record.percent_of_ceiling is not None]
    cached = [record for record in document.records if FROM_CACHE in record.extra]
    said = []
    if known:
        best = max(known, key=lambda record: record.percent_of_ceiling or 0.0)
        rate = in_rate(best.ceiling_of, best.rate or 0.0)
        if best.ceiling_of in document.exceeded:
            measured = in_rate(best.ceiling_of, document.exceeded[best.ceiling_of])
            said.append(
                f"The {best.ceiling_of} was measured too low, at {measured}: {way(best)} reached {rate} on "
                f"{best.group}, the best rate seen, which is the ceiling of this run"
            )
        else:
            said.append(
                f"Nearest to a ceiling is {way(best)} on {best.group}: {rate}, "
                f"{in_percent(best.percent_of_ceiling or 0.0)} of the {best.ceiling_of}"
            )
    if cached:
        many = f"{len(cached)} benchmarks" if len(cached) > 1 else "1 benchmark"
        said.append(
            f"{many} read X faster than memory gives it, from the last-level cache, into which it fits: "
            "no ceiling is known there"
        )
    if said:
        yield f"{'; '.join(said)}."


def _certainty(document: BenchDocument) -> Iterator[str]:
    known = [record for record in document.records if record.interval[0] == record.interval[0]]
    words = _QUIET[verdict(document).quiet]
    if not known:
        yield f"{words}; too few rounds were run for any interval."
        return
    worst = max(known, key=_width)
    wide = sum(_width(record) > _WIDE for record in known)
    low, high = worst.interval
    how = f"all {len(known)} intervals" if not wide else f"{wide} of {len(known)} intervals"
    within = "are within" if not wide else "are wider than"
    yield (
        f"{words}, and {how} {within} {in_percent(100 * _WIDE)} of their median; the widest is {way(worst)} "
        f"on {worst.group}, {in_words(low)} to {in_words(high)}."
    )


def _width(record: Record) -> float:
    low, high = record.interval
    return (high - low) / record.median_seconds if record.median_seconds > 0 else 0.0


def _skipped(document: BenchDocument) -> Iterator[str]:
    reasons = sorted(by_reason(document.skipped).items(), key=lambda item: -len(item[1]))
    if not reasons:
        return
    reason, names = reasons[0]
    more = len(document.skipped) - len(names)
    others = f", and {more:,} for other reasons" if more else f", such as {some(names[:1], 1)}"
    yield (
        f"{len(document.skipped):,} benchmarks did not run: {len(names):,} because "
        f"{reason.partition('. ')[0].rstrip('.')}{others}."
    )
