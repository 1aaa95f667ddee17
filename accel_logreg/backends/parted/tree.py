"""A sum over parts whose bits depend on nothing but the parts: a tree of a fixed shape over their numbers."""

from __future__ import annotations

from accel_logreg.interface.arrays import Float64

_FAN_IN = 4


class TreeSum:
    """Adds what comes in the order of the parts: four at a time, four of these at a time, and so on.

    Whoever holds the parts 4ᵏ i to 4ᵏ (i + 1) − 1 can add those up alone; the rounding grows with log P.
    """

    def __init__(self) -> None:
        self._levels: list[list[Float64]] = []

    def add(self, term: Float64) -> None:
        """The next part's term, which is kept: it may not be written to afterwards."""
        level = 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            waiting = self._levels[level]
            waiting.append(term)
            if len(waiting) < _FAN_IN:
                return
            term = _added(waiting)
            waiting.clear()
            level += 1

    def total(self) -> Float64:
        """The sum of all that was added; one term at least has to have been."""
        carried: list[Float64] = []
        for waiting in self._levels:
            terms = [*waiting, *carried]
            carried = [_added(terms)] if terms else []
        return carried[0]


def _added(terms: list[Float64]) -> Float64:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
