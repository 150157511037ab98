"""Python's regular expressions, run by a backtracking machine of our own that counts its steps.

The engine in C tells nobody how often it tried. This machine tries the same things in the same order (the
parse is Python's own, ``re._parser``), one step for each character looked at and each choice made, so its
number grows as the engine's work does. Each of its results is held against the engine's: a wrong machine
fails.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_parser: Any = importlib.import_module("re._parser")
_LONGEST = 1 << 30
# One instruction: its name, then what it needs.
_Program = list[tuple[Any, ...]]
_Saves = tuple[int, ...]


class TooManyStepsError(AssertionError):
    """More than the bound that was set; the text says how many."""


class Counter:
    """Steps so far; ``most`` stops what would never end."""

    def __init__(self, most: int) -> None:
        self.steps = 0
        self.most = most

    def add(self, number: int) -> None:
        """Count. Raises TooManyStepsError."""
        self.steps += number
        if self.steps > self.most:
            raise TooManyStepsError(f"more than {self.most} steps")


def scan(
    pattern: re.Pattern[Any], text: Any, start: int, end: int, counter: Counter
) -> Iterator[re.Match[Any]]:
    """Yield what ``finditer`` yields; each match counts when it is asked for, and so does the failing end."""
    machine = machine_of(pattern)
    engine = pattern.finditer(text, start, end)
    at, empty = start, False
    while True:
        found = machine.search(text, at, end, counter, nonempty_at=at if empty else -1)
        match = next(engine, None)
        said = match and match.span()
        assert found == said, f"{pattern.pattern!r} at {at}: {found} here, {said} in Python's engine"
        if match is None:
            return
        yield match
        at, empty = match.end(), match.start() == match.end()


def once(pattern: re.Pattern[Any], text: Any, start: int, end: int, how: str, counter: Counter) -> None:
    """Count one ``match``, ``fullmatch`` or ``search``."""
    machine = machine_of(pattern)
    if how == "search":
        found = machine.search(text, start, end, counter)
    else:
        found = machine.match(text, start, end, counter, whole=how == "fullmatch")
    match = getattr(pattern, how)(text, start, end)
    engine = match and match.span()
    assert found == engine, f"{pattern.pattern!r}: {found} here, {engine} in Python's engine"


@lru_cache(maxsize=512)
def machine_of(pattern: re.Pattern[Any]) -> Machine:
    """Return the machine of a compiled pattern."""
    return Machine(pattern)


class Machine:
    """One pattern, ready to run."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        flags = pattern.flags & ~int(re.DEBUG)
        tree = _parser.parse(pattern.pattern, flags)
        self._slots = 2 * (pattern.groups + 1)
        self._program: _Program = []
        self._compile(
            tree, tree.state.flags | (re.ASCII if isinstance(pattern.pattern, bytes) else 0), self._program
        )
        self._program.append(("match",))

    def search(
        self, text: Any, start: int, end: int, counter: Counter, nonempty_at: int = -1
    ) -> tuple[int, int] | None:
        """Return the first match's span."""
        subject = _subject(text)
        for at in range(start, end + 1):
            counter.add(1)
            found = self._run(
                self._program, subject, at, end, self._fresh(), counter, nonempty=at == nonempty_at
            )
            if found is not None:
                return at, found[0]
        return None

    def match(
        self, text: Any, start: int, end: int, counter: Counter, *, whole: bool
    ) -> tuple[int, int] | None:
        """Return the span of a match at ``start``, up to ``end`` if ``whole``."""
        found = self._run(self._program, _subject(text), start, end, self._fresh(), counter, whole=whole)
        return None if found is None else (start, found[0])

    def _fresh(self) -> _Saves:
        return (-1,) * self._slots

    # -- compiling -----------------------------------------------------------------------------------------

    def _compile(self, tree: Any, flags: int, out: _Program) -> None:
        for operator, argument in tree:
            getattr(self, f"_{str(operator).lower()}")(argument, flags, out)

    def _literal(self, argument: int, flags: int, out: _Program) -> None:
        out.append(("char", _member([(_parser.LITERAL, argument)], flags)))

    def _not_literal(self, argument: int, flags: int, out: _Program) -> None:
        out.append(("char", _member([(_parser.NEGATE, None), (_parser.LITERAL, argument)], flags)))

    def _in(self, argument: list[Any], flags: int, out: _Program) -> None:
        out.append(("char", _member(argument, flags)))

    def _any(self, _argument: None, flags: int, out: _Program) -> None:
        out.append(("char", (lambda _: True) if flags & re.DOTALL else (lambda char: char != "\n")))

    def _at(self, argument: Any, flags: int, out: _Program) -> None:
        out.append(("at", str(argument), flags))

    def _branch(self, argument: Any, flags: int, out: _Program) -> None:
        jumps: list[int] = []
        *most, last = argument[1]
        for one in most:
            split = len(out)
            out.append(())
            self._compile(one, flags, out)
            jumps.append(len(out))
            out.append(())
            out[split] = ("split", split + 1, len(out))
        self._compile(last, flags, out)
        for jump in jumps:
            out[jump] = ("jump", len(out))

    def _subpattern(self, argument: Any, flags: int, out: _Program) -> None:
        group, add, away, tree = argument
        if group is not None:
            out.append(("save", 2 * group))
        self._compile(tree, (flags | add) & ~away, out)
        if group is not None:
            out.append(("save", 2 * group + 1))

    def _atomic_group(self, argument: Any, flags: int, out: _Program) -> None:
        out.append(("atomic", self._own(argument, flags)))

    def _possessive_repeat(self, argument: Any, flags: int, out: _Program) -> None:
        own: _Program = []
        self._repeat(argument, flags, own, greedy=True)
        out.append(("atomic", [*own, ("match",)]))

    def _max_repeat(self, argument: Any, flags: int, out: _Program) -> None:
        self._repeat(argument, flags, out, greedy=True)

    def _min_repeat(self, argument: Any, flags: int, out: _Program) -> None:
        self._repeat(argument, flags, out, greedy=False)

    def _repeat(self, argument: Any, flags: int, out: _Program, *, greedy: bool) -> None:
        least, most, tree = argument
        for _ in range(least):
            self._compile(tree, flags, out)
        if most < _LONGEST and most != _parser.MAXREPEAT:
            splits: list[int] = []
            for _ in range(most - least):
                splits.append(len(out))
                out.append(())
                self._compile(tree, flags, out)
            for split in splits:
                out[split] = _choice(split + 1, len(out), greedy)
            return
        mark = self._slots
        self._slots += 1
        split = len(out)
        out += [(), ("save", mark)]
        self._compile(tree, flags, out)
        # An empty turn ends the loop, as it does in Python's engine.
        out += [("moved", mark), ("jump", split)]
        out[split] = _choice(split + 1, len(out), greedy)

    def _assert(self, argument: Any, flags: int, out: _Program) -> None:
        self._look(argument, flags, out, wanted=True)

    def _assert_not(self, argument: Any, flags: int, out: _Program) -> None:
        self._look(argument, flags, out, wanted=False)

    def _look(self, argument: Any, flags: int, out: _Program, *, wanted: bool) -> None:
        direction, tree = argument
        back = tree.getwidth()[0] if direction < 0 else 0
        out.append(("look", self._own(tree, flags), wanted, back))

    def _failure(self, _argument: object, _flags: int, out: _Program) -> None:
        # ``(?!)`` from Python 3.13 on; before, it looks for what is not empty.
        out.append(("never",))

    def _groupref(self, argument: int, flags: int, out: _Program) -> None:
        out.append(("again", argument, bool(flags & re.IGNORECASE)))

    def _own(self, tree: Any, flags: int) -> _Program:
        own: _Program = []
        self._compile(tree, flags, own)
        return [*own, ("match",)]

    # -- running -------------------------------------------------------------------------------------------

    def _run(  # noqa: PLR0912 - one branch an instruction
        self,
        program: _Program,
        text: str,
        at: int,
        end: int,
        saves: _Saves,
        counter: Counter,
        *,
        whole: bool = False,
        nonempty: bool = False,
    ) -> tuple[int, _Saves] | None:
        """Return where the program's match ends and its groups, or None."""
        begin = at
        waiting: list[tuple[int, int, _Saves]] = [(0, at, saves)]
        while waiting:
            place, at, saves = waiting.pop()
            while True:
                counter.add(1)
                name, *needs = program[place]
                if name == "never":
                    break
                if name == "match":
                    if (whole and at != end) or (nonempty and at == begin):
                        break
                    return at, saves
                place += 1
                if name == "char":
                    if at >= end or not needs[0](text[at]):
                        break
                    at += 1
                elif name == "split":
                    waiting.append((needs[1], at, saves))
                    place = needs[0]
                elif name == "jump":
                    place = needs[0]
                elif name == "save":
                    saves = (*saves[: needs[0]], at, *saves[needs[0] + 1 :])
                elif name == "moved":
                    if saves[needs[0]] == at:
                        place += 1
                elif name == "at":
                    if not _stands(needs[0], needs[1], text, at, end):
                        break
                elif name == "again":
                    length = self._said_again(text, at, end, saves, *needs)
                    if length < 0:
                        break
                    counter.add(length)
                    at += length
                else:
                    own = at - needs[2] if name == "look" else at
                    found = None if own < 0 else self._run(needs[0], text, own, end, saves, counter)
                    if name == "look":
                        if (found is not None) is not needs[1]:
                            break
                        saves = found[1] if found is not None else saves
                    elif found is None:
                        break
                    else:
                        at, saves = found
        return None

    @staticmethod
    def _said_again(text: str, at: int, end: int, saves: _Saves, group: int, folded: bool) -> int:
        start, stop = saves[2 * group], saves[2 * group + 1]
        said, here = text[start:stop], text[at : min(end, at + stop - start)]
        alike = start >= 0 and stop >= 0 and (said.lower() == here.lower() if folded else said == here)
        return len(said) if alike else -1


