"""The tutorial runs, its answers are right, and what it quotes stands in the files it names."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from support.cuda_host.play_engine import PlayedCupyBackend

from accel_logreg.lesson.report import formula_table
from accel_logreg.lesson.tutorial import in_turns, running, show, size
from accel_logreg.measure import machine
from accel_logreg.measure.clock import Clock
from bench.tutorial.__main__ import main
from bench.tutorial.notebook import to_notebook
from bench.tutorial.page import (
    MACHINE,
    PAGES,
    ROOT,
    TRANSLATIONS,
    PageError,
    execute,
    fences,
    fill,
    machine_in_words,
    misquoted,
)

pytest_plugins = ["support.cuda_host.fixtures"]

TEXTS = {page.name: page.read_text(encoding="utf-8") for page in (*PAGES, *TRANSLATIONS.values())}
LOOP_TO_GPU = TEXTS["from_loop_to_gpu.md"]
every_page = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
SMALL = """# A page
```python
from accel_logreg.lesson.tutorial import in_turns, show, size
show("sum", in_turns({"a": lambda: sum(range(size(1000, 10)))}))
```
<!-- measured:begin sum -->
old
<!-- measured:end sum -->
<!-- measured:begin machine -->
<!-- measured:end machine -->
"""


@every_page
@pytest.mark.slow
def test_every_block_runs_and_every_table_has_its_place(text: str) -> None:
    shown = execute(text, quick=True)
    filled = fill(text, {**shown, MACHINE: "a machine"})
    assert all(table in filled for table in shown.values())
    assert fill(filled, {**shown, MACHINE: "a machine"}) == filled


@pytest.mark.slow
def test_block_of_the_gpu_where_there_is_one(played_engine: PlayedCupyBackend) -> None:
    """With the kernels on the host in a GPU's place, and a problem that it plays in a moment."""
    assert played_engine.name == "cupy"
    text = LOOP_TO_GPU.replace("assert d == 64 * 64 * 3\n", "").replace(
        "X, y = pictures.X, pictures.y", "X, y = pictures.X[:, :6].copy(), pictures.y"
    )
    text = text.replace("tumours.data", "tumours.data[::25, :3]").replace(
        "tumours.target", "tumours.target[::25]"
    )
    shown = execute(text, quick=True)
    assert "cupy engine, X on the device" in shown["step-cuda"]


def test_quotations_stand_in_their_files() -> None:
    assert [wrong for text in TEXTS.values() for wrong in misquoted(text)] == []
    assert {fence.source for fence in fences(LOOP_TO_GPU) if fence.source} == {
        "kernels/python_loop/dense.py",
        "kernels/numpy_vectorised/dense.py",
        "kernels/numba_jit/dense.py",
        "kernels/cupy_fused/dense/passes.cu",
    }


@pytest.mark.parametrize("name", ["from_loop_to_gpu.md", "from_loop_to_gpu.zh.md"])
def test_formulas_stand_beside_code_that_stands_in_its_file(name: str) -> None:
    """The page's table is the report's, and what it quotes is in the function that it names."""
    cells = [line.strip("| ").split(" | ") for line in TEXTS[name].splitlines() if line.count(" | ") == 4]
    files, rows = (
        [cell.strip("`") for cell in cells[0][3:]],
        [[c.strip("`") for c in row[1:]] for row in cells[1:]],
    )
    assert rows == [list(row) for row in formula_table().rows]
    for _, function, *codes in rows:
        for file, code in zip(files, codes, strict=True):
            text = (ROOT / file).read_text(encoding="utf-8")
            body = re.search(rf"^def {function}\(.*?(?=^def |\Z)", text, re.MULTILINE | re.DOTALL)
            assert body, f"{file} has no {function}"
            assert code in body[0], f"{function} of {file} has no {code}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_translation_has_the_same_blocks_tables_and_sections(page: Path) -> None:
    one, other = TEXTS[page.name], TEXTS[TRANSLATIONS[page].name]
    assert [fence.code for fence in fences(one)] == [fence.code for fence in fences(other)]
    tables = re.compile(r"<!-- measured:begin .*?<!-- measured:end \S+ -->", re.DOTALL)
    assert tables.findall(one) == tables.findall(other)
    numbers = re.compile(r"^## (\d*)", re.MULTILINE)
    assert numbers.findall(one) == numbers.findall(other)


@every_page
def test_the_notebook_is_the_page_and_needs_nothing_of_the_checkout(
    text: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    name = request.node.callspec.id
    path = (ROOT / "docs" / name).with_suffix(".ipynb")
    assert path.read_text(encoding="utf-8") == to_notebook(text), "run python -m bench.tutorial --notebooks"
    cells = json.loads(to_notebook(text))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) == sum(fence.language == "python" for fence in fences(text))
    assert not re.search(r"^(?:from|import) (?:bench|tests)", "\n".join(code), re.MULTILINE)
    namespace: dict[str, object] = {"__name__": "notebook"}
    with running(quick=True):
        for source in code:
            exec(compile(source, path.name, "exec"), namespace)
    assert "| --- |" in capsys.readouterr().out


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("one\ntwo\nthree\n")
    for code, wrong in {
        "one\n…\nthree\n": False,
        "two\nthree\n": False,
        "one\nthree\n": True,
        "three\n…\none\n": True,
        " one\n": True,
    }.items():
        assert bool(misquoted(f"```py code.py\n{code}```\n", tmp_path)) is wrong, code
    assert "no_such.py" in misquoted("```py no_such.py\none\n```\n", tmp_path)[0]


