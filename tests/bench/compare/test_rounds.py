"""Revisions are measured in turns, and processes are ended whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
from support.rounds_player import LABELS, TASKS, Fake, conduct

from bench.compare import report
from bench.compare.comparison import Selection, Verdict
from bench.compare.revisions import RevisionError
from bench.compare.rounds import EFFORT, Conductor, Plan
from bench.compare.study import Question, conclude
from bench.compare.worker import tasks


def test_sides_take_turns_and_the_order_turns_round_by_round() -> None:
    log: list[Any] = []
    conduct(log=log)
    turns = "".join(side for side, what in log if what == "take")
    assert turns == "ABBA ABBA BAAB BAAB ABBA ABBA BAAB BAAB ABBA ABBA".replace(" ", "")
    starts = [what for _, what in log].count("end")
    assert starts == 2 * (1 + 5)  # a pair of processes that compiles, then a pair a round


def test_what_looks_changed_gets_more_rounds_and_the_least_time_counts() -> None:
    outcome = conduct({TASKS[1].name: 1.2})
    assert outcome.taken[TASKS[0].name].seconds == ([1.0] * 5, [1.0] * 5)
    assert outcome.taken[TASKS[1].name].seconds == ([1.0] * 5 * EFFORT, [1.2] * 5 * EFFORT)


def test_a_slow_down_of_a_revision_fails() -> None:
    outcome = conduct({TASKS[1].name: 1.2})
    study = conclude(outcome, LABELS, Question())
    assert [row.name for row in study.comparison.failures] == [TASKS[1].name]
    assert study.comparison.rows[0].verdict is Verdict.SAME
    assert study.a.records[1].interleaved
    assert (study.a.revision, study.b.revision) == LABELS


def test_what_one_revision_cannot_do_or_does_wrong_is_told() -> None:
    old = {("A", "open", "gradient"): {"unavailable": "AttributeError: no such thing"}}
    study = conclude(conduct(faults=old), LABELS, Question())
    assert study.comparison.wrong == {}
    assert study.comparison.only_b == (TASKS[0].name,)
    wrong = {("B", "close", "gradient"): {"answer": "wrong"}}
    study = conclude(conduct(faults=wrong), LABELS, Question())
    assert study.comparison.wrong == {TASKS[0].name: "head: gradient is wrong"}
    row, *_ = report.table(study.comparison, "").rows
    assert (row[0], row[-1]) == (TASKS[0].name, "WRONG ANSWER: head: gradient is wrong")
    assert [row.name for row in study.comparison.rows] == [TASKS[1].name]


def test_nothing_that_runs_on_both_is_an_error() -> None:
    faults = {("A", "open", what): {"unavailable": "no engine"} for what in ("gradient", "fit")}
    with pytest.raises(RevisionError, match="no benchmark can be measured on both sides: no engine"):
        conduct(faults=faults)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RevisionError("died")], ids=["Ctrl-C", "dead process"]
)
def test_processes_are_ended_whatever_happens(error: BaseException) -> None:
    log: list[Any] = []
    with pytest.raises(type(error)):
        conduct(faults={("B", "take", "gradient"): error}, log=log)
    assert log[-2:] == [("B", "end"), ("A", "end")]


def test_a_first_process_is_ended_if_the_second_does_not_start() -> None:
    log: list[Any] = []

    def start(side: int) -> Fake:
        if side:
            raise OSError("no more processes")
        return Fake(side, log, {}, {})

    with pytest.raises(OSError, match="no more processes"):
        Conductor(start=start, unsettled=lambda *_: False).run(TASKS)
    assert log == [("A", "end")]


def test_too_few_rounds_for_so_many_benchmarks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--rounds 1 can show nothing of .* at least 4"):
        Question(plan=Plan(rounds=1)).tasks()
    with pytest.raises(ValueError, match="names none of the benchmarks: gradient"):
        Question(select=Selection("no_such")).tasks()
    assert {t.name for t in Question(shapes=((50, 4),)).tasks()} >= {"fit[numba-50x4-float64]"}


def test_names_of_benchmarks_differ() -> None:
    names = [task.name for task in tasks([])]
    assert len(set(names)) == len(names)
