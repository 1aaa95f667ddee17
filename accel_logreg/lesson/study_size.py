"""How much the speed-up study measures: the full one in minutes, the quick one in tens of seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StudySize:
    """How much is measured.

    Attributes
    ----------
    n_train, n_test, loop_rows : int
        Training and test crops, and how many of the training crops all engines, the loop included, share.
    rounds, steps_per_round : int
        Of the training on all rows; together its steps.
    loop_rounds, loop_steps : int
        The same on the loop's rows.
    dot_sizes : tuple of int
        Lengths of the vectors of the dot product.
    dot_rounds : int
    call_limit : float
        Seconds; a version of the dot product stops before one call would take longer.
    bandwidth_megabytes : int
        How much is read to find the memory's bandwidth.
    """

    name: str
    n_train: int
    n_test: int
    loop_rows: int
    rounds: int
    steps_per_round: int
    loop_rounds: int
    loop_steps: int
    dot_sizes: tuple[int, ...]
    dot_rounds: int
    call_limit: float
    bandwidth_megabytes: int

    def __post_init__(self) -> None:
        if not self.dot_sizes or min(self.dot_sizes) < 1:
            raise ValueError(f"sizes={list(self.dot_sizes)} must be vector lengths from 1 up, at least one")


DECADES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# The lesson's training set has 209 pictures; so has the loop here.
FULL = StudySize("full", 2000, 600, 209, 10, 100, 5, 4, DECADES, 7, 2.0, 512)
QUICK = StudySize(
    "quick", 800, 300, 48, 5, 60, 3, 3, DECADES, 5, 0.3, 256
)  # five rounds: the fewest with an interval