@every_page
def test_all_named_files_exist(text: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"`((?:kernels|accel_logreg|tests|bench|docs)/[^`*]*)`", prose)
    links = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert names
    assert links
    for name in [*names, *(f"docs/{link}" for link in links)]:
        assert (ROOT / name).exists(), name


@every_page
def test_page_holds_the_figures_of_a_real_run(text: str) -> None:
    tables = re.findall(r"<!-- measured:begin (\S+) -->\n(.+?)\n<!-- measured:end", text, re.DOTALL)
    assert len(tables) == text.count("<!-- measured:begin")
    for name, table in tables:
        assert name in (MACHINE, "step-cuda") or table.startswith("|  | time"), name
    assert "`python -m bench.tutorial`." in dict(tables)[MACHINE]
    assert "Not measured" not in dict(tables)[MACHINE]


def test_command_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("accel_logreg.lesson.tutorial.Clock", lambda **_: Clock(rest=0.0, settling=0.0))
    page = tmp_path / "page.md"
    page.write_text(SMALL)
    assert main([str(page), "--quick"]) == 0
    assert page.read_text() == SMALL
    assert main([str(page)]) == 0
    text = page.read_text()
    assert "old" not in text
    assert "| a |" in text
    assert "python -m bench.tutorial" in text
    assert f"written: {page}" in capsys.readouterr().out


def test_a_wrong_answer_writes_nothing_and_names_the_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(SMALL + "```python\nassert 1 + 1 == 3\n```\n")
    before = page.read_text()
    with pytest.raises(AssertionError) as caught:
        main([str(page), "--quick"])
    assert page.read_text() == before
    assert caught.traceback[-1].path == page
    assert before.splitlines()[caught.traceback[-1].lineno] == "assert 1 + 1 == 3"


def test_markers_and_tables_must_fit() -> None:
    marker = "<!-- measured:begin a -->\n<!-- measured:end a -->\n"
    assert fill(marker, {"a": "new"}) == "<!-- measured:begin a -->\nnew\n<!-- measured:end a -->\n"
    with pytest.raises(PageError, match="no block showed a"):
        fill(marker, {})
    with pytest.raises(PageError, match="no marker for b"):
        fill(marker, {"a": "", "b": ""})
    with pytest.raises(PageError, match="more than one marker for a"):
        fill(marker * 2, {"a": ""})
    with running(quick=True):
        show("a", "text")
        with pytest.raises(ValueError, match="'a' is shown twice"):
            show("a", "text")


class _Ticks:
    """A clock that a call moves on by what it takes; nothing waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.order: list[str] = []

    def call(self, name: str, seconds: float) -> None:
        self.time += seconds
        self.order.append(name)


def test_times_are_medians_taken_in_turns(capsys: pytest.CaptureFixture[str]) -> None:
    ticks = _Ticks()
    entered: list[str] = []

    def around() -> AbstractContextManager[None]:
        entered.append("b")
        return nullcontext()

    clock = Clock(now=lambda: ticks.time, sleep=lambda _: None)
    seconds = in_turns(
        {"a": lambda: ticks.call("a", 0.2), "b": lambda: ticks.call("b", 0.1)}, {"b": around}, clock
    )
    assert seconds == pytest.approx({"a": 0.2, "b": 0.1})
    assert ticks.order[-6:] == ["a", "b"] * 3
    assert entered
    show("table", seconds, {"MB/s": lambda value: 1 / value})
    assert capsys.readouterr().out.splitlines() == [
        "|  | time | times faster than a | MB/s |",
        "| --- | --- | --- | --- |",
        "| a | 200 ms | 1.00 | 5.00 |",
        "| b | 100 ms | 2.00 | 10.0 |",
    ]
    with pytest.raises(ValueError, match="names no call"):
        in_turns({"a": lambda: None}, {"c": around}, clock)


def test_sizes_are_full_outside_of_a_quick_run() -> None:
    assert size(10, 1) == 10
    with running(quick=True):
        assert size(10, 1) == 1
    with running(quick=False):
        assert size(10, 1) == 10


def test_the_machine_line_warns_of_company() -> None:
    found = machine.describe()
    quiet = machine_in_words(found, 0.0, "a command")
    assert found.cpu in quiet
    assert found.date[:10] in quiet
    assert "`a command`" in quiet
    assert "care" not in quiet
    assert "other work kept about 9.0" in machine_in_words(found, 9.0, "a command")


def test_the_page_of_the_softmax_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Its blocks' answers are asserted there; it has no times, so that every printed line can be compared."""
    text = (ROOT / "docs" / "from_sigmoid_to_softmax.md").read_text(encoding="utf-8")
    assert misquoted(text) == []
    test_all_named_files_exist(text)
    sources = [fence.source for fence in fences(text) if fence.source]
    for engine in ("python_loop", "numpy_vectorised"):
        assert sources.count(f"kernels/{engine}/classes.py") >= 4
    assert execute(text, quick=True) == {}
    printed = "".join(fence.code for fence in fences(text) if fence.language == "text")
    assert capsys.readouterr().out == printed
