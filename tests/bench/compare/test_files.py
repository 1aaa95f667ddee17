"""``accel-logreg compare A.json B.json``: what is told, what is refused, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bench_documents import MACHINE, document, record
from support.command_line import refused, run

from bench.report import results_file
from bench.report.document import BenchDocument

SECONDS = 1e-3 * np.linspace(1.0, 1.02, 24)
# Enough alike that two runs of the same code are known to differ by 1 %.
STEADY = [record(f"steady{i}", SECONDS) for i in range(12)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, BenchDocument], Path]:
    def one(name: str, content: BenchDocument) -> Path:
        results_file.write(content, tmp_path / name)
        return tmp_path / name

    return one


Write = Callable[[str, BenchDocument], Path]


def pair(
    write: Write, factor: float, *, of_b: dict[str, Any] | None = None, **changed: Any
) -> tuple[Path, Path]:
    """Documents in which one fit takes ``factor`` times as long in B."""
    a = document([*STEADY, record("fit[numba]", SECONDS, suboptimality=1e-10)])
    slower = record("fit[numba]", factor * SECONDS, **{"suboptimality": 1e-10, **(of_b or {})})
    return write("a.json", a), write("b.json", document([*STEADY, slower], **changed))


def words(result: Any) -> str:
    """Its standard output, wherever a console has broken the lines."""
    return " ".join(result.stdout.split())


def test_a_slow_down_fails_and_is_named_first(write: Write) -> None:
    result = run("compare", *pair(write, 1.3))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    first = next(line for line in lines if line.startswith("fit[numba]"))
    assert "1.01 ms" in first
    assert "1.31 ms" in first
    assert "1.300" in first
    assert "TOO SLOW" in first
    assert lines[lines.index(first) - 1].startswith("benchmark")
    assert "TOO SLOW: fit[numba] (1.30 times). Among 13: 1 slower, 12 no difference seen." in words(result)


@pytest.mark.parametrize(
    ("factor", "said"), [(1.0, "13 no difference seen"), (0.5, "1 faster, 12 no difference")]
)
def test_no_change_and_an_improvement_pass(write: Write, factor: float, said: str) -> None:
    result = run("compare", *pair(write, factor))
    assert result.exit_code == 0
    assert f"No slow-down beyond the thresholds among 13: {said}" in words(result)


def test_thresholds_and_selection_are_the_users(write: Write) -> None:
    files = pair(write, 1.3)
    assert run("compare", *files, "--relative", "0.5").exit_code == 0
    assert run("compare", *files, "--absolute", "0.001").exit_code == 0
    alone = run("compare", *files, "-k", "steady")
    assert alone.exit_code == 0
    assert "fit[numba]" not in alone.stdout


def test_what_only_one_has_is_listed(write: Write) -> None:
    a = write("a.json", document([*STEADY, record("old", SECONDS)]))
    b = write("b.json", document([*STEADY, record("new1", SECONDS), record("new2", SECONDS)]))
    result = run("compare", a, b)
    assert result.exit_code == 0
    verdicts = {
        line.split()[0]: line.partition("  ")[2].strip() for line in result.stdout.splitlines() if line
    }
    assert verdicts["old"] == "gone: only in A"
    assert verdicts["new1"] == verdicts["new2"] == "new: only in B"


def test_many_new_ones_are_counted(write: Write) -> None:
    """As where a part of the suites is compared with all of them."""
    a = write("a.json", document(STEADY))
    b = write("b.json", document([*STEADY, *(record(f"new{i}", SECONDS) for i in range(40))]))
    assert "and 28 more new: only in B" in words(run("compare", a, b))
    assert "new39" in run("compare", a, b, "--all").stdout


def test_what_did_not_change_is_one_line_unless_asked_for(write: Write) -> None:
    files = pair(write, 1.3)
    result = run("compare", *files)
    assert "12 others: no change that can be told from noise." in words(result)
    assert "steady" not in result.stdout
    whole = run("compare", *files, "--all")
    assert whole.exit_code == 1
    assert sum(line.startswith("steady") for line in whole.stdout.splitlines()) == 12
    assert "others" not in whole.stdout
    nothing = run("compare", *pair(write, 1.0))
    assert "13 benchmarks: no change that can be told from noise." in words(nothing)
    assert "verdict" not in nothing.stdout  # no table without rows


def test_a_busy_machine_stands_above_every_figure(write: Write) -> None:
    files = pair(write, 1.3, noise={"relative": 0.4, "warning": "fixed work varied by 40%"})
    result = run("compare", *files)
    assert result.exit_code == 0
    above = "The machine was busy while B was measured: fixed work varied by 40%."
    assert words(result).startswith(above)
    assert f"- {above}" in run("compare", *files, "--markdown").stdout.partition("benchmark")[0]
    assert json.loads(run("compare", *files, "--json").stdout)["busy"] == [above]


def test_another_machine_is_refused_unless_told_to(write: Write) -> None:
    files = pair(write, 1.0, machine={**MACHINE, "cpu": "another processor"})
    message = refused("compare", *files)
    assert "different machines (processor: a processor in A, another processor in B)" in message
    assert "--anyway" in message
    result = run("compare", *files, "--anyway")
    assert result.exit_code == 0
    assert "Not alike: processor: a processor in A, another processor in B" in words(result)


def test_other_versions_and_modes_are_told_above_the_table(write: Write) -> None:
    machine = {**MACHINE, "packages": {"numpy": "2.5.0", "accel_logreg": "9"}, "python": "CPython 3.12"}
    result = run("compare", *pair(write, 1.0, machine=machine, mode="full"))
    assert result.exit_code == 0
    above = result.stdout[: result.stdout.index("A: ")]
    for text in ("numpy: 2.4.6 in A, 2.5.0 in B", "Python: CPython 3.11", "mode: quick in A, full in B"):
        assert f"Not alike: {text}" in above
    assert "accel_logreg: " not in above  # that it differs is why they are compared


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threads": 1}, "threads 2 in A, 1 in B"),
        ({"shape": (30, 3)}, "shape 20x3 in A, 30x3 in B"),
        ({"dtype": "float32"}, "dtype float64 in A, float32 in B"),
        ({"problem": "pictures"}, "problem correlated in A, pictures in B"),
    ],
)
def test_what_measures_something_else_is_left_out_and_told(
    write: Write, changed: dict[str, Any], said: str
) -> None:
    files = pair(write, 3.0, of_b=changed)
    result = run("compare", *files)
    assert result.exit_code == 0
    assert f"Not alike: fit[numba]: {said}" in words(result)
    assert run("compare", *files, "--anyway").exit_code == 1
    assert said in refused("compare", *files, "-k", "fit")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (1e-9, 3e-8, "suboptimality 3.0e-08, was 1.0e-09; beyond the 1e-08 that a fit promises"),
        (1e-11, 5e-9, "suboptimality 5.0e-09, was 1.0e-11"),
        (1e-13, 1e-11, ""),
        (1e-9, 1e-12, ""),
    ],
)
def test_worse_answers_are_told(write: Write, before: float, after: float, said: str) -> None:
    a = write("a.json", document([*STEADY, record("fit", SECONDS, suboptimality=before)]))
    b = write("b.json", document([*STEADY, record("fit", SECONDS, suboptimality=after)]))
    result = run("compare", a, b)
    assert result.exit_code == 0
    assert ("Worse answer in B: fit: " + said in words(result)) if said else ("Worse" not in words(result))
    assert any(line.startswith("fit ") for line in result.stdout.splitlines()) == bool(said)


def test_markdown_and_json_say_the_same(write: Write, tmp_path: Path) -> None:
    result = run("compare", *pair(write, 1.3), "--markdown", "--json-file", tmp_path / "out.json")
    assert result.exit_code == 1
    assert result.stdout.startswith("### A: ")
    assert "| benchmark | A | B | B/A | 95 % interval | verdict |\n| --- |" in result.stdout
    assert "| fit[numba] | 1.01 ms | 1.31 ms | 1.300 |" in words(result)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["failed"] is True
    (row,) = (row for row in found["rows"] if row["fails"])
    assert row["name"] == "fit[numba]"
    assert row["ratio"]["value"] == pytest.approx(1.3)
    assert row["ratio"]["low"] > 1.1


def test_documents_of_one_study_are_compared_round_by_round(write: Write) -> None:
    rng = np.random.default_rng(0)
    shared = 1e-3 * (1.0 + rng.exponential(1.0, 24))  # far more than the change
    studies = [
        document([record("fit", factor * shared, suite="compare")], command="compare")
        for factor in (1.0, 1.2)
    ]
    a, b = (write(f"{name}.json", content) for name, content in zip("ab", studies, strict=True))
    assert run("compare", a, b).exit_code == 1
    other = write("c.json", replace(studies[1], machine={**MACHINE, "date": "another day"}))
    assert run("compare", a, other).exit_code == 0


def test_bad_files_are_refused_in_words(write: Write, tmp_path: Path) -> None:
    good, _ = pair(write, 1.0)
    text = tmp_path / "text.json"
    text.write_text("{")
    assert "is not JSON" in refused("compare", good, text)
    assert "nowhere.json" in refused("compare", good, tmp_path / "nowhere.json")
    nothing = write("nothing.json", document([record("other", SECONDS)]))
    assert "none of the same name" in refused("compare", good, nothing)
    assert "names none of the 13 benchmarks" in refused("compare", good, good, "-k", "no_such")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name two results"),
        (("--rounds", "9"), "--rounds goes with --revisions"),
        (("--relative", "0"), "--relative 0 must be above 0"),
        (("-k", "fit or"), "has nothing to join"),
        (("--json-file", "."), "is a folder"),
    ],
)
def test_bad_usage_is_refused_in_words(arguments: tuple[str, ...], said: str) -> None:
    assert said in refused("compare", *arguments)
