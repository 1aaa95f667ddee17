"""How long an engine's work takes, for the cost model that chooses a solver."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Seconds that an engine's work takes, all threads together, measured where its figures stand.

    byte, entry : of X in a pass, whichever is slower
    tile_entry : of X, centred and scaled for a Hessian
    multiplication : in a Hessian's rank-k update
    call : of any question, before the first row
    rough_multiplication, rough_tile_entry : the same, of a Hessian from products of few bits, where the
        engine has those for p unknowns: from ``rough_from`` on
    rough_entry : of a copy of dense X in few bits, in a pass over it; infinite where there is none
    """

    byte: float
    entry: float
    tile_entry: float
    multiplication: float
    call: float
    rough_entry: float = math.inf
    rough_multiplication: float = math.inf
    rough_tile_entry: float = 0.0
    rough_from: float = math.inf
