"""A profile as tables and sentences, as JSON, as a trace, and as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from accel_logreg.measure.machine import cache_notes, noise_cautions
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_bytes, in_flops, in_percent, in_words, significant
from accel_logreg.profile.record import COPIES, KERNELS, PIECES, QUESTIONS, STAGES, Span
from accel_logreg.profile.result import (
    Profile,
    Sum,
    beside_kernels,
    breakdown,
    copies,
    kernels,
    on,
    questions,
)

FORMAT_VERSION = 1
UNSTEADY = 1.5  # slowest plain fit over fastest; above it the reader is warned
COSTLY = 0.1  # what the profiler may add to a fit; the same


def facts(profile: Profile) -> list[tuple[str, str]]:
    """What was run, and what came out."""
    machine, settings = profile.machine, profile.settings
    gpus = [gpu["name"] for gpu in machine["gpus"]] if profile.on_device else []
    where = ", ".join(gpus) or f"{machine['cpu']}, {machine['usable_cores']} cores"
    threads = f" on {profile.threads} threads" if profile.threads > 1 else ""
    plain, profiled = median(profile.plain), median(profile.profiled)
    return [
        ("machine", where),
        ("problem", f"{profile.n_rows:,} × {profile.n_features:,} {profile.dtype}, {profile.source}"),
        ("X", in_bytes(profile.matrix_bytes)),
        ("engine, solver", f"{profile.engine}{threads}, {profile.solver}"),
        ("result", f"relative gap {profile.gap:.1e} ({profile.gap_kind}), {profile.iterations} iterations"),
        ("reads of X", f"{profile.reads:.2f}"),
        ("fit", f"{in_words(plain)}; {in_words(profiled)} with the profiler (medians of {settings.repeats})"),
        ("clock", profile.clock + (f"; NVTX ranges through {profile.nvtx}" if profile.nvtx else "")),
    ]


def cautions(profile: Profile) -> list[str]:
    """Why the figures may not be this machine's best."""
    fits = {"the plain fits": profile.plain}
    noise = noise_cautions(profile.machine, profile.load_average, fits, UNSTEADY)
    cost = median(profile.profiled) / median(profile.plain) - 1.0
    costly = [f"The profiler itself costs {cost:.0%} here: many short questions."] if cost > COSTLY else []
    return [*profile.warnings, *noise, *costly]


def tables(profile: Profile) -> dict[str, Table]:
    """By name; "kernels" only where there are any."""
    spans = profile.spans_of_fit()
    asked, launched = questions(spans, profile.ceilings), kernels(spans)
    note = "Between the events before and after a launch; what a launch waits for on the host counts with it."
    named = {
        "stages": _stages(profile),
        "questions": _calls(profile, "Questions asked through the interface", "question", "calls", asked),
        "work": _work(profile, asked),
        "kernels": _calls(profile, "Kernels", "kernel", "launches", launched, note),
        "ceilings": _ceilings(profile),
    }
    return {name: table for name, table in named.items() if table.rows}


def _stages(profile: Profile) -> Table:
    """What happens once, what one fit is made of, and a prediction."""
    spans = profile.spans_of_fit()
    parts = breakdown(spans)

    def share(name: str, seconds: float, remark: str) -> tuple[str, str, str, str]:
        return name, in_words(seconds), f"{seconds / parts.fit:.1%}", remark

    taking = "X, y and weights, to the device" if profile.on_device else "X is read where it is if possible"
    rows = [
        ("load the engine", in_words(profile.loading), "", "once: imports and probes"),
        ("compile kernels", in_words(profile.compiling), "", "once: compiled, or read from a cache"),
        ("first fit", in_words(profile.first_fit), "", "once: with what it compiles or loads"),
        share("one fit", parts.fit, "the median one with the profiler, in parts:"),
        share("  check", parts.checking, "parameters, X and y"),
        share("  take rows", parts.taking, taking),
        share("  questions", parts.asking, "through the interface, see below"),
        share("  solver", parts.solving, "the rest, on the host"),
    ]
    rows += [
        share(f"  {one.name}", one.total, f"{one.calls} in questions and rows, {_rate(one)}")
        for one in copies(spans)
    ]
    if on(spans, PIECES):
        both = beside_kernels(spans)
        rows.append(share("    of it beside kernels", both, "pinned copies while a kernel ran"))
    rows += [
        ("predict", in_words(one.total), "", f"{profile.n_rows:,} rows, {_rate(one)}")
        for one in questions(profile.prediction(), profile.ceilings)
    ]
    return Table("Stages", ("stage", "time", "of fit", "remark"), rows)


def _calls(profile: Profile, title: str, kind: str, calls: str, sums: Sequence[Sum], *notes: str) -> Table:
    """How often and how long, in one fit."""
    fit = breakdown(profile.spans_of_fit()).fit
    rows = [
        (one.name, str(one.calls), in_words(one.total), in_words(one.median), f"{one.total / fit:.1%}")
        for one in sums
    ]
    return Table(f"{title}, one fit", (kind, calls, "total", "median", "of fit"), rows, notes)


