"""The deployments of several plans, one after the other; each is made while the one before is tested.

A play waits for its hosts most of the time, and so do the tests: two at once take little longer than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType

import docker

from tests.ansible import images, releases
from tests.ansible.world import Plan, World, world


class Ahead:
    """`with` it, and take the worlds in the order of their plans; what was not taken goes at the end."""

    def __init__(self, client: docker.DockerClient, plans: Sequence[Plan], folder: Path) -> None:
        self._client, self._plans, self._folder = client, plans, folder
        self._pool = ThreadPoolExecutor(1)
        self._making: list[World] = []
        self._made: dict[Plan, Future[World]] = {}
        self._held: dict[Plan, ExitStack] = {plan: ExitStack() for plan in plans}

    def __enter__(self) -> Ahead:
        with ThreadPoolExecutor(2) as pool:  # whatever plan comes first: both releases are needed
            list(pool.map(partial(releases.prepare, self._client), images.RELEASES))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made in self._making:
            made.control.stop()
        self._pool.shutdown(cancel_futures=True)
        for held in self._held.values():
            held.close()

    @contextmanager
    def taken(self, plan: Plan) -> Iterator[World]:
        """The world of a plan, once it is converged; the next one is begun."""
        made = self._begin(plan).result()
        for after in self._plans[self._plans.index(plan) + 1 :][:1]:
            self._begin(after)
        with self._held[plan]:
            yield made

    def _begin(self, plan: Plan) -> Future[World]:
        if plan not in self._made:
            self._made[plan] = self._pool.submit(self._make, plan)
        return self._made[plan]

    def _make(self, plan: Plan) -> World:
        folder = self._folder / f"control-{plan}"
        folder.mkdir()
        made = self._held[plan].enter_context(world(self._client, plan, folder))
        self._making.append(made)
        made.converge()
        return made
