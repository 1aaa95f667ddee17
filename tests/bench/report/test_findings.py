"""The findings of a run: three to six sentences, each true of its records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.bench_documents import document, record
from support.bench_samples import document as sample
from support.bench_samples import only

from bench.report.ceilings import FROM_CACHE
from bench.report.document import BenchDocument, Record
from bench.report.findings import MOST, findings
from bench.report.table import verdict

ROUNDS = np.linspace(1.0, 1.02, 9)


def timed(engine: str, seconds: float, **more: object) -> Record:
    rounds = seconds * ROUNDS
    interval = float(rounds[2]), float(rounds[6])
    return record(engine, rounds, engine=engine, interval=interval, interleaved=True, **more)


def said(found: BenchDocument, words: str) -> str:
    (sentence,) = [sentence for sentence in findings(found) if words in sentence]
    return sentence


def test_a_whole_run_has_three_to_six_of_them() -> None:
    whole = sample()
    for found in (whole, only(whole, "dot"), only(whole, "fit"), replace(whole, skipped={})):
        assert 3 <= len(findings(found)) <= MOST
        assert all(sentence.endswith(".") for sentence in findings(found))


def test_the_fastest_is_named_with_its_factor_and_its_baseline() -> None:
    three = document([timed("python", 1.0), timed("numpy", 1e-2), timed("numba", 2e-3)])
    assert said(three, "is the fastest") == (
        "Gradient 20x3 float64: numba is the fastest, 2.02 ms, 500 times as fast (500 to 500) as the Python "
        "loop and 5.00 times as fast (5.00 to 5.00) as numpy."
    )
    two = document([timed("numpy", 1e-2), timed("numba", 2e-3)])
    assert said(two, "is the fastest").endswith("5.00 times as fast (5.00 to 5.00) as numpy.")
    alike = document([timed("numpy", 1e-2), replace(timed("numba", 1e-2), seconds=tuple(ROUNDS[::-1] / 100))])
    assert "cannot be told from numpy" in said(replace(alike, records=alike.records[::-1]), "is the fastest")
    loop = document([timed("python", 1e-3), timed("numpy", 1e-2)])
    assert "python is the fastest, 1.01 ms, and so is the simplest engine" in said(loop, "is the fastest")


def test_a_contest_is_between_engines_and_warm() -> None:
    alone = document([timed("numba", 1e-3), timed("numba", 2e-3, version="one thread")])
    cold = document([timed("numba", 1e-3, cache="cold"), timed("numpy", 2e-3, cache="cold")])
    for found in (alone, cold):
        assert not any("is the fastest" in sentence for sentence in findings(found))


def test_of_a_pass_the_largest_problem_counts_and_of_the_lesson_that_with_a_loop() -> None:
    def contest(suite: str) -> BenchDocument:
        small = [timed(engine, 1.0, suite=suite, group="small") for engine in ("python", "numpy")]
        large = [timed(e, 1.0, suite=suite, group="large", shape=(10**6, 3)) for e in ("numpy", "numba")]
        third = timed("numba", 0.5, suite=suite, group="small")
        return document([*small, third, *large])

    assert said(contest("pass"), "is the fastest").startswith("Large: ")
    assert said(contest("dot"), "is the fastest").startswith("Small: ")


def test_what_is_near_its_ceiling_and_what_is_wrong_with_one() -> None:
    told = {"ceiling": 2e10, "ceiling_of": "read bandwidth"}
    near = timed("numba", 1e-3, rate=1.8e10, percent_of_ceiling=90.0, **told)
    far = timed("numpy", 1e-3, rate=2e9, percent_of_ceiling=10.0, **told)
    found = document([near, far], ceilings={"read bandwidth": 2e10})
    assert said(found, "Nearest") == (
        "Nearest to a ceiling is numba on gradient 20x3 float64: 18.0 GB/s, 90 % of the read bandwidth."
    )
    exceeded = replace(found, exceeded={"read bandwidth": 1e10})
    assert said(exceeded, "ceiling") == (
        "The read bandwidth was measured too low, at 10.0 GB/s: numba reached 18.0 GB/s on gradient 20x3 "
        "float64, the best rate seen, which is the ceiling of this run."
    )
    cached = replace(found, records=(near, timed("numpy", 1e-3, extra={FROM_CACHE: "read bandwidth"})))
    assert "; 1 benchmark read X faster than memory gives it" in said(cached, "Nearest")
    assert not any("ceiling" in sentence for sentence in findings(document([timed("numba", 1.0)])))


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ({"relative": 0.02, "warning": ""}, "The machine was quiet, and all 2 intervals are within 10 %"),
        ({"warning": "others worked"}, "The machine was busy, and all 2"),
        ({}, "Nothing tells whether the machine was quiet, and all 2"),
    ],
)
def test_how_certain_the_figures_are(noise: dict[str, object], words: str) -> None:
    pair = [timed("numpy", 1e-2), timed("numba", 1e-3)]
    found = document(pair, noise=noise)
    assert said(found, "interval").startswith(words)
    assert words.startswith("The machine was busy") == (verdict(found).quiet is False)
    wide = replace(pair[1], interval=(0.9e-3, 1.3e-3))
    sentence = said(document([pair[0], wide], noise=noise), "interval")
    assert "1 of 2 intervals are wider than 10 %" in sentence
    assert sentence.endswith("the widest is numba on gradient 20x3 float64, 900 µs to 1.30 ms.")
    assert "too few rounds" in said(document([record()], noise=noise), "rounds")


def test_what_did_not_run_is_counted_by_its_first_reason() -> None:
    skipped = {"x.py::a": "no device. Buy one.", "x.py::b": "no device. Buy one.", "x.py::c": "too slow"}
    found = document([timed("numba", 1.0)], skipped=skipped)
    assert said(found, "did not run") == (
        "3 benchmarks did not run: 2 because no device, and 1 for other reasons."
    )
    nothing = document([], skipped={"x.py::a": "no device"})
    assert findings(nothing) == ["1 benchmarks did not run: 1 because no device, such as x.py::a."]
    assert findings(document([])) == []
