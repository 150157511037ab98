"""What the counters in a changed source ask: how much work did this take?

Texts and lists count by their length, patterns by the machine of ``patterns``, calls into unchanged code by
the lengths of what goes in and comes out, which is what well-made functions take. Those of the standard
library that take more, known from their source, count as what they take (``_COSTLY``).
"""

from __future__ import annotations

import builtins
import dataclasses
import difflib
import email.header
import email.utils
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from .patterns import Counter, once, scan

_TEXTS = (str, bytes, bytearray)
_SIZED = (*_TEXTS, list, tuple)
# What looks through all that it is given; any other class only keeps it.
_READING = frozenset(
    {list, tuple, set, frozenset, dict, bytes, bytearray, str, map, zip, filter, enumerate, reversed}
)
_CHEAP: frozenset[Any] = frozenset(
    {
        len, isinstance, issubclass, getattr, setattr, hasattr, id, iter, next, callable, range, type, ord,
        chr, dataclasses.replace, dataclasses.field, dataclasses.dataclass, re.compile, any, all,
    }
)  # fmt: skip
_PATTERN_FUNCTIONS: frozenset[Any] = frozenset(
    {re.match, re.fullmatch, re.search, re.findall, re.finditer, re.sub, re.subn, re.split}
)
_ATONCE = frozenset(
    {"append", "pop", "get", "setdefault", "add", "popleft", "keys", "values", "items", "discard"}
)
_SEARCHING = frozenset({"find", "rfind", "index", "rindex", "count"})


def _squared(*texts: Any, **_: Any) -> int:
    return sum(len(text) ** 2 for text in texts if isinstance(text, _SIZED))


def _reordered(_form: str, text: str) -> int:
    """Marks that combine are put in order one by one (unicodedata.c, nfd_nfkd)."""
    cost = run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        cost += 1 + run
    return cost


def _read_number(text: Any = 0, base: int = 10) -> int:
    return _squared(text) if base & (base - 1) else len(text) if isinstance(text, _SIZED) else 1


_COSTLY: dict[Any, Callable[..., int]] = {
    email.header.decode_header: _squared,
    email.header.make_header: _squared,
    email.utils.getaddresses: lambda values, **_: sum(len(value) ** 2 for value in values),
    email.utils.parseaddr: _squared,
    difflib.SequenceMatcher: lambda _junk, old, new, **_: len(old) * len(new),
    unicodedata.normalize: _reordered,
    unicodedata.ucd_3_2_0.normalize: _reordered,
    int: _read_number,
}


class Steps:
    """The counters of one world: the changed modules know it as ``__steps__``."""

    def __init__(self) -> None:
        self.counter = Counter(0)
        self.on = False

    def call(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call, and count what the call takes besides what is counted within."""
        if not self.on:
            return function(*arguments, **named)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, re.Pattern):
            return self._matched(owner, function.__name__, function, arguments, named)
        if function in _PATTERN_FUNCTIONS:
            pattern = re.compile(arguments[0], named.pop("flags", 0))
            return self.call(getattr(pattern, function.__name__), *arguments[1:], **named)
        result = function(*arguments, **named)
        if function.__class__.__hash__ is not None:
            self.counter.add(1 + _cost(function, owner, arguments, named, result))
        return result

    def made(self, value: Any) -> Any:
        """Count what was copied."""
        if self.on:
            self.counter.add(1 + (len(value) if isinstance(value, _SIZED) else 0))
        return value

    def grown(self, value: Any) -> None:
        """Count a text that got longer in place of another."""
        if self.on and isinstance(value, str | bytes | tuple):
            self.counter.add(len(value))

    def turn(self) -> bool:
        """Count a turn of a loop."""
        if self.on:
            self.counter.add(1)
        return True

    def within(self, one: Any, all_of_it: Any) -> bool:
        """Count how far ``in`` had to look."""
        if self.on:
            self.counter.add(1 + _looked(one, all_of_it))
        return one in all_of_it

    def without(self, one: Any, all_of_it: Any) -> bool:
        """The same for ``not in``."""
        return not self.within(one, all_of_it)

    def equal(self, one: Any, other: Any) -> Any:
        """Count a comparison of texts."""
        self._compared(one, other)
        return one == other

    def unequal(self, one: Any, other: Any) -> Any:
        """The same for ``!=``."""
        self._compared(one, other)
        return one != other

    def _compared(self, one: Any, other: Any) -> None:
        if self.on and isinstance(one, _SIZED) and isinstance(other, _SIZED) and len(one) == len(other):
            self.counter.add(1 + (0 if one is other else len(one)))

    def _matched(
        self,
        pattern: re.Pattern[Any],
        name: str,
        function: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Call a pattern's method, after what it finds was found step by step."""
        replacing = name in ("sub", "subn")
        given = arguments[1:] if replacing else arguments
        text = named.get("string", given[0] if given else "")
        places = [] if replacing or name == "split" else [min(place, len(text)) for place in given[1:3]]
        start, end = [*places, 0, len(text)][:2] if len(places) != 1 else [places[0], len(text)]
        # The engine comes after the machine, which stops where the engine would go on for years.
        if name in ("match", "fullmatch", "search"):
            once(pattern, text, start, end, name, self.counter)
            return function(*arguments, **named)
        found = scan(pattern, text, start, end, self.counter)
        if name == "finditer":
            return found
        for _ in found:
            pass
        result = function(*arguments, **named)
        if isinstance(result, str | bytes):
            self.counter.add(len(result))
        return result


def _cost(function: Any, owner: Any, arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> int:
    if function in _COSTLY:
        return _COSTLY[function](*arguments, **named)
    if function in _CHEAP or str(getattr(function, "__module__", "")).startswith("gatepost_"):
        return 0
    name = getattr(function, "__name__", "")
    if isinstance(owner, _TEXTS) and name in _SEARCHING:
        return _searched(owner, name, arguments, result)
    if isinstance(owner, _TEXTS) and name in ("startswith", "endswith"):
        return max(map(len, arguments[0])) if isinstance(arguments[0], tuple) else len(arguments[0])
    if isinstance(owner, _TEXTS) and name != "join":
        return len(owner) + _lengths([result])
    if isinstance(owner, list) and name in ("insert", "remove", "index", "count", "sort", "copy", "reverse"):
        return len(owner)
    if owner is not None and owner is not builtins and name in _ATONCE:
        return len(owner) if isinstance(owner, list) and name == "pop" and arguments == (0,) else 0
    if isinstance(function, type) and function not in _READING:
        return 0
    if isinstance(function, type(_cost)) or callable(function):
        return _lengths([*arguments, *named.values(), result])
    return 0


def _searched(owner: Any, name: str, arguments: tuple[Any, ...], result: int) -> int:
    """Return how much of a text a search went through (CPython's fastsearch.h is linear)."""
    start, end, _ = slice(*(arguments[1:] if len(arguments) > 2 else (*arguments[1:], None))).indices(
        len(owner)
    )
    if name == "count" or result < 0:
        return max(0, end - start)
    return end - result if name.startswith("r") else result - start + len(owner[result : result + 1])


def _looked(one: Any, all_of_it: Any) -> int:
    if isinstance(all_of_it, str | bytes) and not isinstance(one, int):
        found = all_of_it.find(one)
        return len(all_of_it) if found < 0 else found + len(one)
    if isinstance(all_of_it, list | tuple):
        return next(
            (place for place, other in enumerate(all_of_it, 1) if other is one or other == one),
            len(all_of_it),
        )
    return len(all_of_it) if isinstance(all_of_it, bytes) else 0


def _lengths(values: list[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, _SIZED))
