"""Choosing benchmarks by words, as ``-k`` of pytest does: "gradient and numba", "fit or not float32"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Names that hold the words of ``pattern``, in any case; an empty pattern chooses all.

    Words side by side, or joined by "and", must all occur; "not" turns the next word round; "or" separates
    alternatives and binds least. There are no parentheses.

    Raises
    ------
    ValueError
        An operator that has nothing to join.
    """

    pattern: str

    def __post_init__(self) -> None:
        if not self.pattern.strip():
            return
        for words in self._alternatives():
            if not words:
                raise ValueError(self._message("or"))
            for word, after in zip(["and", *words], [*words, "and"], strict=True):
                if word in ("and", "not") and after == "and":
                    raise ValueError(self._message("and" if word == "and" else word))

    def __contains__(self, name: str) -> bool:
        lowered = name.lower()
        return any(_all_hold(words, lowered) for words in self._alternatives())

    def _alternatives(self) -> list[list[str]]:
        found: list[list[str]] = [[]]
        for word in self.pattern.lower().split():
            if word == "or":
                found.append([])
            else:
                found[-1].append(word)
        return found

    def _message(self, word: str) -> str:
        return (
            f"-k {self.pattern!r}: {word!r} has nothing to join; write words such as 'gradient and numba', "
            "'fit or descent', 'not float32'"
        )


def _all_hold(words: list[str], name: str) -> bool:
    wanted = True
    for word in words:
        if word == "not":
            wanted = not wanted
        elif word != "and":
            if (word in name) is not wanted:
                return False
            wanted = True
    return True
