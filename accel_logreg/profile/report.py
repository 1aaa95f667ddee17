"""A profile as tables and sentences, as JSON, as a trace, and as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accel_logreg.measure.clock import median
from accel_logreg.measure.table import Table
from accel_logreg.measure.words import in_bytes, in_flops, in_memory, in_percent, in_words, significant
from accel_logreg.profile.record import COPIES, KERNELS, PIECES, QUESTIONS, STAGES, Span
from accel_logreg.profile.result import Profile, Sum, beside_kernels, breakdown, copies, kernels, questions

FORMAT_VERSION = 1
BUSY = 0.25  # share of the cores; above it the reader is warned
UNSTEADY = 1.5  # slowest plain fit over fastest; the same
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
    sentences = list(profile.warnings)
    cores = profile.machine["usable_cores"]
    if profile.load_average > BUSY * cores:
        sentences.append(
            "Take these times with care: in the minute before, other work kept about "
            f"{profile.load_average:.1f} of {cores} cores busy."
        )
    spread = max(profile.plain) / min(profile.plain)
    if spread > UNSTEADY:
        sentences.append(
            f"Take these times with care: the plain fits differ {spread:.1f}-fold, so the machine was not "
            "quiet."
        )
    cost = median(profile.profiled) / median(profile.plain) - 1.0
    if cost > COSTLY:
        sentences.append(f"The profiler itself costs {cost:.0%} here: many short questions.")
    return sentences


def tables(profile: Profile) -> dict[str, Table]:
    """By name; "kernels" only where there are any."""
    named = {
        "stages": stage_table(profile),
        "questions": question_table(profile),
        "work": work_table(profile),
        "kernels": kernel_table(profile),
        "ceilings": ceiling_table(profile),
    }
    return {name: table for name, table in named.items() if table.rows}


def stage_table(profile: Profile) -> Table:
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
    if any(span.track == PIECES for span in spans):
        rows.append(
            share("    of it beside kernels", beside_kernels(spans), "pinned copies while a kernel ran")
        )
    for one in questions(profile.prediction(), profile.ceilings):
        remark = f"{profile.n_rows:,} rows, {_rate(one)}"
        rows.append(("predict", in_words(one.total), "", remark))
    return Table("Stages", ("stage", "time", "of fit", "remark"), tuple(rows))


def question_table(profile: Profile) -> Table:
    spans = profile.spans_of_fit()
    fit = breakdown(spans).fit
    rows = tuple(_timed(one, fit) for one in questions(spans, profile.ceilings))
    columns = ("question", "calls", "total", "median", "of fit")
    return Table("Questions asked through the interface, one fit", columns, rows)


def work_table(profile: Profile) -> Table:
    """What the questions moved and computed, against the ceilings."""
    sums = questions(profile.spans_of_fit(), profile.ceilings)
    rows = tuple(
        (
            one.name,
            f"{one.reads:.2f}",
            in_bytes(one.bytes),
            significant(one.bytes_per_second / 1e9),
            significant(one.flops_per_second / 1e9) if one.flops else "",
            "" if one.percent is None else in_percent(one.percent),
            one.bound,
        )
        for one in sums
    )
    columns = ("question", "reads", "X moved", "GB/s", "GFLOP/s", "ceiling", "bound by")
    notes = [
        "X moved: reads of X times its bytes. GFLOP/s: of the formula, exponentials not counted.",
        "Ceiling: the shortest time that the ceilings below allow, in percent of the time it took.",
    ]
    cache = max(profile.machine["cache_bytes"].values(), default=0)
    if not profile.on_device and profile.matrix_bytes < cache:
        notes.append(
            f"X fits into the last-level cache ({in_memory(cache)}), which can be faster than the memory."
        )
    return Table("The same against the ceilings", columns, rows, tuple(notes))


def kernel_table(profile: Profile) -> Table:
    spans = profile.spans_of_fit()
    fit = breakdown(spans).fit
    rows = tuple(_timed(one, fit) for one in kernels(spans))
    note = "Between the events before and after a launch; what a launch waits for on the host counts with it."
    return Table("Kernels, one fit", ("kernel", "launches", "total", "median", "of fit"), rows, (note,))


def ceiling_table(profile: Profile) -> Table:
    ceilings = profile.ceilings
    rows = [("memory", f"{in_bytes(ceilings.bandwidth)}/s", ceilings.bandwidth_of)]
    for name, rate in ceilings.flops.items():
        rows.append((f"{name} arithmetic", f"{in_flops(rate)}/s", "a large matrix product"))
    for name, rate in ceilings.copies.items():
        rows.append((f"copy {name}", f"{in_bytes(rate)}/s", "pinned memory"))
    one_read = profile.matrix_bytes / ceilings.bandwidth
    notes = (f"One read of X takes at least {in_words(one_read)} from memory.", *ceilings.notes)
    return Table("Ceilings, measured in this run", ("ceiling", "measured", "how"), tuple(rows), notes)


def to_json(profile: Profile) -> str:
    """Every sum with each call's seconds; the spans themselves are what ``--trace`` writes."""
    document = asdict(profile)
    del document["spans"]
    spans = profile.spans_of_fit()
    parts = breakdown(spans)
    document |= {
        "format": "accel_logreg profile",
        "version": FORMAT_VERSION,
        "breakdown": {**asdict(parts), "solving": parts.solving},
        "questions": [_plain(one) for one in questions(spans, profile.ceilings)],
        "prediction": [_plain(one) for one in questions(profile.prediction(), profile.ceilings)],
        "kernels": [_plain(one) for one in kernels(spans)],
        "host_device_copies": [_plain(one) for one in copies(spans)],
        "copy_seconds_beside_kernels": beside_kernels(spans),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(one: Sum) -> dict[str, Any]:
    rates = {"bytes_per_second": one.bytes_per_second, "flops_per_second": one.flops_per_second}
    return {**asdict(one), "calls": one.calls, "total": one.total, "median": one.median, **rates}


def _timed(one: Sum, fit: float) -> tuple[str, ...]:
    return one.name, str(one.calls), in_words(one.total), in_words(one.median), f"{one.total / fit:.1%}"


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
    processes = sorted({_TRACKS[track][0] for track in used})
    events = [_name("process_name", process, 0, names[process]) for process in processes]
    lanes = _lanes([span for span in profile.spans if span.track == PIECES])
    for track in _TRACKS:
        if track in used:
            process, thread, name = _TRACKS[track]
            events.append(_name("thread_name", process, thread, name))
    process, thread, name = _TRACKS[PIECES]
    events += [  # of several queues at once
        _name("thread_name", process, thread + lane, f"{name}, {lane + 1}")
        for lane in range(1, 1 + max(lanes.values(), default=0))
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


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


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
