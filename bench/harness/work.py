"""One benchmark before it is timed: the call, what is right, and what a reader has to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from accel_logreg.interface.engine import Engine

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """What a ``contest`` times.

    Attributes
    ----------
    call : function without arguments
        The work. It is over when it returns, on a GPU too.
    check : function of its answer
        Raises where the answer is wrong. It may return facts that the record keeps, by name: the
        suboptimality it found, the peak of memory, …
    engine : Engine
    X : anything with ``shape``, ``dtype`` and ``nbytes``
        What one read reads.
    group : str
        What this is compared with, and nothing else.
    reads : float
        Of X, by one call; 0 where it is not known beforehand.
    counter : function, or None
        The engine's own count of reads so far. It is looked at before and after a call; a ``reads`` that is
        given must be what it says.
    around : function that returns a context manager
        Entered around the timed calls: the engine's threads.
    cold : bool
        X is driven out of the caches before every call.
    same : function of the answer, or None
        The numbers in which all members of a group must agree, within ``same_within`` relative: equal
        work. None where ``check`` says it all.
    told : function of the answer, or None
        Seconds, where the call ran in another process and was timed there.
    synchronise : bool
        For a GPU call that does not wait for its answer: the clock waits for the device, inside the
        timed span. Without it such a call is refused.
    info : mapping
        Fields of ``bench.report.document.Record`` by name, and whatever else belongs into its ``extra``.
    """

    call: Callable[[], Any]
    check: Callable[[Any], Facts | None]
    engine: Engine
    X: Any
    group: str
    reads: float
    counter: Callable[[], float] | None = None
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    cold: bool = False
    same: Callable[[Any], NDArray[Any] | float] | None = None
    same_within: float = 1e-9
    told: Callable[[Any], float] | None = None
    synchronise: bool = False
    info: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What the clock and the checks say of one work.

    first_seconds : of the first call, which may compile or load.
    seconds : per call, one figure a round.
    calls : in each of those samples.
    interleaved : other members of the group were timed in the same rounds.
    facts : what the last check returned, and what was measured beside it.
    """

    first_seconds: float
    seconds: tuple[float, ...]
    calls: int
    interleaved: bool
    facts: Facts
