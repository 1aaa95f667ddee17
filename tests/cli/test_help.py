"""Every help begins with an example and fits 80 columns, and every remedy names what exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import NUMPY, refused, run, testing, train_model, write_pictures
from typer.main import get_command

from accel_logreg.cli.app import app

GROUP: Any = get_command(app)
COMMANDS = sorted(name for name, command in GROUP.commands.items() if not command.hidden)
PACKAGE = Path(__file__).parents[2] / "accel_logreg"
OPTION = re.compile(r"(?<![\w-])--[a-zA-Z][\w-]*")
# Room → the commands that can show its messages. Those that are not named speak of other programs' options.
SHOWN_BY = {
    "files/checks.py": ("train", "check", "profile"),
    "files/tables.py": ("train", "check", "profile"),
    "files/matrices.py": ("train", "check", "profile"),
    "files/formats.py": ("train", "predict", "check", "profile", "probe"),
    "files/images.py": ("train", "predict"),
    "profile/problem.py": ("profile",),
    "profile/report.py": ("profile",),
    "evaluation/report.py": ("train",),
    "lesson": ("speedup",),
    "doctor": ("doctor",),
}


@cache
def help_of(command: str, option: str = "--help") -> str:
    arguments = [command, option] if command else [option]
    result = testing.CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, arguments)
    assert result.exit_code == 0
    return str(result.output)


@cache
def options_of(command: str) -> frozenset[str]:
    return frozenset(OPTION.findall(help_of(command)))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_begins_with_an_example(command: str) -> None:
    text = help_of(command)
    assert help_of(command, "-h") == text
    assert max(map(len, text.splitlines())) <= 80 or "|newton|" in text  # a choice is not broken
    example = text.split("\n\n")[1].strip()
    words = shlex.split(example)
    assert words[0] == "accel-logreg"
    assert words[1] == (command or "train")
    assert set(OPTION.findall(example)) <= options_of(words[1])


def test_the_list_of_commands_says_what_each_does() -> None:
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z][a-z]+ ", help_of(""), re.MULTILINE), command


def literals(path: Path) -> Iterator[str]:
    """The strings of a file that are no docstrings; what an f-string fills in as …"""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in documents | inside:
            yield str(node.value)


def named(text: str) -> list[tuple[str | None, str]]:
    """(command, option) for each option in a text; None where no command stands before it."""
    found = [
        (words.split()[1], option)
        for words in re.findall(r"accel-logreg [a-z]+(?: --[\w-]+)*", text)
        for option in OPTION.findall(words)
    ]
    rest = re.sub(r"accel-logreg [a-z]+(?: --[\w-]+)*|(?:pip install|docker run) .*", "", text)
    return [*found, *((None, option) for option in OPTION.findall(rest))]


def test_every_remedy_in_the_source_exists() -> None:
    """An option is one of each command that can show the message, a command is one of ours."""
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        shown_by = SHOWN_BY.get(place) or SHOWN_BY.get(place.partition("/")[0], ())
        if place.startswith("cli/") and path.stem in COMMANDS:
            shown_by = (path.stem,)
        for text in literals(path):
            for command in re.findall(r"\baccel-logreg ([a-z]+)(?= --|[;:.']|$)", text):
                assert command in COMMANDS, (place, text)
            for command, option in named(text):
                for one in shown_by if command is None else (command,):
                    assert option in options_of(one), f"{place}: {text!r} names {option}, which {one} has not"
                    seen += 1
    assert seen > 100


BAD = {
    "missing.csv": "a,b,label\n1,,yes\n2,3,no\n" * 5,
    "text.csv": "a,b,label\n1,x,yes\n2,y,no\n",
    "date.csv": "a,b,label\n1,2024-01-01,yes\n2,2024-01-02,no\n",
    "infinite.csv": "a,b,label\n1,inf,yes\n2,3,no\n",
    "ids.csv": "a,b,label\n1,12345678901234567,yes\n2,3,no\n",
    "index.csv": ",a,b,label\n" + "".join(f"{i},1,2,{'yes' if i % 2 else 'no'}\n" for i in range(30)),
    "no header.csv": "1,2,yes\n2,3,no\n",
    "commas.csv": "a;b;label\n1,5;2.5;yes\n2;3;no\n" * 5,
    "marks.csv": "a,b,label\n1,?,yes\n2,3,no\n4,4,no\n5,5,yes\n",
    "ragged.csv": "a,b,label\n1,2\n",
    "levels.csv": "a,b,label\n" + "".join(f"{i},u{i},yes\n{i},v{i},no\n" for i in range(30)),
    "gbk.csv": "名,b,label\n中,1,yes\n",
    "data.what": "a,b\n",
    "labels.svm": "1 1:1\n",
}


@pytest.fixture
def remedies_of(tmp_path: Path) -> Any:
    """The options that a command's messages name for a bad file; those of other commands with their names."""
    model = train_model(tmp_path)

    def ask(command: str, name: str) -> list[tuple[str | None, str]]:
        path = tmp_path / name
        path.write_bytes(BAD[name].encode("gbk"))
        (tmp_path / "y.txt").write_text("0\n1\n")
        arguments: dict[str, tuple[object, ...]] = {
            "train": (path, "--target", "label", "-o", tmp_path / "m.json", *NUMPY),
            "check": (path, "--target", "label", *NUMPY),
            "profile": ("--data", path, "--target", "label", "--repeats", 1, *NUMPY),
            "predict": (model, path, "-o", tmp_path / "o.csv"),
            "probe": (path, tmp_path / "y.txt", *NUMPY),
        }
        return named(run(command, *arguments[command]).stderr)

    return ask


@pytest.mark.parametrize("command", ["train", "predict", "probe", "check"])
def test_every_remedy_that_is_shown_exists(command: str, remedies_of: Any) -> None:
    shown = 0
    for name in BAD:
        for other, option in remedies_of(command, name):
            assert option in options_of(other or command), f"{command} advises {option} for {name}"
            shown += 1
    assert shown >= 4


def test_a_model_of_pictures_on_a_table(tmp_path: Path) -> None:
    """It blamed a column."""
    pictures, model = write_pictures(tmp_path), tmp_path / "model.json"
    assert run("train", pictures, "-o", model, "--size", 4, *NUMPY).exit_code == 0
    np.savez(tmp_path / "d.npz", X=np.zeros((2, 48)))
    (tmp_path / "d.csv").write_text("a\n1\n")
    for name in ("d.csv", "d.npz"):
        message = refused("predict", model, tmp_path / name, "-o", tmp_path / "o.csv")
        assert "was trained on pictures" in message
        assert "name a folder of pictures" in message


def test_lists_by_commas_and_repeats(tmp_path: Path) -> None:
    from accel_logreg.cli.common import split

    assert split(["a,b", "c"]) == split(["a", "b", "c"]) == split(["a, b,c,"]) == ["a", "b", "c"]
    assert split(['"a,b",c']) == ["a,b", "c"]
    assert split(None) is None
    path = tmp_path / "d.csv"
    path.write_text('"x,y",b,c,t\n' + "1,2,3,u\n4,5,6,v\n2,1,1,u\n" * 4)
    for options in (("--drop", '"x,y",b'), ("--drop", '"x,y"', "--drop", "b"), ("--features", "c")):
        result = run("train", path, "--target", "t", "-o", tmp_path / "m.json", *options, *NUMPY)
        assert "12 × 1 float64" in result.output