def _work(profile: Profile, asked: Sequence[Sum]) -> Table:
    """What the questions moved and computed, against the ceilings."""
    rows = [
        (
            one.name,
            f"{one.reads:.2f}",
            in_bytes(one.bytes),
            significant(one.bytes_per_second / 1e9),
            significant(one.flops_per_second / 1e9) if one.flops else "",
            "" if one.percent is None else in_percent(one.percent),
            one.bound,
        )
        for one in asked
    ]
    columns = ("question", "reads", "X moved", "GB/s", "GFLOP/s", "ceiling", "bound by")
    notes = [
        "X moved: reads of X times its bytes. GFLOP/s: of the formula, exponentials not counted.",
        "Ceiling: the shortest time that the ceilings below allow, in percent of the time it took.",
        *([] if profile.on_device else cache_notes(profile.machine, profile.matrix_bytes)),
    ]
    return Table("The same against the ceilings", columns, rows, notes)


def _ceilings(profile: Profile) -> Table:
    ceilings = profile.ceilings
    rows = [("memory", f"{in_bytes(ceilings.bandwidth)}/s", ceilings.bandwidth_of)]
    for name, rate in ceilings.flops.items():
        rows.append((f"{name} arithmetic", f"{in_flops(rate)}/s", "a large matrix product"))
    for name, rate in ceilings.copies.items():
        rows.append((f"copy {name}", f"{in_bytes(rate)}/s", "pinned memory"))
    one_read = profile.matrix_bytes / ceilings.bandwidth
    notes = (f"One read of X takes at least {in_words(one_read)} from memory.", *ceilings.notes)
    return Table("Ceilings, measured in this run", ("ceiling", "measured", "how"), rows, notes)


def to_json(profile: Profile) -> str:
    """Every sum with each call's seconds; the spans themselves are what ``--trace`` writes."""
    document = asdict(profile)
    del document["spans"]
    spans = profile.spans_of_fit()
    parts = breakdown(spans)
    document |= {
        "format": "accel_logreg profile",
        "version": FORMAT_VERSION,
        "breakdown": asdict(parts),
        "questions": [asdict(one) for one in questions(spans, profile.ceilings)],
        "prediction": [asdict(one) for one in questions(profile.prediction(), profile.ceilings)],
        "kernels": [asdict(one) for one in kernels(spans)],
        "host_device_copies": [asdict(one) for one in copies(spans)],
        "copy_seconds_beside_kernels": beside_kernels(spans),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rate(one: Sum) -> str:
    return f"{in_bytes(one.bytes_per_second)}/s"


_GRAIN = 2e-5  # seconds; what an event's time in float32 milliseconds is off by after minutes

# Track → (process, thread, what the thread is called).
_TRACKS = {
    STAGES: (1, 1, "stages"),
    QUESTIONS: (1, 2, "questions through the interface"),
    KERNELS: (2, 1, "kernels"),
    COPIES: (2, 2, "copies between host and device"),
    PIECES: (2, 3, "copies of pinned pieces, beside the kernels"),
}


def to_trace(profile: Profile) -> str:
    """Trace Event Format, JSON object form: "X" events with times in microseconds, "M" events with names.

    ``args`` of an event hold bytes, flops and GB/s where they are known, and which fit it belongs to.
    """
    used = {span.track for span in profile.spans}
    names = {1: f"accel_logreg, {profile.engine}", 2: f"{profile.engine} device"}
    lanes = _lanes(on(profile.spans, PIECES))
    shown = [place for track, place in _TRACKS.items() if track in used]
    process, thread, name = _TRACKS[PIECES]  # of which several queues at once have a lane each
    shown += [(process, thread + k, f"{name}, {k + 1}") for k in range(1, 1 + max(lanes.values(), default=0))]
    named = [("process_name", process, 0, names[process]) for process in sorted({one[0] for one in shown})]
    events: list[dict[str, Any]] = [
        {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
        for kind, process, thread, name in [*named, *(("thread_name", *one) for one in shown)]
    ]
    for span in profile.spans:
        process, thread, _ = _TRACKS[span.track]
        thread += lanes.get(id(span), 0)
        args: dict[str, Any] = {"part": span.part} if span.part else {}
        args |= span.details
        if span.details.get("bytes") and span.seconds > 0.0:
            args["GB/s"] = span.details["bytes"] / span.seconds / 1e9
        times = {"ts": 1e6 * span.start, "dur": 1e6 * span.seconds}
        place = {"pid": process, "tid": thread}
        events.append({"name": span.name, "cat": span.track, "ph": "X", **times, **place, "args": args})
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "problem": f"{profile.n_rows} x {profile.n_features} {profile.dtype}",
            "engine": profile.engine,
            "solver": profile.solver,
            "clock": profile.clock,
            "shown in the tables": f"fit {profile.chosen}",
            "date": profile.machine["date"],
        },
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _lanes(spans: list[Span]) -> dict[int, int]:
    """Span (by id) → lane: spans of one lane do not overlap, as viewers demand; as few lanes as will do."""
    free_from: list[float] = []
    lanes: dict[int, int] = {}
    for span in sorted(spans, key=lambda span: span.start):
        lane = next((k for k, end in enumerate(free_from) if end <= span.start + _GRAIN), len(free_from))
        free_from[lane : lane + 1] = [span.end]
        lanes[id(span)] = lane
    return lanes


def to_html(profile: Profile, pictures: Mapping[str, bytes]) -> str:
    """The page, with the pictures "roofline" and "stages" inside."""
    from accel_logreg.measure.page import render  # here: everything else runs without Jinja

    return render(
        Path(__file__).with_name("profile.html"),
        pictures,
        profile=profile,
        machine=profile.machine,
        facts=facts(profile),
        cautions=cautions(profile),
        tables=tables(profile),
    )
