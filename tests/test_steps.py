"""Work is counted as it grows: a quadratic reader is told from a linear one, in Python and in patterns."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .counting.patterns import Counter, TooManyStepsError, once, scan
from .counting.runtime import Steps
from .counting.source import NAME, counting
from .steps import World, assert_linear, growth


def counted(source: str, text: Any, most: int = 10_000_000) -> int:
    steps = Steps()
    names: dict[str, Any] = {NAME: steps, "re": re}
    exec(compile(counting(source, "source"), "source", "exec"), names)  # noqa: S102
    steps.counter, steps.on = Counter(most), True
    names["read"](text)
    return steps.counter.steps


LINEAR = {
    "a loop": "def read(t):\n for c in t:\n  pass",
    "find from place to place": "def read(t):\n at = 0\n while at >= 0:\n  at = t.find('a', at + 1)",
    "a split": "def read(t):\n return ','.join(t.split('a'))",
    "a list that grows": "def read(t):\n l = []\n for c in t:\n  l += [c]\n  l.append(c)\n return ''.join(l)",
    "a pattern": "def read(t):\n return re.findall('[^b]b|a', t)",
    "a possessive pattern": "P = re.compile('a++b')\ndef read(t):\n return P.match(t)",
    "a set": "def read(t):\n s = {x for x in t}\n return [c for c in t if c in s]",
}
QUADRATIC = {
    "slices in a loop": "def read(t):\n while t:\n  t = t[1:]",
    "a text that grows": "def read(t):\n s = ''\n for c in t:\n  s += c",
    "a text joined anew": "def read(t):\n s = ''\n for c in t:\n  s = s + c",
    "looking back at all": "def read(t):\n for c in t:\n  'b' in t",
    "in a list": "def read(t):\n l = []\n for c in range(len(t)):\n  if c not in l:\n   l.append(c)",
    "replace in a loop": "def read(t):\n for c in t:\n  t.replace('a', 'b')",
    "pop at the front": "def read(t):\n l = list(t)\n while l:\n  l.pop(0)",
    "count in a comprehension": "def read(t):\n return [t.count('a') for c in t]",
    "a search that fails from each place": "def read(t):\n return re.findall('a+b', t)",
    "two loops": "def read(t):\n return sum(1 for a in t for b in t)",
    "a large number": "def read(t):\n return int('1' * len(t) if len(t) < 4000 else '1')",
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_work_is_seen_as_such(name: str) -> None:
    one, two = (counted(LINEAR[name], "a" * size) for size in (400, 800))
    assert one < two < 2.2 * one


@pytest.mark.parametrize("name", QUADRATIC)
def test_quadratic_work_is_seen_as_such(name: str) -> None:
    one, two = (counted(QUADRATIC[name], "a" * size) for size in (400, 800))
    assert two > 3.2 * one


def test_what_would_never_end_is_stopped() -> None:
    with pytest.raises(TooManyStepsError):
        counted("def read(t):\n return re.match('(a|aa)*b', t)", "a" * 60, most=100_000)


PATTERNS = [
    r"(?i:aB)+?c", r"(a)|(b)\2?", r"(?:a|b)*+b", r"(?>a+)b|a", r"(?<=a)b(?!c)", r"^a|b$|\bc\b",
    r"[^a\s]{1,2}", r"(a*)*b?", r"a??b", r"(?s:.)(?=b)|\Z", r"\w+(?=\W|\Z)", r"(a)\1",
    r"a|(?!)|b(?!)",
]  # fmt: skip


@given(st.sampled_from(PATTERNS), st.text("abcAB \n", max_size=12))
def test_the_machine_finds_what_pythons_engine_finds(source: str, text: str) -> None:
    for pattern, subject in ((re.compile(source), text), (re.compile(source.encode()), text.encode())):
        for how in ("match", "fullmatch", "search"):
            once(pattern, subject, 0, len(subject), how, Counter(100_000))
        assert sum(1 for _ in scan(pattern, subject, 0, len(subject), Counter(100_000))) >= 0


def test_a_world_counts_our_modules_and_leaves_the_real_ones_alone(world: World) -> None:
    before = importlib.import_module("gatepost_milter.editing.edits")
    splice = world.load("gatepost_milter.editing.edits").splice
    assert splice("abc", [(1, 2, "x")]) == "axc"
    assert_linear(
        world, lambda n: ("a" * n, [(i, i, "b") for i in range(n)]), lambda given: splice(*given), size=100
    )
    assert importlib.import_module("gatepost_milter.editing.edits") is before
    assert growth(world, lambda n: ("a" * n, []), lambda given: splice(*given))[1][0] > 0
