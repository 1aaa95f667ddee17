"""What a cell of a table is worth when its column is sorted."""

from __future__ import annotations

import re

# Of seconds, bytes, bytes per second, flops per second, and of one.
UNITS = {
    "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9,
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12,
    "MFLOP/s": 1e6, "GFLOP/s": 1e9, "TFLOP/s": 1e12,
    "%": 1e-2, "×": 1.0, "": 1.0,
}  # fmt: skip
_CELL = re.compile(
    r"""\s*(?P<number>[-−+]?\d[\d,]*(?:\.\d+)?(?:[eE][-−+]?\d+)?)
        \s*(?P<unit>[^\W\d_][\w/]*|[%×]|)
        (?:\s+(?:to|±|\().*)?\s*""",  # of an interval, the lower end; what stands in brackets is a remark
    re.VERBOSE,
)


def sort_value(cell: str) -> float | None:
    """The number in "161 ms", "1,234×", "3.2e-10", "45 %" or "1.2 ms to 1.5 ms", in the unit's own base.

    None where the cell is not one number with a unit that is known: "numba", "not run", "2000x28".
    """
    found = _CELL.fullmatch(cell)
    if found is None or found["unit"] not in UNITS:
        return None
    return float(found["number"].replace(",", "").replace("−", "-")) * UNITS[found["unit"]]
