"""A small daemon on core's boot, with an event loop of its own: each line is answered in capitals."""

from __future__ import annotations

import asyncio
import time

from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import PolicySettings, Settings, SettingsError


def check(settings: Settings) -> None:
    if settings.policy.bounce_ports == (26,):
        raise SettingsError("policy.bounce_ports: nothing is to be had on port 26")


def serve(boot: Boot[PolicySettings]) -> int:
    answered = boot.metrics.counter("answered_total", "Lines answered.")
    count = boot.metrics.batched(lambda lines: answered.inc(len(lines)))
    reader = boot.reader()

    async def answer(lines: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        while line := await lines.readline():
            if line == b"hang\n":
                time.sleep(60)
            known = reader.credential(line.decode().strip()) is not None
            out.write(b"%s %d\n" % (line.strip().upper(), known))
            count(line)
        out.close()

    async def loop(context: WorkerContext) -> None:
        drain = asyncio.Event()
        asyncio.get_running_loop().add_reader(context.drain_fd, drain.set)
        beating = asyncio.create_task(beat(context))
        server = await asyncio.start_unix_server(answer, sock=boot.listener)
        await drain.wait()
        beating.cancel()
        server.close()

    async def beat(context: WorkerContext) -> None:
        while context.beat_every:
            context.beat()
            await asyncio.sleep(context.beat_every)

    def work(context: WorkerContext) -> None:
        asyncio.run(loop(context))

    return boot.run(work)


main = command(
    "web",
    "Answers in capitals.",
    lambda settings: settings.policy,
    serve,
    check=check,
    keys=("click",),
)

if __name__ == "__main__":
    main()
