"""The README's example runs, and the files it names exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from accel_logreg.backends import load_backend

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def example() -> str:
    """It runs anywhere as it stands; an engine's name makes it that engine's."""
    code = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)[0]
    assert 'backend="auto"' in code
    return str(code)


def run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert re.search("certified|estimated", capsys.readouterr().out)


def test_example_on_a_cpu_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_backend("numba").name == "numba"
    run(example().replace('backend="auto"', 'backend="numba"').replace("20_000", "2_000"), capsys)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/index.md",
        "docs/coming-from-scikit-learn.md",
        "docs/coming-from-statsmodels.md",
        "docs/larger-than-memory.md",
        "docs/dask.md",
    ],
)
def test_sessions_print_what_they_show(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where what they write may lie
    text = (ROOT / page).read_text(encoding="utf-8")
    tests = doctest.DocTestParser().get_doctest(
        "\n".join(re.findall(r"```pycon\n(.*?)```", text, flags=re.DOTALL)), {}, page, None, 0
    )
    assert len(tests.examples) >= 5
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(tests).failed == 0


def test_cross_validation_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    ((code, printed),) = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", TEXT)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_example_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    run(example().replace('backend="auto"', 'backend="cupy"'), capsys)


def test_the_first_screen_has_a_picture_the_commands_and_an_example() -> None:
    """In this order, and before any heading; the commands say how long they take."""
    first = TEXT[: TEXT.index("\n## ")]
    places = [first.index(part) for part in ("](docs/claim.svg)", "make demo", "make test", "```pycon")]
    assert places == sorted(places)
    assert len(first[: places[-1]].splitlines()) < 20
    assert all("minutes" in line for line in first.splitlines() if line.startswith("$ make"))


def test_files_named_in_the_readme_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / target).exists(), target
    block = re.findall(r"```\n(.*?)```", TEXT, flags=re.DOTALL)[-1]
    for name in re.findall(r"\b(\w+\.py)\b", block):
        assert list(ROOT.glob(f"*/**/{name}")), name
