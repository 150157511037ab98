"""Work counted instead of timed: does a reader of messages stay linear on the worst that can be made for it?

    def test_hidden_addresses_are_found_in_linear_time(world: World) -> None:
        read = world.load("gatepost_milter.parts.addresses").from_addresses
        header = world.load("gatepost_milter.editing.message").Header
        assert_linear(world, lambda n: [header(b"From", b'"<' + b"@" * n + b'" <a@b.test>')], read)

``World`` (the fixture ``world``) has copies of our modules with counters in their source (``counting``);
outside of it the real ones stay what they are. ``World("email", "flufl.bounce")`` counts in libraries as
well, where they are Python. A count depends on nothing but the program and its input: the same on each
machine and each run. What other code does is taken as linear in what it gets, but for what is known to be
worse.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from .counting.patterns import Counter, TooManyStepsError
from .counting.runtime import Steps
from .counting.source import NAME, counting

__all__ = ["TooManyStepsError", "World", "assert_linear", "growth"]

T = TypeVar("T")
_PREFIX = "gatepost_"
_MOST = 30_000_000
# 2 is linear, 4 quadratic; n log n is below 2.4 at these sizes.
_LINEAR = 2.7


class World:
    """Our modules with counters in them, apart from the real ones; ``libraries``: those of others as well."""

    def __init__(self, *libraries: str) -> None:
        self._steps = Steps()
        self._modules: dict[str, ModuleType] = {}
        self._libraries = libraries
        self._finder = _Finder(self._steps, self._counted)

    def _counted(self, name: str) -> bool:
        return name.startswith(_PREFIX) or any(
            name == one or name.startswith(f"{one}.") for one in self._libraries
        )

    def load(self, name: str) -> Any:
        """Return the counting copy of a module of ours."""
        with self._entered():
            return importlib.import_module(name)

    def steps(self, act: Callable[[], object], most: int = _MOST) -> int:
        """Return the steps that ``act`` takes, with caches empty. Raises TooManyStepsError above ``most``."""
        counter = self._steps.counter = Counter(most)
        with self._entered():
            self._forget()
            self._steps.on = True
            try:
                act()
            finally:
                self._steps.on = False
        return counter.steps

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Have ``gatepost_…`` mean the copies for a while."""
        real = {name: module for name, module in sys.modules.items() if self._counted(name)}
        for name in real:
            del sys.modules[name]
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self._finder)
            own = [name for name in sys.modules if self._counted(name)]
            self._modules = {name: sys.modules.pop(name) for name in own}
            sys.modules.update(real)

    def _forget(self) -> None:
        """Empty what remembers: ``memo`` and ``Recent`` of core's, and ``Samples`` of the milter's."""
        for module in self._modules.values():
            for value in [one for one in vars(module).values() if not isinstance(one, type)]:
                clear = getattr(value, "cache_clear", None) or (
                    getattr(value, "clear", None) if type(value).__name__ in ("Recent", "Samples") else None
                )
                if clear is not None:
                    clear()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules where they are, and loads them with counters."""

    def __init__(self, steps: Steps, counted: Callable[[str], bool]) -> None:
        self._steps = steps
        self._counted = counted

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module is that counts; None for others."""
        if not self._counted(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader, self._steps)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, real: importlib.machinery.SourceFileLoader, steps: Steps) -> None:
        self._real = real
        self._steps = steps

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's changed source."""
        source = Path(self._real.path).read_text("utf-8")
        setattr(module, NAME, self._steps)
        exec(compile(counting(source, self._real.path), self._real.path, "exec"), vars(module))  # noqa: S102


def growth(
    world: World, make: Callable[[int], T], act: Callable[[T], object], size: int = 250, most: int = _MOST
) -> tuple[float, list[int]]:
    """Return by what the growth of steps grows when the input doubles (linear: 2), and the steps.

    Measured at ``size``, two and four times that, by differences, so what is paid in any case hides nothing.
    """
    counts: list[int] = []
    for times in (1, 2, 4):
        given = make(size * times)
        counts.append(world.steps(lambda given=given: act(given), most))  # type: ignore[misc]
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    return second / max(first, size), counts


def assert_linear(
    world: World, make: Callable[[int], T], act: Callable[[T], object], size: int = 250, most: int = _MOST
) -> None:
    """Hold ``act`` to linear work on inputs that ``make`` makes by size."""
    times, counts = growth(world, make, act, size, most)
    assert times < _LINEAR, (
        f"steps at {size}, {2 * size}, {4 * size}: {counts}; twice as much takes {times:.1f} times more"
    )
