"""The engines as parameters, and how a benchmark is measured: in a ``contest`` with those of its group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from accel_logreg.backends import BACKENDS, BackendUnavailableError, load_backend
from accel_logreg.interface.engine import Engine
from bench.harness.gpu_place import Place, cuda_place
from bench.harness.laboratory import Kept, Laboratory, Replay
from bench.harness.measuring import FULL, ONCE, QUICK
from bench.harness.options import budget_of
from bench.harness.work import Work
from bench.judge.score import loss_grad
from bench.problems.dense import correlated_on

Contest = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-gpu", action="store_true", help="a benchmark that finds no GPU fails")
    parser.addoption("--full", action="store_true", help="the large shapes as well, and more rounds")


def pytest_configure(config: pytest.Config) -> None:
    # One that failed says so itself.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used at all")
    config.addinivalue_line("markers", "full: only with --full, because it takes long")
    full = config.getoption("--full")
    budget = ONCE if config.getoption("--benchmark-disable") else FULL if full else QUICK
    budget = budget_of(config.invocation_params.args, config.getoption, budget)
    laboratory = Laboratory(full=full, budget=budget)
    config.pluginmanager.register(laboratory, "laboratory")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=Replay()))


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether this run may take long."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], Engine]:
    """Load an engine; one that cannot run is a skip with the reason, a failure with --require-gpu."""

    def load(name: str) -> Engine:
        try:
            return load_backend(name)
        except BackendUnavailableError as error:
            if name == "cupy" and request.config.getoption("--require-gpu"):
                pytest.fail(f"--require-gpu: {error}", pytrace=False)
            pytest.skip(str(error))

    return load


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest, require: Callable[[str], Engine]) -> Engine:
    """Each engine in turn."""
    return require(request.param)


@pytest.fixture(params=["cupy"])
def place(request: pytest.FixtureRequest, require: Callable[[str], Engine]) -> Iterator[Place]:
    """The GPU here; without one a skip that says why, or with --require-gpu a failure."""
    engine = require(request.param)
    try:
        trial = correlated_on(import_module("cupy"), 8, 2, "float32")
        loss_grad(trial, trial.weights)
    except Exception as error:  # CuPy's own kernels need headers and libraries that ours do without
        pytest.skip(f"CuPy's own kernels, which make and judge the problems, do not run here: {error}")
    with cuda_place(engine) as found:
        yield found


@pytest.fixture
def laboratory(request: pytest.FixtureRequest) -> Laboratory:
    found = request.config.pluginmanager.get_plugin("laboratory")
    assert isinstance(found, Laboratory)
    return found


@pytest.fixture
def contest(
    request: pytest.FixtureRequest,
    benchmark: Any,
    laboratory: Laboratory,
    require: Callable[[str], Engine],
) -> Contest:
    """``contest(prepare, engine=engine)``: this benchmark, timed in turns with the others of its group.

    ``prepare(engine=...)`` gives the ``Work`` of a member. The keywords say in which parameters the members
    differ; all else of the parameters is what they share. Whichever member runs first has all that were
    selected prepared and timed together, round after round; the others find their samples taken. One
    that skips or fails does so in its own name. Without keywords it is measured alone.

    The first call is timed alone (it may compile) and its answer checked; the answer of the last timed
    call is checked too, and nothing is recorded if either is wrong. A call on a GPU has to be over when it
    returns, or say ``synchronise=True``: one that is not raises ``UnsynchronisedError``.
    """

    def run(prepare: Callable[..., Work], **member: Any) -> None:
        node = request.node
        names = tuple(member)
        key = laboratory.key(node, names)
        if key not in laboratory.contests:
            works: dict[str, Work] = {}
            failed: dict[str, Kept | BaseException] = {}
            for item, raw in laboratory.siblings(node, request.session.items, names):
                try:
                    loaded = {"engine": require(raw["engine"])} if "engine" in raw else {}
                    works[item.name] = prepare(**{**raw, **loaded})
                except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
                    failed[item.name] = error
            laboratory.contests[key] = {**failed, **laboratory.run(works)}
        laboratory.keep(node, benchmark, laboratory.contests[key].pop(node.name))

    return run
