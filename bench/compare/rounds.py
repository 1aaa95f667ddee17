"""Two revisions measured in turns, so that a noisy neighbour hits both.

What is measured is a small fixed set of questions (``bench/compare/worker.py``), put to both revisions
through the public API and the interface, and not the revisions' own ``bench/``: their suites differ, their
results' formats differ, and a run of pytest lasts so long that the machine is another one when B's turn
comes.

- A ROUND is a pair of fresh processes, one a revision: where a process and its arrays come to lie in memory
  changes times by tens of per cent here, for as long as it lives. So a round gives one figure, and only
  the number of rounds makes a result certain.
- Within a round both processes are alive and only one of them works. Each benchmark is measured A, B, B, A, …
  in samples of some 25 ms, and the order is turned round from round to round.
- The figure of a round is the least of its batches' times per call: what neighbours and interrupts do is
  only ever to add, and work that was added to the code is in every batch (Chen and Revels, "Robust
  benchmarking in noisy environments", IEEE HPEC 2016). A batch is some 0.3 ms: short, so that some of
  hundreds escape a busy machine's time slices; one call where a call is longer.
- After ``rounds`` rounds, what has settled within the thresholds is done. What looks changed, or is too
  noisy to say, gets twice as many again, and verdicts count all of its rounds. Stopping early only where
  nothing was found makes no false alarm likelier.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.compare import answers
from bench.compare.revisions import RevisionError
from bench.compare.worker import Task

EFFORT = 3  # times the rounds, for what looks changed
_BATCH = 3e-4  # seconds: many times the clock's grain, far below a time slice of the system


class Measurer(Protocol):
    """One process that measures one revision. Requests are answered in the order in which they are posted."""

    def post(self, **request: Any) -> None: ...

    def reply(self) -> dict[str, Any]: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    rounds : pairs of processes for every benchmark; three times as many in all for what looks changed
    turns : of each side for a benchmark in a round
    seconds : a turn, at least one batch of calls
    rest : seconds before a turn, until the BLAS threads of the other side's turn have stopped spinning
    """

    rounds: int = 8
    turns: int = 4
    seconds: float = 0.025
    rest: float = 0.04


@dataclass
class Taken:
    """What the rounds gave of one benchmark: its description, and a figure a round and side, in seconds."""

    task: Task
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    suboptimality: list[float | None] = field(default_factory=lambda: [None, None])
    first_seconds: tuple[float | None, float | None] = (None, None)
    threads: tuple[int, int] = (1, 1)
    calls: int = 0  # a batch, the same for both


@dataclass
class Outcome:
    """All benchmarks that both revisions did right, and of the others, why each side did not."""

    taken: dict[str, Taken] = field(default_factory=dict)
    unavailable: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    wrong: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    load_average: float = 0.0

    def trouble(self, name: str, replies: Sequence[dict[str, Any]]) -> bool:
        """Whether a side could not, or did wrong; such a benchmark is given up."""
        troubled = False
        for side, reply in enumerate(replies):
            for kind, found in (("unavailable", self.unavailable), ("wrong", self.wrong)):
                if kind in reply:
                    found[side][name] = reply[kind]
                    self.taken.pop(name, None)
                    troubled = True
        return troubled


