"""Whose job is next: fair turns between those who own jobs. Pure: who calls has threads, lock and clock.

Jobs compute, so Python's lock has one of them go on at a time: an owner (a credential) loses nothing when one
of its jobs runs at a time, and the others find room beside it. Owners with a job to begin stand in one line,
each once. An owner whose own job takes long may have one more beside it, if that is asked for, and again: so
three long messages hold up neither other owners nor the fourth of the same one. Each step takes the same time
whatever waits, and who owns nothing any more is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import TypeAlias

Job: TypeAlias = Callable[[], None]
# Seconds. Nearly all messages take less; one job that takes longer is not waited for.
PATIENCE = 0.05
# Jobs of one owner that were begun and have not ended, so that no owner takes all threads.
OWN_MOST = 8


class Owner:
    """What is known of an owner while it has jobs. ``may``: how many of them may run at a time."""

    __slots__ = ("begun", "in_line", "last", "may", "name", "running", "waiting")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.waiting: deque[Task] = deque()
        self.running = 0
        self.begun = 0
        self.may = 1
        self.in_line = False
        self.last = 0.0


class Task:
    """A job, from when it is put until it has ended. ``running``: it holds up its owner's others."""

    __slots__ = ("away", "began", "job", "owner", "running", "waits")

    def __init__(self, owner: Owner, job: Job) -> None:
        self.owner = owner
        self.job: Job | None = job
        self.waits = True
        self.running = False
        self.away = False
        self.began = 0.0


class Turns:
    """The jobs that wait, and how many of each owner's run. Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._owners: dict[Hashable, Owner] = {}
        self._line: deque[Owner] = deque()
        self._last = 0.0

    def __len__(self) -> int:
        """Return how many owners are known."""
        return len(self._owners)

    def add(self, name: Hashable, job: Job) -> Task:
        """Have a job wait for its owner's turn."""
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = Owner(name)
        task = Task(owner, job)
        owner.waiting.append(task)
        self._line_up(owner)
        return task

    def at_once(self, name: Hashable, job: Job, now: float) -> Task | None:
        """Return a job that begins now: the first of its owner, where nobody stands in line. Else None.

        Nearly all do; it is ``add`` and ``take`` in one step.
        """
        if self._line or name in self._owners:
            return None
        owner = self._owners[name] = Owner(name)
        return self._begun(Task(owner, job), now)

    def take(self, now: float) -> Task | None:
        """Return the job whose turn it is, which begins now."""
        if not self.ready():
            return None
        owner = self._line.popleft()
        owner.in_line = False
        task = self._begun(owner.waiting.popleft(), now)
        self._line_up(owner)
        return task

    def ready(self) -> bool:
        """Say whether there is a job to take."""
        while self._line and self._line[0].running >= self._line[0].may:  # one has come back meanwhile
            self._line.popleft().in_line = False
        return bool(self._line)

    def _begun(self, task: Task, now: float) -> Task:
        owner = task.owner
        task.waits, task.running, task.began = False, True, now
        owner.running += 1
        owner.begun += 1
        self._last = owner.last = now
        return task

    def over(self, task: Task) -> None:
        """Note that a job holds up its owner's others no longer; harmless when that was noted before."""
        if task.running:
            owner = task.owner
            task.running = False
            owner.running -= 1
            if owner.may > 1:
                owner.may -= 1
            if owner.waiting:
                self._line_up(owner)

    def again(self, task: Task) -> None:
        """Note that it does once more. Whatever was begun meanwhile goes on."""
        if not task.running:
            task.running = True
            task.owner.running += 1

    def end(self, task: Task) -> None:
        """Note that a job has ended."""
        if task.running:
            self.over(task)
        owner = task.owner
        owner.begun -= 1
        if owner.waiting:
            self._line_up(owner)
        elif not owner.begun:
            del self._owners[owner.name]

    def another(self, owner: Owner, now: float) -> None:
        """Let an owner have one more running, when those it has were begun a while ago."""
        if owner.running >= owner.may and now - owner.last >= PATIENCE:
            owner.may = owner.running + 1
            self._line_up(owner)

    def slow(self, now: float) -> bool:
        """Say whether no job was begun for a while."""
        return now - self._last >= PATIENCE

    def _line_up(self, owner: Owner) -> None:
        if owner.waiting and not owner.in_line and owner.running < owner.may and owner.begun < OWN_MOST:
            owner.in_line = True
            self._line.append(owner)
