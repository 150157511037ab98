"""Style sheets that take long are calculated in processes of their own, which hold up nobody's mail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_milter.css import calculators
from gatepost_milter.css.calculator import MEMORY, CalculatorError
from gatepost_milter.css.calculators import COMMAND, Calculators, LostError
from gatepost_milter.libmilter.crew import Crew, Ticket
from tests.waiting import until

HTML, CSS = '<p gp="1">x', "p{g1:1}"
LONG_HTML = "<i></i>" + "<b></b>" * 20_000 + "<p><i>"  # half a minute's work
LONG_CSS = "i + i ~ b{g1:1}" * 10
# A calculator that is stuck.
STUCK = (sys.executable, "-c", "import sys; sys.stdin.read()")
DEADLINE = 60.0


@contextmanager
def pool(command: tuple[str, ...] = COMMAND, processes: int = 2) -> Iterator[Calculators]:
    with Calculators(command=command, processes=processes, at_once=0) as made:
        yield made


def runs(pid: int) -> bool:
    """Say whether a process runs; one that nobody has waited for does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pid: int) -> None:
    until(lambda: not runs(pid), f"the end of {pid}", DEADLINE)


def test_a_calculator_answers_and_is_used_again() -> None:
    with pool() as made:
        assert made(HTML, CSS, 1) == '<html><head></head><body><p gp="1" style="g1: 1;">x</p></body></html>'
        first = made.processes()
        assert made(HTML, CSS, 1)
        assert made.processes() == first
    wait_until_gone(first[0])


def test_what_is_known_to_be_short_starts_no_process() -> None:
    with Calculators() as made:
        assert made(HTML, CSS, 100)
        assert made.processes() == []


def test_a_calculator_has_bounded_memory_no_files_of_ours_and_a_name_that_says_whose_it_is(
    tmp_path: Path,
) -> None:
    with pool() as made, (tmp_path / "mail").open("wb") as held:
        os.set_inheritable(held.fileno(), True)
        made(HTML, CSS, 1)
        process = Path(f"/proc/{made.processes()[0]}")
        assert {entry.name for entry in (process / "fd").iterdir()} == {"0", "1", "2"}
        assert b"gatepost_milter" in (process / "cmdline").read_bytes()
        limits = (process / "limits").read_text()
        assert str(MEMORY) in next(line for line in limits.splitlines() if "address space" in line)


def test_a_calculation_that_does_not_end_is_ended_and_its_message_told_why() -> None:
    with pool() as made:
        with pytest.raises(CalculatorError, match="the calculator ended"):
            made(LONG_HTML, LONG_CSS, 1)
        assert made.processes() == []
        assert made(HTML, CSS, 1)


def test_a_calculator_that_is_stuck_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calculators, "ANSWER_SECONDS", 0.05)
    with pool(STUCK) as made, pytest.raises(LostError, match="took too long"):
        made(HTML, CSS, 1)


def test_a_crash_costs_the_one_message_its_styles() -> None:
    """css_inline's recursion ends its process on what is nested too deep."""
    with pool() as made:
        with pytest.raises(CalculatorError, match="the calculator ended"):
            made("<div>" * 200_000, "div{g1:1}", 1)
        assert made(HTML, CSS, 1)


def test_a_calculator_that_died_while_it_rested_is_replaced_without_a_message_noticing() -> None:
    with pool() as made:
        made(HTML, CSS, 1)
        (pid,) = made.processes()
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert made(HTML, CSS, 1)
        assert made.processes() != [pid]


def test_a_calculator_that_cannot_start_is_a_reason() -> None:
    with pool(("/nonexistent/gatepost",)) as made:
        for _ in range(5):
            with pytest.raises(CalculatorError, match="cannot be started"):
                made(HTML, CSS, 1)


def test_calculators_that_have_nothing_to_do_are_ended() -> None:
    with pool() as made:
        made(HTML, CSS, 1)
        (pid,) = made.processes()
        made.tidy(time.monotonic())
        assert made.processes() == [pid]
        made.tidy(time.monotonic() + calculators.IDLE_SECONDS + 1)
        assert made.processes() == []
        wait_until_gone(pid)
        assert made(HTML, CSS, 1)


def test_calculators_end_with_a_worker_that_is_killed() -> None:
    program = (
        "from gatepost_milter.css.calculators import Calculators; import sys; "
        "made = Calculators(at_once=0); "
        f"made({HTML!r}, {CSS!r}, 1); print(made.processes()[0], flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    wait_until_gone(pid)


def test_the_shorter_of_two_that_wait_comes_first() -> None:
    order: list[int] = []
    with pool(processes=1) as made:
        taken = made._take(1)  # the only place
        threads: list[threading.Thread] = []

        def ask(steps: int) -> None:
            made(HTML, CSS, steps)
            order.append(steps)

        for steps in (900, 5):
            threads.append(threading.Thread(target=ask, args=(steps,)))
            threads[-1].start()
            while len(made._queue) < len(threads):
                time.sleep(0.001)
        made._give(taken)
        for thread in threads:
            thread.join()
    assert order == [5, 900]


def test_who_gets_no_turn_is_told_so_and_leaves_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calculators, "TURN_SECONDS", 0.01)
    with pool(processes=1) as made:
        taken = made._take(1)
        with pytest.raises(CalculatorError, match="no calculator was free"):
            made(HTML, CSS, 1)
        made._give(taken)
        assert made(HTML, CSS, 1)


def test_mail_of_others_is_worked_on_while_calculations_are_waited_for(tmp_path: Path) -> None:
    """More than there are threads and calculators, none of which ends before the other mail is done."""
    done = tmp_path / "done"
    until = f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.01)"
    command = (sys.executable, "-c", until)
    with Crew(1) as crew, Calculators(crew.away, command=command, processes=1, at_once=0) as made:

        def hostile(ticket: Ticket[str]) -> None:
            try:
                ticket.fill(made(HTML, CSS, 1))
            except CalculatorError as error:
                ticket.fail(error)

        waiting = [put(crew, "hostile", hostile) for _ in range(8)]
        for _ in range(3):
            assert put(crew, "other", lambda ticket: ticket.fill("done")).wait(DEADLINE) == "done"
        done.touch()
        for ticket in waiting:
            with pytest.raises(CalculatorError, match="the calculator ended"):
                ticket.wait(DEADLINE)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crew")]


def put(crew: Crew, owner: str, job: Callable[[Ticket[str]], None]) -> Ticket[str]:
    ticket: Ticket[str] = Ticket()
    crew.put(owner, lambda: job(ticket))
    return ticket
