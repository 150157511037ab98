"""A thousand endpoints of which a hundred hang: the others do not notice."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from gatepost_core.domain import utc_now
from gatepost_core.keys import Keyring
from gatepost_core.keys.sealing import public_half, seal_for
from gatepost_core.settings import load
from gatepost_core.store import accounts
from gatepost_core.store.opening import open_backend
from gatepost_core.store.webhooks import endpoints
from tests.waiting import until

from .world import Hooked

ENDPOINTS, HANGING, ROUNDS, RATE = 1_000, 100, 3, 150


@dataclass
class Crowd:
    """A server for all of them: which path was asked for when; the first ``hanging`` never answer."""

    hanging: int
    port: int = 0
    arrived: dict[int, list[float]] = field(default_factory=dict[int, list[float]])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                number = int(head.partition(b" /")[2].partition(b" ")[0])
                self.arrived.setdefault(number, []).append(time.time())
                if number < self.hanging:
                    await asyncio.sleep(60)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def crowd(hanging: int) -> Iterator[Crowd]:
    served, loop = Crowd(hanging), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(served.serve, "127.0.0.1", 0, backlog=4_096))
    served.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield served
    finally:

        async def end() -> None:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def add_all(hooked: Hooked, served: Crowd, number: int) -> None:
    """Give each of so many accounts an endpoint; account 1 has the first."""
    own = load(hooked.gatepost.config, environ={})
    public = public_half(Keyring.load(own.keys.directory))
    with open_backend(own.store).directory(write=True) as connection:
        for one in range(number):
            account = "acme" if not one else accounts.add(connection, f"a{one}", utc_now()).name
            handle, secret = endpoints.new_handle(), endpoints.new_secret()
            sealed = seal_for(public, secret.encode(), endpoints.place(handle))
            asked = endpoints.Asked(f"http://127.0.0.1:{served.port}/{one}", allow_private=True)
            endpoints.add(connection, account, asked, handle, sealed, utc_now())


def test_those_that_answer_are_served_however_many_hang(hooked: Hooked) -> None:
    """With 20 requests at once and 40 that hang for a minute: who hangs never has all of them."""
    with crowd(40) as served:
        add_all(hooked, served, 50)
        with hooked.daemon("webhooks.timeout=60", "webhooks.connections=20"):
            for account in range(41, 51):
                hooked.send(account_id=account)
            until(lambda: sum(map(len, served.arrived.values())) == 10)
            for _ in range(3):
                for account in range(1, 51):
                    hooked.send("bounced", account_id=account)
            until(
                lambda: all(len(served.arrived.get(one, ())) == 7 for one in range(40, 50)),
                lambda: f"{[len(served.arrived.get(one, ())) for one in range(40, 50)]}",
            )
        assert sum(len(served.arrived.get(one, ())) for one in range(40)) == 10


@pytest.mark.measurement
def test_a_hundred_of_a_thousand_that_hang_delay_the_others_by_less_than_two_seconds(hooked: Hooked) -> None:
    """Each has three events, 150 a second in all."""
    with crowd(HANGING) as served:
        add_all(hooked, served, ENDPOINTS)
        with hooked.daemon():
            sent: dict[int, list[float]] = {}
            for number in range(ROUNDS * ENDPOINTS):
                account = number % ENDPOINTS
                hooked.send(account_id=account + 1)
                sent.setdefault(account, []).append(time.time())
                time.sleep(1 / RATE)
            well = range(HANGING, ENDPOINTS)
            until(
                lambda: all(len(served.arrived.get(one, ())) >= ROUNDS for one in well), "all that answer", 60
            )
            for part in range(ROUNDS):
                delays = sorted(served.arrived[one][part] - sent[one][part] for one in well)
                print(f"round {part}: median {delays[len(delays) // 2]:.2f} s, longest {delays[-1]:.2f} s")
                assert delays[-1] < 2.0
