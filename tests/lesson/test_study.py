"""The speed-up study end to end on a tiny size: what it leaves behind, equal work, refusals."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from support.study_samples import QUIET

from accel_logreg.backends import BACKENDS, available_backends, load_backend
from accel_logreg.interface.engine import BackendUnavailableError
from accel_logreg.lesson.crops import FEATURES, make_crops
from accel_logreg.lesson.descent import EngineRun, train
from accel_logreg.lesson.dot import LESSON_SIZE
from accel_logreg.lesson.study import FULL, QUICK, StudySize, run_study
from accel_logreg.measure.clock import UnequalResultsError

SVG = "{http://www.w3.org/2000/svg}"
TINY = StudySize("tiny", 24, 12, 6, 2, 3, 2, 2, (10, 1000), 2, 2.0, 4)
PICTURES = {
    "claim", "dot_time", "dot_staircase", "cost_seconds", "regions", "train_crops", "predictions", "weights",
}  # fmt: skip


def study(output: Path, lesson: int = 2000, **options: Any) -> tuple[Path, str]:
    """The page of a tiny study, and what it said on a terminal of 80 columns.

    lesson : in place of the lesson's million numbers
    """
    console = Console(file=io.StringIO(), width=80)
    usual: dict[str, Any] = {"engines": None, "dtype": "float64", "n_threads": 1, "clock": QUIET}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accel_logreg.lesson.study.LESSON_SIZE", lesson)
        patch.setattr("accel_logreg.lesson.dot.SAMPLE_SECONDS", 1e-3)  # instead of ten times as long
        page = run_study(TINY, output=output, console=console, **(usual | options))
    return page, console.file.getvalue()  # type: ignore[attr-defined]


class Finished:
    """One tiny study, run once for all tests of what it leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page, self.text = study(folder, lesson=LESSON_SIZE)
        self.results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("study") / "new" / "report")


def test_writes_the_page_the_figures_and_the_pictures_and_nothing_else(finished: Finished) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {"report.html", "results.json", *(f"{name}.svg" for name in PICTURES)}
    assert finished.page == finished.folder / "report.html"
    for name in PICTURES:
        picture = ET.fromstring((finished.folder / f"{name}.svg").read_bytes())
        assert all(float(picture.get(side, "").removesuffix("pt")) > 100 for side in ("width", "height"))
        drawn = [element for element in picture.iter() if element.tag.endswith(("}path", "}use", "}image"))]
        assert len(drawn) > 5 or name == "weights", f"{name} is blank"
        assert any((element.text or "").strip() for element in picture.iter(f"{SVG}text")), name


def test_photographs_crops_and_weights_stay_raster_inside(finished: Finished) -> None:
    for name, least in (("regions", 8), ("train_crops", 18), ("weights", 5)):
        picture = ET.fromstring((finished.folder / f"{name}.svg").read_bytes())
        links = [element.get("href", "") for element in picture.iter(f"{SVG}image")]
        assert len(links) >= least
        for link in links:
            head, _, data = link.partition(";base64,")
            assert head in ("data:image/png", "data:image/jpeg")
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                image.load()
                assert len(image.convert("L").getcolors(256) or []) > 10 or name == "weights"


def test_the_page_links_to_the_tutorial(finished: Finished) -> None:
    (link,) = re.findall(
        r'<a href="([^"]*from_loop_to_gpu[^"]*)">', finished.page.read_text(encoding="utf-8")
    )
    assert (finished.folder / link).is_file()


def test_every_engine_takes_the_same_steps_to_the_same_costs(finished: Finished) -> None:
    like, full = finished.results["like"], finished.results["full"]
    available = available_backends()
    assert [run["engine"] for run in like["runs"]] == available
    assert [run["engine"] for run in full["runs"]] == [name for name in available if name != "python"]
    for study, rounds, steps, rows in ((like, 2, 4, 6), (full, 2, 6, 24)):
        assert (study["steps"], study["n_rows"], study["n_features"]) == (steps, rows, FEATURES)
        assert study["matrix_bytes"] == rows * FEATURES * 8
        reference = np.array(study["runs"][0]["costs"])
        assert reference[0] == pytest.approx(np.log(2.0), rel=1e-12)  # J at zero weights
        assert (np.diff(reference) < 0).all()
        for run in study["runs"]:
            assert len(run["samples"]) == rounds
            assert all(seconds > 0 for seconds in run["samples"])
            np.testing.assert_allclose(run["costs"], reference, rtol=1e-9)


def test_results_name_the_machine_and_every_engine(finished: Finished) -> None:
    results = finished.results
    assert set(results["status"]) == set(BACKENDS)
    for name, error in results["status"].items():
        assert (error is None) == (name in available_backends())
        assert error is None or (error["reason"] and error["remedy"])
    assert results["machine"]["usable_cores"] >= 1
    assert results["read_bandwidth"] > 0
    assert results["study"] == "tiny"


