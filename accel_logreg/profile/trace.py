"""A profile as a trace that chrome://tracing and ui.perfetto.dev open: one complete event a span."""

from __future__ import annotations

import json
from typing import Any

from accel_logreg.profile.record import COPIES, KERNELS, PIECES, QUESTIONS, STAGES, Span
from accel_logreg.profile.result import Profile

_GRAIN = 2e-5  # seconds; what an event's time in float32 milliseconds is off by after minutes

# Track → (process, thread, what the thread is called).
_TRACKS = {
    STAGES: (1, 1, "stages"),
    QUESTIONS: (1, 2, "questions through the door"),
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
        events.append(
            {
                "name": span.name,
                "cat": span.track,
                "ph": "X",
                "ts": 1e6 * span.start,
                "dur": 1e6 * span.seconds,
                "pid": process,
                "tid": thread,
                "args": args,
            }
        )
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
