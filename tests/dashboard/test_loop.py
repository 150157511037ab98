"""How the event loop keeps connections, with an app of the test's own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from gatepost_core.settings import DashboardSettings
from gatepost_dashboard.loop import _Connection

_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer without a look at the body."""
    await PlainTextResponse("well")(scope, receive, send)


@pytest.mark.parametrize("pieces", [(b"{}\r\n",), (b"{", b"}\r\n"), (b"{}\r\n" + _HEAD + b"null",)])
def test_a_connection_whose_body_came_after_the_answer_waits_no_longer_than_others(
    pieces: tuple[bytes, ...],
) -> None:
    async def whole() -> bytes:
        config = Config(_answer, lifespan="off", ws="none", log_config=None, timeout_keep_alive=0.5)  # type: ignore[arg-type]
        config.load()
        make = partial(_Connection, config, ServerState(), DashboardSettings())
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                writer.write(_HEAD)
                await reader.readuntil(b"well")
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0)
                return await asyncio.wait_for(reader.read(), 20)
            finally:
                writer.close()

    assert asyncio.run(whole()).count(b"200 OK") == (1 if len(pieces[0]) > 4 else 0)