@dataclass(frozen=True)
class Conductor:
    """Runs the rounds.

    start : makes the process of side 0 (A) or 1 (B)
    unsettled : of A's and B's figures so far, whether more rounds are worth their time
    check : of a task and its answer; the suboptimality of a fit, or ArithmeticError where it is wrong
    report : told what is being done, in a line
    """

    start: Callable[[int], Measurer]
    unsettled: Callable[[Sequence[float], Sequence[float]], bool]
    plan: Plan = Plan()
    check: Callable[[Task, Any], float | None] = answers.check
    report: Callable[[str], None] = lambda _: None

    def run(self, tasks: Sequence[Task]) -> Outcome:
        """Prepare both sides, measure all rounds, and those of what looks changed.

        Raises
        ------
        RevisionError
            A process ended, or nothing can be measured on both sides.
        """
        return self.measure(self.prepare(tasks))

    def prepare(self, tasks: Sequence[Task]) -> Outcome:
        """Compile what compiles, on both sides at once, and check every answer; nothing is timed yet.

        Raises
        ------
        RevisionError
            A process ended, or nothing can be measured on both sides.
        """
        outcome = Outcome(load_average=os.getloadavg()[0])
        self.report(f"compiling and checking {len(tasks)} benchmarks on both sides")
        with self._both() as both:
            for task in tasks:
                opened = _ask_both(both, do="open", name=task.name)
                if outcome.trouble(task.name, opened) or self._closed(task, both, outcome) is None:
                    continue
                outcome.taken[task.name] = Taken(
                    task,
                    threads=(opened[0]["threads"], opened[1]["threads"]),
                    first_seconds=(opened[0]["first_seconds"], opened[1]["first_seconds"]),
                )
        if not outcome.taken:
            (why, *_) = [why for side in (*outcome.unavailable, *outcome.wrong) for why in side.values()]
            raise RevisionError(f"no benchmark can be measured on both sides: {why}")
        return outcome

    def measure(self, outcome: Outcome) -> Outcome:
        """All rounds of what was prepared, and more of what looks changed: ``outcome`` with its figures."""
        rounds, taken = self.plan.rounds, outcome.taken
        names = list(taken)
        for number in range(EFFORT * rounds):
            names = [name for name in names if name in taken]
            if number == rounds:
                names = [name for name in names if self.unsettled(*taken[name].seconds)]
                if not names:
                    break
                self.report(f"more rounds of what may have changed: {', '.join(names)}")
            self.report(f"round {number + 1} of {rounds if number < rounds else EFFORT * rounds}")
            with self._both() as both:
                for name in names:
                    self._measure(number, name, both, outcome)
        return outcome

    def _measure(self, number: int, name: str, both: Sequence[Measurer], outcome: Outcome) -> None:
        taken, plan = outcome.taken[name], self.plan
        order = (0, 1) if number % 2 == 0 else (1, 0)
        opened = {side: _ask(both[side], do="open", name=name) for side in order}
        if outcome.trouble(name, [opened[0], opened[1]]):
            return
        if not taken.calls:
            taken.calls = _ask(both[0], do="calls", at_least=_BATCH).get("calls", 1)
        samples: tuple[list[float], list[float]] = ([], [])
        for turn in range(plan.turns):
            for side in order if turn % 2 == 0 else order[::-1]:
                time.sleep(plan.rest)
                reply = _ask(both[side], do="take", calls=taken.calls, seconds=plan.seconds)
                if outcome.trouble(name, [reply, {}] if side == 0 else [{}, reply]):
                    return
                samples[side].extend(reply["seconds"])
        closed = self._closed(taken.task, both, outcome)
        for side, suboptimality in enumerate(closed or ()):
            taken.seconds[side].append(min(samples[side]))
            taken.suboptimality[side] = suboptimality

    def _closed(self, task: Task, both: Sequence[Measurer], outcome: Outcome) -> list[float | None] | None:
        """Of fits, how far the last answers are from the optimum; None where one of both is wrong."""
        replies, found = _ask_both(both, do="close"), []
        for reply in replies:
            try:
                found.append(self.check(task, reply["answer"]) if "answer" in reply else None)
            except ArithmeticError as error:
                reply["wrong"] = str(error)
        return None if outcome.trouble(task.name, replies) else found

    @contextmanager
    def _both(self) -> Iterator[list[Measurer]]:
        """A process of each side, ended whatever happens."""
        with ExitStack() as stack:
            both = []
            for side in (0, 1):
                both.append(self.start(side))
                stack.callback(both[-1].end)
            yield both


def _ask(measurer: Measurer, **request: Any) -> dict[str, Any]:
    measurer.post(**request)
    return measurer.reply()


def _ask_both(both: Sequence[Measurer], **request: Any) -> list[dict[str, Any]]:
    """Both at work at once: for what is not timed."""
    for measurer in both:
        measurer.post(**request)
    return [measurer.reply() for measurer in both]
