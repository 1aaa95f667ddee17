"""The process that measures: it answers, is ended whatever it is doing, and its death has a reason."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.harness.process import Process, ProcessEndedError, inherited

TARGET = """
import os, subprocess, sys, time

def make(task):
    if task == "broken":
        raise ValueError("no such task")
    def answer(request):
        if not isinstance(request, str):
            print("printed, not answered")
            return task, request
        if request == "die":
            print("out of luck", flush=True)
            os._exit(3)
        if request == "hang":
            time.sleep(600)
        if request == "child":
            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
        if request == "variable":
            return os.environ.get("GIVEN"), os.getcwd(), sys.flags.no_user_site
    return answer
"""


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "a_target.py"
    path.write_text(TARGET)
    return f"{path}:make"


def test_requests_are_answered_in_their_order(target: str) -> None:
    array = np.arange(100_000.0)
    with Process(target, {"of": "any kind"}) as process:
        task, request = process.ask(array, 600.0)
        assert task == {"of": "any kind"}
        np.testing.assert_array_equal(request, array)
        process.post(1)
        process.post(2)
        assert [process.reply(600.0)[1], process.reply(60.0)[1]] == [1, 2]
        assert process.alive
    assert not process.alive


@pytest.mark.usefixtures("target")
def test_a_module_of_ours_is_found_and_variables_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with Process(
        "a_target:make", environment=inherited(GIVEN="yes"), options=("-s",), folder=tmp_path
    ) as process:
        assert process.ask("variable", 600.0) == ("yes", str(tmp_path.resolve()), 1)


@pytest.mark.parametrize(
    ("task", "request_", "limit", "words"),
    [
        ("", "hang", 0.05, "did not finish in 0.05 s"),
        ("", "die", 600.0, "its process ended with status 3: out of luck"),
        ("broken", "", 600.0, "its process ended with status 1: ValueError: no such task"),
    ],
)
def test_no_answer_has_a_reason(target: str, task: str, request_: str, limit: float, words: str) -> None:
    process = Process(target, task)
    with pytest.raises(ProcessEndedError) as caught:
        process.ask(request_, limit)
    assert str(caught.value) == words
    assert not process.alive
    process.close()


@pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc; the signal to the group is the same elsewhere"
)
def test_what_it_started_ends_with_it(target: str) -> None:
    with Process(target) as process:
        child = process.ask("child", 600.0)
    give_up = time.monotonic() + 60.0
    while _runs(child) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether it is there, and no zombie that nobody has waited for."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
