r"""Wire transcripts as golden files, replayed against a session and against a real daemon.

One step a line: ``C: text`` the client sends text and LF, ``C- text`` without LF, ``S: text`` the
server sends exactly that line, ``S!`` the server hangs up, ``C!`` the client does. ``#`` starts a
comment. ``\t``, ``\0``, ``\n`` and ``\xNN`` are escapes; ``{b64:text}`` is text in base64; ``{a*9}`` is
nine times ``a``; a ``{number}`` of the server's is any number, `` (ref)`` a reference. A file ends when
nothing more may come.
"""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gatepost_core.serving import Close, Output, Send
from gatepost_core.serving.lineserver import LineSession
from tests.refs import PATTERN

_BASE64 = re.compile(r"\{b64:(.*?)\}")
_REPEAT = re.compile(r"\{(.)\*(\d+)\}")


@dataclass(frozen=True)
class Step:
    """``side`` and what happens: data to send, a pattern to meet, or None for a hang-up."""

    side: str
    data: bytes | None
    line: int


def steps(path: Path) -> Iterator[Step]:
    """Yield the steps of a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, text = line[:2], line[3:]
        if kind in ("C!", "S!"):
            yield Step(kind[0], None, number)
        elif kind in ("C:", "C-"):
            yield Step("C", _bytes(text) + (b"\n" if kind == "C:" else b""), number)
        elif kind == "S:":
            pattern = re.escape(_bytes(text)).replace(rb"\{number\}", rb"\d+")
            pattern = pattern.replace(rb"\ \(ref\)", PATTERN.encode())
            yield Step("S", pattern + rb"\n", number)
        else:
            raise ValueError(f"{path}:{number}: not a step: {line}")


def _bytes(text: str) -> bytes:
    text = _REPEAT.sub(lambda match: match[1] * int(match[2]), text)
    text = _BASE64.sub(lambda match: base64.b64encode(_plain(match[1])).decode(), text)
    return _plain(text)


def _plain(text: str) -> bytes:
    def unescape(match: re.Match[bytes]) -> bytes:
        simple = {b"t": b"\t", b"n": b"\n", b"0": b"\0"}.get(match[1])
        return simple if simple is not None else bytes((int(match[1][1:], 16),))

    return re.sub(rb"\\(t|n|0|x[0-9a-f]{2})", unescape, text.encode())


def replay_session(path: Path, session: LineSession) -> None:
    """Replay a transcript against a session; fail at the step that differs."""
    said, closed = _collect(session.start())
    for step in steps(path):
        where = f"{path.name}:{step.line}"
        if step.side == "C":
            assert not closed, f"{where}: the session has closed before"
            if step.data is None:
                break
            more, closed = _collect(session.receive(step.data, 0.0))
            said += more
        elif step.data is None:
            assert closed, f"{where}: the session goes on; it said {said!r}"
        else:
            found = re.match(step.data, said)
            assert found, f"{where}: expected {step.data!r}, got {said!r}"
            said = said[found.end() :]
    assert said == b"", f"{path.name}: more was said than expected"


def _collect(outputs: Sequence[Output]) -> tuple[bytes, bool]:
    said = b"".join(output.data for output in outputs if isinstance(output, Send))
    return said, any(isinstance(output, Close) for output in outputs)


def replay_socket(path: Path, client: socket.socket) -> None:
    """Replay a transcript over a connection; fail at the step that differs."""
    with client.makefile("rb") as said:
        for step in steps(path):
            where = f"{path.name}:{step.line}"
            if step.side == "C":
                if step.data is None:
                    return
                client.sendall(step.data)
            elif step.data is None:
                assert _hung_up(said), f"{where}: the server goes on"
                return
            else:
                line = said.readline()
                assert re.fullmatch(step.data, line), f"{where}: expected {step.data!r}, got {line!r}"
        client.shutdown(socket.SHUT_WR)
        assert said.read() == b"", f"{path.name}: more was said than expected"


def _hung_up(said: IO[bytes]) -> bool:
    try:
        return said.read(1) == b""
    except ConnectionResetError:  # it closed before it had read everything
        return True