def test_the_terminal_shows_every_table_whole_in_80_columns(finished: Finished) -> None:
    text = finished.text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "not a cat detector",
        "One step of gradient descent",
        "What was learned",
        "times faster than the loop: np.dot(a, b) of 1,000,000 numbers",
        "exact fit, C=1",
    ):
        assert words in " ".join(text.split())
    assert str(finished.page) in text.replace("\n", "")


def test_a_run_in_rounds_is_the_run_in_one_go() -> None:
    few, test = make_crops(8, 4, dtype="float64", random_state=0)
    study = train(["numpy"], few, test, rounds=3, steps_per_round=2, n_threads=1, clock=QUIET)
    whole = (
        load_backend("numpy")
        .place(few.X, few.y, None)
        .descend(np.zeros(FEATURES + 1), study.learning_rate, 0.0, 6, True)
    )
    np.testing.assert_array_equal(study.runs[0].W, whole.W)
    np.testing.assert_array_equal(study.runs[0].costs[:-1], whole.costs)


def test_float32_crops_agree_too() -> None:
    few, test = make_crops(4, 4, dtype="float32", random_state=0)
    study = train(["python", "numpy"], few, test, rounds=1, steps_per_round=2, n_threads=1, clock=QUIET)
    assert study.dtype == "float32"
    assert study.matrix_bytes == 4 * FEATURES * 4
    assert study.largest_difference < 1e-4
    slow = replace(study.runs[0], samples=(1.0, 2.0, 9.0))
    fast: EngineRun = replace(slow, samples=(0.5,))
    study = replace(study, runs=(slow, fast))
    assert study.bytes_per_second(slow) == study.matrix_bytes / 2.0
    assert study.speed_up(fast) == 4.0


def test_engines_that_disagree_stop_the_study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from accel_logreg.kernels.numpy_vectorised import dense as numpy_vectorised

    correct = numpy_vectorised.gradient_descent_step
    monkeypatch.setattr(
        numpy_vectorised,
        "gradient_descent_step",
        lambda w, b, dw, db, alpha: correct(w, b, dw, db, 1.001 * alpha),
    )
    with pytest.raises(UnequalResultsError, match="'numpy' before step"):
        study(tmp_path / "out", engines=["python", "numpy"])
    assert not (tmp_path / "out").exists()


def test_the_loop_alone_makes_a_report_too(tmp_path: Path) -> None:
    page, text = study(tmp_path / "out", engines=["python"])
    results = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))
    assert results["full"] is None
    assert results["exact"] == []
    assert "times faster" not in text
    assert "<h1>The loop or one call" in page.read_text(encoding="utf-8")


def test_the_lessons_own_length_and_the_exact_fits_are_always_there(finished: Finished) -> None:
    """A loop of a million numbers runs however slow the machine is; the fits are optima."""
    sizes = {point["size"] for point in finished.results["dot"]["points"] if point["version"] == "array loop"}
    assert sizes == {*TINY.dot_sizes, LESSON_SIZE}
    for fit in finished.results["exact"]:
        assert fit["gap"] <= 1e-8
        assert 0 < fit["reads"] < 50
        assert len(fit["samples"]) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engines": []}, r"engines=\[\] leaves nothing to measure; name some of 'python'"),
        ({"engines": ["fortran"]}, "engine 'fortran' is unknown; allowed: 'python', 'numpy'"),
        ({"engines": ["auto"]}, "engine 'auto' is unknown"),
        ({"dtype": "int8"}, "dtype='int8' is not supported"),
        ({"n_threads": 0}, "n_threads=0 must be at least 1"),
    ],
)
def test_refuses_before_measuring(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sizes", [(), (10, 0)])
def test_refuses_vectors_of_no_length(sizes: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=rf"sizes={re.escape(str(list(sizes)))} must be vector lengths from 1 up"
    ):
        replace(QUICK, dot_sizes=sizes)


def test_refuses_an_engine_that_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import accel_logreg.backends as backends

    def broken() -> Any:
        raise BackendUnavailableError("cupy", "no device.", "Plug one in.")

    monkeypatch.setitem(backends._LOADERS, "cupy", broken)
    monkeypatch.delitem(backends._loaded, "cupy", raising=False)
    with pytest.raises(BackendUnavailableError, match=r"no device\. Plug one in\."):
        study(tmp_path / "out", engines=["cupy"])


def test_refuses_an_output_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.write_text("mine")
    for output in (file, file / "below"):
        with pytest.raises(NotADirectoryError, match="is a file; name a folder"):
            study(output)
    assert file.read_text() == "mine"


def test_the_two_sizes_differ_only_in_size() -> None:
    assert FULL.n_train > QUICK.n_train > QUICK.loop_rows
    assert FULL.loop_rows == 209  # the lesson's training set
    assert FULL.rounds * FULL.steps_per_round == 1000
    assert FULL.dot_sizes == QUICK.dot_sizes
