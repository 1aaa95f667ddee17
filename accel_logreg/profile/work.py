"""What a question is worth: the flops of its formula, counted from shapes alone.

A multiplication and an addition are two. The exponential of a row is not counted, nor what an engine adds
to the formula: padding, a second reading, conversions. So percentages of a ceiling are not too high.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

# Per entry of the rows that a question looks at.
_FLOPS_AN_ENTRY = {
    "loss_grad": 4,  # z, then g
    "hessian_product": 6,  # z and X V, then the sum
    "hessian_diagonal": 5,  # z; a square, its product with the weight, the sum
    "combination": 2,
    "logits": 2,
    "largest_entry": 1,
}


def arguments_of(
    door: type, question: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by name, defaults included."""
    bound = _signature(door, question).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


@cache
def _signature(door: type, question: str) -> inspect.Signature:
    return inspect.signature(getattr(door, question))


def rows_looked_at(question: str, n: int, arguments: Mapping[str, Any]) -> int:
    """How many rows a question is about: those of a sample, or all n."""
    sample = arguments.get("sample") or arguments.get("picked")
    if sample is not None:
        return len(sample.rows)
    return len(arguments["a"]) if question == "combination" else n


def flops(question: str, m: int, d: int, arguments: Mapping[str, Any], answer: Any) -> float:
    """Of a question about m rows of d features; 0 for one that only moves rows, or is not known here."""
    p = d + 1
    if question == "hessian" or (
        question == "low_precision_hessian" and answer is not None
    ):  # z; centre and scale; half of a symmetric matrix
        return float(m) * (4 * d + p * (p + 1))
    if question == "gram":
        return float(m) * d + float(m) * (m + 1) * d
    if question == "descend":
        return 4.0 * m * d * int(arguments["steps"])
    if question == "small_fit" and answer is not None:
        steps = len(answer.costs) - 1
        return float(m) * (4 * d * (steps + 1) + p * (p + 1) * steps)
    return float(_FLOPS_AN_ENTRY.get(question, 0)) * m * d


def arithmetic(question: str, arguments: Mapping[str, Any]) -> str:
    """The width in which a question is allowed to multiply."""
    if question == "low_precision_hessian":
        return "int8"
    return "float32" if question == "hessian" and arguments["precision"] == "float32" else "float64"
