"""What is remembered between requests: the last results of a function (``memo``), a few values (``Recent``).

Both are bounded, and serve many threads without a lock of their own. A key is all that a value depends on,
so what one customer sent gives another one nothing but an equal answer. Each was measured: one that saves
less than half a percent of a message's or a login's CPU is worth neither its memory nor its reader's time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Remembering(Protocol[P, R_co]):
    """A function that remembers."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return what the function does, or did for the same arguments."""
        ...

    def cache_clear(self) -> None:
        """Forget all."""
        ...


def memo(most: int, *, longest: int = 0) -> Callable[[Callable[P, R_co]], Remembering[P, R_co]]:
    """Have a function remember its last ``most`` results. Use as a decorator; arguments by place only.

    ``longest``: beyond so many characters or bytes of all its arguments, which are texts then, it works anew
    and remembers nothing: what strangers make up, or is very long, fills no memory. Without it whoever calls
    sees to that.
    """

    def remembering(function: Callable[P, R_co]) -> Remembering[P, R_co]:
        kept: Any = lru_cache(most)(function)
        if not longest:
            return cast(Remembering[P, R_co], kept)
        one = function.__code__.co_argcount == 1
        usual: Any = (_of_one if one else _of_several)(kept, function, longest)
        usual.cache_clear = kept.cache_clear
        return cast(Remembering[P, R_co], usual)

    return remembering


def _of_one(kept: Any, function: Any, longest: int) -> Callable[..., Any]:
    """Return the same for one text, in half the time."""

    @wraps(function)
    def usual(text: Any) -> Any:
        return kept(text) if len(text) <= longest else function(text)

    return usual


def _of_several(kept: Any, function: Any, longest: int) -> Callable[..., Any]:
    @wraps(function)
    def usual(*texts: Any) -> Any:
        return kept(*texts) if sum(map(len, texts)) <= longest else function(*texts)

    return usual


class Recent(Generic[K, V]):
    """Holds at most ``most`` values, those used last; together they weigh at most ``weight_most``.

    Each step on the dictionary is atomic. Between two of them another thread may miss a value that is
    being moved to the end; it computes the value again, which is all that a miss ever costs.
    """

    def __init__(self, most: int, *, weigh: Callable[[V], int] = lambda _: 0, weight_most: int = 0) -> None:
        self._most = most
        self._weigh = weigh
        self._weight_most = weight_most
        self._known: dict[K, V] = {}

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return a value, which counts as its use, or the default."""
        value = self._known.pop(key, default)
        if value is not default:
            self._known[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value as the one used last; the one that was not used for longest goes."""
        self._known.pop(key, None)
        self._known[key] = value
        while len(self._known) > self._most or self._too_heavy():
            # Another thread may take the same one out.
            with suppress(KeyError, RuntimeError, StopIteration):
                del self._known[next(iter(self._known))]

    def _too_heavy(self) -> bool:
        return (
            self._weight_most > 0 and sum(map(self._weigh, tuple(self._known.values()))) > self._weight_most
        )

    def drop(self, key: K) -> None:
        """Forget a value, if it is there."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._known)
