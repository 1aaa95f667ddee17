"""The pictures of a training: ROC, calibration, coefficients, and cost by seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.figure import Figure

from accel_logreg.evaluation.coefficients import Coefficient
from accel_logreg.evaluation.scores import Scores
from accel_logreg.measure import pictures
from accel_logreg.measure.pictures import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_DASHES = ("-", "--", ":", "-.")
_MOST = 20  # bars
_NAME = 28  # characters of a column's name


@pictures.drawn
def roc(scores: Sequence[Scores]) -> Figure:
    """Of two classes all sets of rows; of more the last set, a curve for each class."""
    last = scores[-1]
    two = len(last.classes) == 2
    title = "ROC" if last.roc_auc is None else f"ROC: area {last.roc_auc:.3f} ({last.name})"
    figure, axes = pictures.new_axes(4.6, title=title, xlabel="false positives", ylabel="true positives")
    axes.plot([0, 1], [0, 1], color="0.5", lw=0.8, label="guessing")
    lines = [(one.name, curve) for one in scores for curve in one.roc] if two else [
        (curve.label, curve) for curve in last.roc
    ]  # fmt: skip
    for (name, curve), colour, dash in zip(lines, cycle(_COLOURS), cycle(_DASHES)):
        axes.plot(curve.false_positives, curve.true_positives, color=colour, ls=dash, label=_plain(name))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    pictures.legend_below(figure, axes, columns=3)
    return figure


@pictures.drawn
def calibration(scores: Sequence[Scores]) -> Figure:
    """Observed shares against predicted probabilities, a point for each tenth of the rows."""
    last = scores[-1]
    figure, axes = pictures.new_axes(
        4.6, title=f"Calibration: off by {last.calibration_error:.3f} on average ({last.name})",
        xlabel="predicted probability", ylabel="how often it happened",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color="0.5", lw=0.8, label="exactly calibrated")
    for one, colour, dash, marker in zip(scores, _COLOURS, _DASHES, "os^v", strict=False):
        xs, ys = [tenth.predicted for tenth in one.calibration], [tenth.observed for tenth in one.calibration]
        axes.plot(xs, ys, color=colour, ls=dash, marker=marker, ms=5, label=one.name)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    pictures.legend_below(figure, axes, columns=3)
    return figure


@pictures.drawn
def coefficients(found: Sequence[Coefficient], classes: Sequence[str]) -> Figure:
    """The weightiest as bars of their standardized sizes; of more than two classes, the largest of each."""
    shown = found[:_MOST]
    two = len(classes) == 2
    names, sizes = [], []
    for one in shown:
        k = max(range(len(one.standardized)), key=lambda k: abs(one.standardized[k]))
        name = one.name if len(one.name) <= _NAME else f"{one.name[: _NAME - 1]}…"
        names.append(name if two else f"{name} → {classes[k]}")
        sizes.append(one.standardized[k])
    what = f"for {_plain(classes[1])}" if two else "for the class where it is largest"
    figure, axes = pictures.new_axes(
        1.2 + 0.27 * len(shown), title=f"Standardized coefficients, {what}", xlabel="added to the logit"
    )
    axes.barh(range(len(shown)), sizes, color=[BLUE if size > 0 else VERMILION for size in sizes])
    # Names are the user's: a dollar sign starts no formula.
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.axvline(0.0, color="0.5", lw=0.8)
    return figure


@pictures.drawn
def cost(history: Mapping[str, Sequence[float]]) -> Figure:
    """The penalised mean log loss by the seconds of the fit."""
    seconds, costs = list(history["seconds"]), list(history["cost"])
    unit, size = ("ms", 1e3) if max(seconds, default=0.0) < 1.0 else ("s", 1.0)
    figure, axes = pictures.new_axes(
        3.8, title="Cost by seconds, from the first iteration to the last",
        xlabel=f"time since the fit began ({unit})", ylabel="cost J (nats)",
    )  # fmt: skip
    axes.plot([size * one for one in seconds], costs, color=BLUE, marker="o", ms=4)
    return figure


def _plain(name: str) -> str:
    """A dollar sign in a user's name starts no formula, and an underscore hides it from no legend."""
    return "\u200b" * name.startswith("_") + name.replace("$", r"\$")