def _choice(turn: int, on: int, greedy: bool) -> tuple[Any, ...]:
    return ("split", turn, on) if greedy else ("split", on, turn)


def _subject(text: Any) -> str:
    return text if isinstance(text, str) else bytes(text).decode("latin-1")


def _stands(where: str, flags: int, text: str, at: int, end: int) -> bool:
    lines = flags & re.MULTILINE
    if where == "AT_BEGINNING":
        return at == 0 or bool(lines and text[at - 1] == "\n")
    if where == "AT_BEGINNING_STRING":
        return at == 0
    if where == "AT_END":
        return at == end or text[at:end] == "\n" or bool(lines and text[at] == "\n")
    if where == "AT_END_STRING":
        return at == end
    before = at > 0 and _is_word(text[at - 1], flags)
    after = at < end and _is_word(text[at], flags)
    return (before != after) is (where == "AT_BOUNDARY")


def _is_word(char: str, flags: int) -> bool:
    return re.fullmatch(r"\w", char, flags & re.ASCII) is not None


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S", "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def _member(items: list[Any], flags: int) -> Callable[[str], bool]:
    """Return what says whether a character is in a set."""
    known: dict[str, bool] = {}

    def has(char: str) -> bool:
        if char not in known:
            known[char] = any(_among(items, one, flags) for one in _cases(char, flags)) is not _negated(items)
        return known[char]

    return has


def _negated(items: list[Any]) -> bool:
    return items[0][0] is _parser.NEGATE


def _cases(char: str, flags: int) -> Iterator[str]:
    yield char
    if flags & re.IGNORECASE and (char.isascii() or not flags & re.ASCII):
        yield from (one for one in (char.lower(), char.upper()) if len(one) == 1)


def _among(items: list[Any], char: str, flags: int) -> bool:
    number = ord(char)
    for operator, argument in items:
        name = str(operator)
        if name == "LITERAL" and number == argument:
            return True
        if name == "RANGE" and argument[0] <= number <= argument[1]:
            return True
        if name == "CATEGORY" and re.fullmatch(_CATEGORIES[str(argument)], char, flags & re.ASCII):
            return True
    return False
