"""A tiny speed-up study, measured for the tests of its report, on a machine that is made up."""

from __future__ import annotations

from accel_logreg.interface.engine import BackendUnavailableError
from accel_logreg.kernels.numpy_vectorised.dense import sigmoid
from accel_logreg.lesson import pictures
from accel_logreg.lesson.crops import make_crops
from accel_logreg.lesson.descent import train
from accel_logreg.lesson.dot import measure_dot
from accel_logreg.lesson.report import Results, absent
from accel_logreg.measure.clock import Clock

QUIET = Clock(rest=0.0, settling=0.0)
MISSING = BackendUnavailableError("cupy", "<no> device & driver.", 'Run: pip install "accel_logreg[cuda12]"')


def tiny_results(*, sizes: tuple[int, ...] = (10, 100), rounds: int = 1) -> Results:
    crops, test = make_crops(4, 4, dtype="float64", random_state=0)
    return Results(
        study="tiny",
        n_threads=None,
        machine={
            "date": "today",
            "cpu": "a <cpu>",
            "usable_cores": 2,
            "cache_bytes": {"L2": 10**6, "L3": 10**8},
            "python": "CPython",
        },
        load_average=0.0,
        read_bandwidth=2e10,
        status={"numpy": None, "cupy": MISSING},
        compile_seconds={"numpy": 0.001},
        n_test=4,
        dot=measure_dot(["python", "numpy"], sizes, n_threads=1, repeats=rounds, call_limit=1.0, clock=QUIET),
        like=train(["numpy"], crops, test, rounds=1, steps_per_round=2, n_threads=1, clock=QUIET),
        full=None,
    )


def curves(results: Results) -> dict[str, bytes]:
    """The pictures that show figures."""
    claim = results.dot.claim()
    assert claim is not None
    return {
        "claim": pictures.claim(claim),
        "dot_time": pictures.dot_time(results.dot),
        "dot_staircase": pictures.dot_staircase(results.dot, absent(results)),
        "cost_seconds": pictures.cost_seconds(results.like),
    }


def stand_ins(results: Results) -> dict[str, bytes]:
    """The same, and one of them in the place of every photograph, which takes longer to draw."""
    drawn = curves(results)
    others = ("regions", "train_crops", "predictions", "weights")
    return drawn | dict.fromkeys(others, drawn["cost_seconds"])


def photographs(results: Results) -> dict[str, bytes]:
    """The pictures that show pictures."""
    crops, test = make_crops(4, 4, dtype="float64", random_state=0)
    W = results.like.runs[0].W
    return {
        "regions": pictures.regions(),
        "train_crops": pictures.train_samples(crops),
        "predictions": pictures.predictions(test, sigmoid(test.X @ W[:-1] + W[-1])),
        "weights": pictures.weights(W, results.like.steps),
    }
