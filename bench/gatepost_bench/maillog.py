"""``python -m gatepost_bench.maillog``: lines of Postfix's log a second of CPU, from the file to outcomes.

Five lines a message, as Postfix writes them for one that is delivered at once; reading the file is part of
what is measured, the store is not (``ingest`` measures that).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from gatepost_events.maillog.files import FileLog
from gatepost_events.maillog.lines import Reader
from gatepost_events.maillog.parsing import parse
from gatepost_events.maillog.tracing import Tracing

_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_HEAD = "Nov 28 05:19:56 mail postfix"


@click.command()
@click.option("--messages", default=50_000, show_default=True, help="Of which the log tells.")
def main(messages: int) -> None:
    """Measure how many lines of a log are understood in a second of CPU."""
    click.echo(f"{measure(messages):,.0f} lines/s of CPU")


def measure(messages: int = 50_000) -> float:
    """Return the lines that are understood in a second of CPU time. Raises ValueError if not all are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mail.log"
        with path.open("w", encoding="utf-8") as file:
            number = sum(file.write("".join(_lines(one))) and 5 for one in range(messages))
        began = time.process_time()
        source, tracing = FileLog(path, Reader(("postfix",)), "", 0.0), Tracing({})
        told = 0
        while True:
            for line in source.read():
                entry = parse(line.program, line.text)
                if entry is not None:
                    tracing.feed(line, entry)
            told += len(tracing.told)
            tracing.committed()
            if not source.more:
                break
        seconds = time.process_time() - began
        source.close()
    if told != messages or tracing.lost:
        raise ValueError(f"{told} of {messages} deliveries were understood")
    return number / seconds


def _lines(number: int) -> list[str]:
    name = f"4jbzB4{_spelled(number)}zJB9Y"
    told = [
        f"smtpd[283]: {name}: client=shop.example.test[192.0.2.9], sasl_method=PLAIN, sasl_username=g",
        f"cleanup[284]: {name}: message-id=<{number}.{name}@example.test>",
        f"qmgr[285]: {name}: from=<bounce@example.test>, size=19042, nrcpt=1 (queue active)",
        f"smtp[286]: {name}: to=<reader{number}@example.org>, relay=mx.example.org[192.0.2.1]:25, "
        "delay=0.26, delays=0.03/0.02/0.11/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4F2c1xyz)",
        f"qmgr[285]: {name}: removed",
    ]
    return [f"{_HEAD}/{text}\n" for text in told]


def _spelled(number: int) -> str:
    """Return four digits of a queue id."""
    digits = ""
    for _ in range(4):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


if __name__ == "__main__":
    main()
