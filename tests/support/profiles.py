"""Small profiles for the tests, real fits under ceilings that are given; and what a trace must be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accel_logreg.interface.engine import Engine
from accel_logreg.profile.ceilings import Ceilings
from accel_logreg.profile.problem import made_problem
from accel_logreg.profile.result import Profile, Settings
from accel_logreg.profile.run import run_profile

CEILINGS = Ceilings(1e11, "given", {"float32": 2e12, "float64": 1e12}, notes=("a note",))


def given(_backend: Engine, _settings: Settings) -> Ceilings:
    return CEILINGS


def small_profile(backend: str, *, rows: int = 300, features: int = 4, **options: Any) -> Profile:
    watch = options.pop("watch", None)
    settings = Settings(backend, **{"repeats": 2, **options})
    return run_profile(made_problem(rows, features, "float32", 0), settings, measure=given, watch=watch)


def check_trace(text: str) -> dict[str, Any]:
    """What a viewer needs: names of processes and threads, and complete events inside each other."""
    document: dict[str, Any] = json.loads(text)
    assert document["displayTimeUnit"] == "ms"
    named: dict[str, set[Any]] = {"process_name": set(), "thread_name": set()}
    tracks: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in document["traceEvents"]:
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["args"]["name"]
            place = event["pid"] if event["name"] == "process_name" else (event["pid"], event["tid"])
            named[event["name"]].add(place)
            continue
        assert event["ph"] == "X"
        assert event["name"]
        assert event["ts"] >= 0.0
        assert event["dur"] >= 0.0
        rate = event["args"].get("GB/s")
        if rate is not None:
            assert rate == pytest.approx(event["args"]["bytes"] / event["dur"] / 1e3)
        place = event["pid"], event["tid"]
        tracks.setdefault(place, []).append((event["ts"], event["ts"] + event["dur"]))
    assert named["thread_name"] == set(tracks)
    assert named["process_name"] == {process for process, _ in tracks}
    for spans in tracks.values():
        open_until: list[float] = []
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_until and open_until[-1] <= start + 1e-3:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-3, "two events of one track overlap"
            open_until.append(end)
    return document
