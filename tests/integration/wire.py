"""The milter protocol as Postfix speaks it (version 6): a client to drive gatepost-milter without an MTA.

A packet is its length (32 bits, network order), a command byte and data. What the milter asks for at
negotiation is kept to: stages it does not want are left out, stages it does not answer are not waited for.
``Answer.message`` is the message with its edits carried out as cleanup(8) carries them out.
Any break of the protocol raises ``WireError``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from gatepost_milter.editing.message import Message
from tests.milter.cleanup import RECEIVED, Cleanup

VERSION = 6
ACTIONS = 0x1FF  # SMFIF_*: whatever the milter wants to do
_NR_HEADER, _NR_RCPT, _NR_BODY, _NR_MAIL = 0x80, 0x8000, 0x80000, 0x4000  # SMFIP_NR_*
_NO_CONNECT, _NO_HELO, _NO_MAIL, _NO_RCPT, _NO_EOH, _NO_DATA = 0x1, 0x2, 0x4, 0x8, 0x40, 0x200
_NR_CONNECT, _NR_HELO, _NR_DATA, _NR_EOH = 0x1000, 0x2000, 0x10000, 0x40000
_LEADING_SPACE = 0x100000  # SMFIP_HDR_LEADSPC
STEPS = 0x1FFFFF  # SMFIP_*: whatever the milter wants to leave out
CHUNK = 65535  # MILTER_CHUNK_SIZE
MODIFICATIONS = b"behim+-q"  # SMFIR_REPLBODY, CHGFROM, ADDHEADER, INSHEADER, CHGHEADER, ...


class WireError(Exception):
    """The milter hung up, or said what it must not say here."""


@dataclass(slots=True)
class Answer:
    """How a message was answered: ``action`` is accept, reject or tempfail; ``reply`` its SMTP text."""

    action: str
    reply: str
    message: Message
    sender: str | None = None
    edits: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    @property
    def raw(self) -> bytes:
        """The message on the wire, CRLF line ends in its header."""
        lines = [
            header.name + b":" + header.value.replace(b"\n", b"\r\n") + b"\r\n"
            for header in self.message.headers
        ]
        return b"".join(lines) + b"\r\n" + self.message.body


class Client:
    """One SMTP session, as the milter sees it. Use as a context manager."""

    def __init__(self, path: str, username: str, seconds: float = 120.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(seconds)
        self._username = username
        self._buffer = b""
        self._number = 0
        try:
            self._socket.connect(path)
            self._negotiate()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session (SMFIC_QUIT)."""
        with suppress(OSError):
            self._socket.sendall(packet(b"Q"))
        self._socket.close()

    def send(self, message: Message, sender: str, recipients: Sequence[str], queue_id: str = "") -> Answer:
        """Have one message judged. Raises WireError, OSError."""
        return self.end(message, self.begin(message, sender, recipients, queue_id))

    def begin(self, message: Message, sender: str, recipients: Sequence[str], queue_id: str = "") -> str:
        """Send all of a message but its end; return its queue id. Raises WireError, OSError."""
        self._number += 1
        queue_id = queue_id or f"{id(self):x}.{self._number}"
        mail = packet(b"D", b"M" + _strings("i", queue_id, "{auth_authen}", self._username))
        mail += packet(b"M", _strings(f"<{sender}>"))
        self._socket.sendall(mail)
        self._expect(b"c", _NO_MAIL | _NR_MAIL)
        self._stream(message, recipients)
        return queue_id

    def end(self, message: Message, queue_id: str) -> Answer:
        """End the message that was begun and return its answer."""
        self._socket.sendall(packet(b"D", b"E" + _strings("i", queue_id)) + packet(b"E"))
        return self._answer(message)

    def abort(self) -> None:
        """Give up the message that was begun (SMFIC_ABORT)."""
        self._socket.sendall(packet(b"A"))

    def _negotiate(self) -> None:
        self._socket.sendall(packet(b"O", struct.pack(">III", VERSION, ACTIONS, STEPS)))
        command, data = self._read()
        if command != b"O":
            raise WireError(f"expected a negotiation, got {command!r}")
        self._steps = struct.unpack(">I", data[8:12])[0]
        if not self._steps & _NO_CONNECT:
            self._socket.sendall(packet(b"C", b"client.test\x004\x04\xd2127.0.0.1\0"))
            self._expect(b"c", _NR_CONNECT)
        if not self._steps & _NO_HELO:
            self._socket.sendall(packet(b"H", b"client.test\0"))
            self._expect(b"c", _NR_HELO)

    def _stream(self, message: Message, recipients: Sequence[str]) -> None:
        """Send everything up to the end of the message. Stages with an answer are waited for."""
        for recipient in recipients:
            self._stage(b"R", _strings(f"<{recipient}>"), _NO_RCPT, _NR_RCPT)
        if not self._steps & _NO_DATA:
            self._stage(b"T", b"", _NO_DATA, _NR_DATA)
        leading = bool(self._steps & _LEADING_SPACE)
        fields = [
            packet(b"L", header.name + b"\0" + (header.value if leading else header.value[1:]) + b"\0")
            for header in message.headers
        ]
        self._all(fields, _NR_HEADER)
        if not self._steps & _NO_EOH:
            self._stage(b"N", b"", _NO_EOH, _NR_EOH)
        body = memoryview(message.body)
        self._all((packet(b"B", bytes(body[at : at + CHUNK])) for at in range(0, len(body), CHUNK)), _NR_BODY)

    def _all(self, packets: Iterable[bytes], no_reply: int) -> None:
        if self._steps & no_reply:
            waiting: list[bytes] = []
            size = 0
            for one in packets:
                waiting.append(one)
                size += len(one)
                if size > 1 << 20:
                    self._socket.sendall(b"".join(waiting))
                    waiting, size = [], 0
            self._socket.sendall(b"".join(waiting))
            return
        for one in packets:
            self._socket.sendall(one)
            self._expect(b"c", no_reply)

    def _stage(self, command: bytes, data: bytes, unwanted: int, no_reply: int) -> None:
        if not self._steps & unwanted:
            self._socket.sendall(packet(command, data))
            self._expect(b"c", no_reply)

    def _expect(self, command: bytes, unanswered: int) -> None:
        if self._steps & unanswered:
            return
        got, data = self._read()
        if got != command:
            raise WireError(f"expected {command!r}, got {got!r} {data[:100]!r}")

    def _answer(self, message: Message) -> Answer:
        """Read the edits and the answer at end of message; carry the edits out."""
        header, body, sender = Cleanup(message.headers), message.body, None
        pieces: list[bytes] = []
        edits: list[tuple[str, bytes]] = []
        while True:
            command, data = self._read()
            if command in b"acrty" and command:
                if pieces:
                    body = b"".join(pieces)
                action = {b"a": "accept", b"c": "accept", b"r": "reject", b"t": "tempfail"}.get(command, "")
                reply = data.rstrip(b"\0").decode("utf-8", "replace")
                action = action or ("reject" if reply.startswith("5") else "tempfail")
                headers = tuple(one for one in header.headers if one is not RECEIVED)
                return Answer(action, reply, Message(headers, body), sender, edits)
            edits.append((command.decode("ascii"), data))
            if command == b"b":
                if edits[:-1] and edits[-2][0] != "b":
                    raise WireError("a piece of the body after another edit: Postfix refuses that")
                pieces.append(data)
            elif command == b"e":
                sender = data.split(b"\0")[0].decode("utf-8").strip("<>")
            elif command in b"him":
                _edit_header(header, command, data)
            elif command != b"p":
                raise WireError(f"an edit that is not expected: {command!r}")

    def _read(self) -> tuple[bytes, bytes]:
        while True:
            if len(self._buffer) >= 4:
                (length,) = struct.unpack(">I", self._buffer[:4])
                if len(self._buffer) >= 4 + length:
                    whole = self._buffer[4 : 4 + length]
                    self._buffer = self._buffer[4 + length :]
                    return whole[:1], whole[1:]
            received = self._socket.recv(1 << 20)
            if not received:
                raise WireError("the milter hung up")
            self._buffer += received


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Return one packet of the protocol."""
    return struct.pack(">I", len(data) + 1) + command + data


def _strings(*texts: str) -> bytes:
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _edit_header(header: Cleanup, command: bytes, data: bytes) -> None:
    """Carry out SMFIR_ADDHEADER, SMFIR_INSHEADER or SMFIR_CHGHEADER."""
    index = 0
    if command in b"im":
        index, data = struct.unpack(">I", data[:4])[0], data[4:]
    name, _, value = data.removesuffix(b"\0").partition(b"\0")
    if command == b"h":
        header.add(name, value)
    elif command == b"i":
        header.insert(index, name, value)
    else:
        header.change(name, index, value)
