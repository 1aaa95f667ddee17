"""pytest-benchmark's options in our terms: honoured, or refused by name with the reason.

Samples are taken by our clock, in turns with the others of a contest, and pytest-benchmark is given them: an
option that it would have heeded while timing has to be heeded here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bench.harness.measuring import Budget

_CLOCK = "wall time is what is compared, on a GPU once it is idle"
_WARM = "every member of a contest is called before it is timed, and its first call is recorded apart"
_PROFILE = "what is profiled would be the replay; use accel-logreg profile, or python -m cProfile of a script"
_SPREAD = "rounds follow from a time, and intervals are of the median; use --benchmark-max-time"
REFUSED = {
    "--benchmark-timer": _CLOCK,
    "--benchmark-warmup": _WARM,
    "--benchmark-warmup-iterations": _WARM,
    "--benchmark-precision": _SPREAD,
    "--benchmark-confidence": _SPREAD,
    "--benchmark-calibration-precision": "short calls are repeated within a sample; use --benchmark-min-time",
    "--benchmark-cprofile": _PROFILE,
    "--benchmark-cprofile-loops": _PROFILE,
    "--benchmark-cprofile-top": _PROFILE,
    "--benchmark-cprofile-dump": _PROFILE,
}


def budget_of(arguments: Iterable[str], option: Any, budget: Budget) -> Budget:
    """``budget`` as the command line has it; ``option`` gives an option's value.

    --benchmark-min-rounds    rounds at least, whatever they take
    --benchmark-max-time      seconds a benchmark; those of a contest share theirs
    --benchmark-min-time      seconds a sample; shorter calls are repeated within one
    --benchmark-disable-gc    always so

    Raises
    ------
    pytest.UsageError
        An option that is not for these benchmarks.
    """
    given = {argument.partition("=")[0] for argument in arguments}
    for name, why in REFUSED.items():
        if name in given:
            raise pytest.UsageError(f"{name} does not go with these benchmarks: {why}")
    if "--benchmark-max-time" in given:
        seconds = float(option("--benchmark-max-time"))
        budget = replace(budget, seconds=seconds, each=True, most=1_000_000, longest=math.inf)
    if "--benchmark-min-time" in given:
        budget = replace(budget, sample=float(option("--benchmark-min-time")))
    if "--benchmark-min-rounds" in given:
        rounds = int(option("--benchmark-min-rounds"))
        most = max(budget.most, rounds)
        budget = replace(budget, fewest=rounds, rarely=rounds, most=most, longest=math.inf, slow=math.inf)
    return budget
