"""A thread that follows what is in the store, step after step, until the daemon ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import log

_AFTER_FAULT: Final = 1.0

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Steps(Protocol[T_co]):
    """What is done in the thread, and nowhere else."""

    def step(self) -> T_co:
        """Do what there is to do now. Raises StoreUnavailable, OSError."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...


class Following(Generic[T]):
    """Use as a context manager. ``name`` is the thread's, ``what`` tells people what goes on there.

    ``tell`` hears what a step did and returns how many seconds to rest; ``failed`` hears of each step that
    could not be done. A fault is told once, and so is its end; whatever goes wrong, the next step is tried.
    """

    def __init__(
        self,
        steps: Steps[T],
        name: str,
        what: str,
        tell: Callable[[T], float],
        failed: Callable[[str], None],
    ) -> None:
        self._steps = steps
        self._name = name
        self._what = what
        self._tell = tell
        self._count = failed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._fault = ""

    def __enter__(self) -> Following[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rest = 0.0
        while not self._over.wait(rest):
            rest = self._guarded()
        self._steps.close()

    def _guarded(self) -> float:
        """Do a step; return how long to rest."""
        try:
            rest = self._tell(self._steps.step())
        except (StoreUnavailable, OSError) as error:
            self._count(self._name)
            if str(error) != self._fault:
                log.error(f"events cannot be followed {self._what}; trying again", error=str(error))
            self._fault = str(error)
            return _AFTER_FAULT
        except Exception as error:  # noqa: BLE001 - it must not end the daemon, nor stop for good
            log.error("internal error", exc_info=error)
            self._count(self._name)
            return _AFTER_FAULT
        if self._fault:
            log.info(f"events are followed again {self._what}", was=self._fault)
            self._fault = ""
        return rest
