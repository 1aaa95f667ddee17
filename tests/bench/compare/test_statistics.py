"""Verdicts under the noise of a shared machine: few false alarms, and a slow-down of 20 % is caught."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.bench_documents import document, record
from support.compared_documents import apart, in_turns

from bench.compare.comparison import Selection, Thresholds, Verdict, compare, unsettled
from bench.compare.significance import Apart, Paired, holm, rounds_needed, scatter_of_runs

THRESHOLDS = Thresholds()
ROUNDS = 24  # what looks changed gets three times the eight of a first look


@pytest.mark.slow
@pytest.mark.parametrize("wild", [False, True], ids=["usual noise", "wild noise"])
def test_the_same_code_in_turns_is_never_flagged(wild: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(8):
        found = compare(*in_turns(rng, 40, ROUNDS, {}, wild), THRESHOLDS, paired=True)
        assert found.failures == ()
        assert wild or sum(row.verdict is Verdict.SAME for row in found.rows) > 20


@pytest.mark.slow
def test_the_same_code_in_two_runs_is_never_flagged() -> None:
    rng = np.random.default_rng(2)
    for _ in range(8):
        assert compare(*apart(rng, 40, {}), THRESHOLDS).failures == ()


@pytest.mark.parametrize(("paired", "most_missed"), [(True, 1), (False, 2)], ids=["in turns", "two runs"])
def test_twenty_per_cent_is_caught(paired: bool, most_missed: int) -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(10):
        pair = in_turns(rng, 20, ROUNDS, {7: 1.2}) if paired else apart(rng, 20, {7: 1.2})
        found = compare(*pair, THRESHOLDS, paired=paired)
        assert {row.name for row in found.failures} <= {"b7"}
        missed += not found.failures
    assert missed <= most_missed


def test_an_improvement_is_reported_and_fails_nothing() -> None:
    found = compare(*in_turns(np.random.default_rng(5), 10, ROUNDS, {3: 0.8}), THRESHOLDS, paired=True)
    assert [row.name for row in found.rows if row.verdict is Verdict.FASTER] == ["b3"]
    assert found.failures == ()


def test_noise_that_hides_a_slow_down_is_called_noise() -> None:
    found = compare(
        *in_turns(np.random.default_rng(6), 20, ROUNDS, {3: 1.2}, wild=True), THRESHOLDS, paired=True
    )
    assert {row.verdict for row in found.rows} == {Verdict.NOISY}


@pytest.mark.parametrize(
    ("thresholds", "fails", "remark"),
    [
        (Thresholds(0.10, 20e-6), True, ""),
        (Thresholds(0.25, 20e-6), False, "not certainly by more than 25%"),
        (Thresholds(0.10, 300e-6), False, "by 200 µs, no more than 300 µs"),
    ],
    ids=["both passed", "not the relative one", "not the absolute one"],
)
def test_a_slow_down_fails_only_past_both_thresholds(
    thresholds: Thresholds, fails: bool, remark: str
) -> None:
    seconds = 1e-3 * (1.0 + 1e-3 * np.random.default_rng(7).random(ROUNDS))
    pair = document([record("b", seconds)]), document([record("b", 1.2 * seconds)])
    (row,) = compare(*pair, thresholds, paired=True).rows
    assert (row.verdict, row.fails, row.remark) == (Verdict.SLOWER, fails, remark)


def test_many_benchmarks_need_more_certainty_than_one() -> None:
    rounds = 8  # all slower: a chance of 1 in 256, which is news of one benchmark and none of forty
    seconds = np.linspace(1.0, 1.01, rounds)
    others = [record(f"other{i}", seconds) for i in range(39)]
    a, b = record("b", seconds), record("b", 1.2 * seconds)
    assert compare(document([a]), document([b]), THRESHOLDS, paired=True).failures
    many = compare(document([a, *others]), document([b, *others]), THRESHOLDS, paired=True)
    assert many.failures == ()
    assert many.rows[0].verdict is Verdict.NOISY


def test_few_rounds_conclude_nothing() -> None:
    pair = document([record("b", [1.0] * 4)]), document([record("b", [2.0] * 4)])
    for paired in (False, True):
        (row,) = compare(*pair, THRESHOLDS, paired=paired).rows
        assert (row.verdict, row.remark) == (Verdict.NOISY, "4 rounds are too few")


def test_a_run_that_warns_of_noise_concludes_nothing_unless_told_to() -> None:
    a, b = in_turns(np.random.default_rng(8), 3, ROUNDS, {0: 2.0})
    warning = document(b.records, noise={"relative": 0.01, "warning": "something else ran"})
    found = compare(a, warning, THRESHOLDS, paired=True)
    assert found.failures == ()
    assert found.rows[0].remark == "seen as slower, but a run warns of noise"
    assert found.busy == ("The machine was busy while B was measured: something else ran.",)
    assert compare(a, warning, THRESHOLDS, paired=True, anyway=True).failures


def test_a_machine_that_became_slower_explains_as_much_of_a_slow_down() -> None:
    a, b = apart(np.random.default_rng(9), 40, dict.fromkeys(range(40), 1.2))
    assert compare(a, b, THRESHOLDS).failures
    a, b = document(a.records, ceilings={"read": 1.2e10}), document(b.records, ceilings={"read": 1.0e10})
    assert compare(a, b, THRESHOLDS).failures == ()


def test_a_tail_alone_is_no_slow_down_between_runs() -> None:
    """The median of B is 30 % up, but its fastest quarter is where it was: a neighbour, not work."""
    quick = [1.0 + 0.001 * i for i in range(20)]
    late = [*quick[:8], *(1.3 + 0.001 * i for i in range(12))]
    evidence = Apart(quick, late, scatter=0.01, known_by=40)
    assert evidence.interval.value > 1.25
    assert evidence.above(0.0) > 0.1


def test_the_sign_test_counts_coins() -> None:
    a = np.ones(10)
    b = np.array([1.2] * 9 + [0.1])
    assert Paired(a, b).above(0.0) == pytest.approx(11 / 1024)
    assert Paired(a, b).above(math.log(1.3)) == 1.0
    assert Paired(b, a).below(0.0) == pytest.approx(11 / 1024)
    assert Paired(a, a).above(0.0) == 1.0  # ties decide nothing
    with pytest.raises(ValueError, match="equally many, got 2 and 1"):
        Paired([1.0, 2.0], [1.0])


def test_holm_keeps_the_order_and_never_lowers() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert 2.0 ** -rounds_needed(20, 0.01) <= 0.01 / 20 < 2.0 ** -(rounds_needed(20, 0.01) - 1)


def test_the_scatter_of_runs_is_found_and_a_slower_engine_is_no_scatter() -> None:
    rng = np.random.default_rng(10)
    logs = rng.normal(0.0, 0.04, 400)
    ratios = [(engine, math.exp(log + shift)) for engine, shift in (("a", 0.0), ("b", 0.3)) for log in logs]
    assert scatter_of_runs(ratios, [0.0])[0] == pytest.approx(0.04, rel=0.2)
    assert scatter_of_runs(ratios, [0.1])[0] == 0.1
    assert scatter_of_runs([("a", 1.0)] * 3, [0.0])[0] == 0.03


def test_more_rounds_go_to_what_may_have_changed_and_to_what_is_noisy() -> None:
    steady = np.linspace(1.0, 1.01, 8)
    assert not unsettled(steady, steady[::-1], THRESHOLDS)
    assert unsettled(steady, 1.2 * steady, THRESHOLDS)
    assert unsettled(steady, 0.9 * steady, THRESHOLDS)
    assert unsettled(steady, [0.5, 1.5] * 4, THRESHOLDS)


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("", {"gradient[numba]", "gradient[numpy]", "fit[numba]"}),
        ("gradient", {"gradient[numba]", "gradient[numpy]"}),
        ("Gradient and numba", {"gradient[numba]"}),
        ("gradient not numba", {"gradient[numpy]"}),
        ("fit or gradient and numpy", {"fit[numba]", "gradient[numpy]"}),
    ],
)
def test_words_select_benchmarks(pattern: str, chosen: set[str]) -> None:
    assert {
        n for n in ("gradient[numba]", "gradient[numpy]", "fit[numba]") if n in Selection(pattern)
    } == chosen


@pytest.mark.parametrize("pattern", ["or", "fit or", "and fit", "fit and", "not", "fit and and numba"])
def test_an_operator_without_words_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="has nothing to join"):
        Selection(pattern)


@pytest.mark.parametrize(("relative", "absolute"), [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (0.1, -1.0)])
def test_thresholds_that_mean_nothing_are_refused(relative: float, absolute: float) -> None:
    with pytest.raises(ValueError, match=r"--(relative|absolute)"):
        Thresholds(relative, absolute)
