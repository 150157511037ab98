"""Dovecot's own auth service as the judge: the same client is played at both, and must be answered alike.

Alike is: the same words for the same request ids, the same challenges, the same user. The texts behind
FAIL are each server's own. Where we mean to differ, the case says how and why.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scramp import ScramClient

from gatepost_bench.dovecot import running
from tests.core.running import Running, connect, listening
from tests.core.stores import PASSWORD, Store

PEER = "service=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\tsecured"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Path]:
    """Run Dovecot with nothing but its auth service, and the users of the store; yield its socket."""
    users = dict.fromkeys(("alice", "bob", "jörg"), f"{{PLAIN}}{PASSWORD}")
    with running(users, "plain login scram-sha-256", penalty=False) as (path, _):
        yield path


@pytest.fixture(scope="module")
def gatepost(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("judged")
    arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
    for setting in ("failure_delay=0", "workers=1", "mechanisms=PLAIN,LOGIN,SCRAM-SHA-256", "guess_limit=0"):
        arguments += ["--set", f"sasl.{setting}"]
    with listening(folder / "socket") as listener, Running(arguments, folder, listener=listener):
        yield folder / "socket"


class Client:
    """One connection, past the greeting."""

    def __init__(self, path: Path, client: socket.socket) -> None:
        self._path = path
        self._socket = client
        self._file = client.makefile("rb")
        self._socket.sendall(b"VERSION\t1\t0\nCPID\t4711\n")
        self.greeting: list[bytes] = []
        while (line := self._file.readline().rstrip(b"\n")) != b"DONE":
            assert line
            self.greeting.append(line)

    def say(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def hear(self) -> list[str]:
        """Return the next answer: word, id, challenge or user; empty when the server hung up."""
        line = self._file.readline().decode().rstrip("\n")
        if not line:
            return []
        word, number, *rest = line.split("\t")
        if word == "CONT":
            return [word, number, base64.b64decode(rest[0]).decode()]
        users = [one for one in rest if one.startswith("user=")]
        return [word, number, *(users if word == "OK" else [])]


def opened(path: Path, play: Callable[[Client], list[list[str]]]) -> list[list[str]]:
    with connect(path) as client:
        one = Client(path, client)
        try:
            return play(one)
        finally:
            one._file.close()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def auth(number: int, mechanism: str, response: str | None = None) -> str:
    initial = "" if response is None else f"\tresp={response}"
    return f"AUTH\t{number}\t{mechanism}\t{PEER}{initial}"


GOOD, WRONG = b64(f"\0alice\0{PASSWORD}"), b64("\0alice\0guess")


@dataclass(frozen=True)
class Case:
    """Lines to say; after each that is answered, one answer is heard. ``unheard`` are those that are not."""

    name: str
    lines: list[str]
    unheard: frozenset[int] = frozenset()


CASES = [
    Case("plain", [auth(1, "PLAIN", GOOD)]),
    Case("plain, lower case", [auth(1, "plain", GOOD)]),
    Case("plain, asked for", [auth(1, "PLAIN"), f"CONT\t1\t{GOOD}"]),
    Case("plain, identity given", [auth(1, "PLAIN", b64(f"alice\0alice\0{PASSWORD}"))]),
    Case("plain, somebody else's identity", [auth(1, "PLAIN", b64(f"bob\0alice\0{PASSWORD}"))]),
    Case("plain, wrong", [auth(1, "PLAIN", WRONG)]),
    Case("plain, unknown", [auth(1, "PLAIN", b64(f"\0nobody\0{PASSWORD}"))]),
    Case("plain, no user", [auth(1, "PLAIN", b64(f"\0\0{PASSWORD}"))]),
    Case("plain, no password", [auth(1, "PLAIN", b64("\0alice\0"))]),
    Case("plain, one NUL", [auth(1, "PLAIN", b64(f"alice\0{PASSWORD}"))]),
    Case("plain, three NULs", [auth(1, "PLAIN", b64("\0alice\0a\0b"))]),
    Case("plain, not ASCII", [auth(1, "PLAIN", b64(f"\0j\u00f6rg\0{PASSWORD}"))]),
    Case("plain, not base64", [auth(1, "PLAIN", "!!!!")]),
    Case("plain, base64 cut off", [auth(1, "PLAIN", GOOD[:-3])]),
    Case("login", [auth(1, "LOGIN"), f"CONT\t1\t{b64('alice')}", f"CONT\t1\t{b64(PASSWORD)}"]),
    Case("login, wrong", [auth(1, "LOGIN"), f"CONT\t1\t{b64('alice')}", f"CONT\t1\t{b64('guess')}"]),
    Case("login, user at once", [auth(1, "LOGIN", b64("alice")), f"CONT\t1\t{b64(PASSWORD)}"]),
    Case("login, lower case", [auth(1, "login"), f"CONT\t1\t{b64('alice')}", f"CONT\t1\t{b64(PASSWORD)}"]),
    Case("wrong, then right", [auth(1, "PLAIN", WRONG), auth(2, "PLAIN", GOOD)]),
    Case(
        "two under way at once",
        [auth(1, "LOGIN"), auth(2, "PLAIN", GOOD), f"CONT\t1\t{b64('bob')}", f"CONT\t1\t{b64(PASSWORD)}"],
    ),
    Case("given up", [auth(1, "LOGIN"), "CANCEL\t1", auth(2, "PLAIN", GOOD)], frozenset({1})),
]


def played(case: Case) -> Callable[[Client], list[list[str]]]:
    def play(client: Client) -> list[list[str]]:
        answers = []
        for number, line in enumerate(case.lines):
            client.say(line)
            if number not in case.unheard:
                answers.append(client.hear())
        return answers

    return play


# Dovecot hangs up, which is 454 to the SMTP client. We refuse and go on: the protocol's description has
# unknown commands ignored, and a mechanism that is not on offer is the client's fault. Postfix sends neither.
WHERE_DOVECOT_HANGS_UP = [
    (Case("no such mechanism", [auth(1, "NTLM", GOOD)]), [["FAIL", "1"]]),
    (
        Case("unknown command between", ["NONSENSE\t7", auth(1, "PLAIN", GOOD)], frozenset({0})),
        [["OK", "1", "user=alice"]],
    ),
]


@pytest.mark.parametrize(("case", "ours"), WHERE_DOVECOT_HANGS_UP, ids=lambda case: getattr(case, "name", ""))
def test_where_dovecot_hangs_up_we_go_on(
    case: Case, ours: list[list[str]], dovecot: Path, gatepost: Path
) -> None:
    assert opened(gatepost, played(case)) == ours
    try:
        theirs = opened(dovecot, played(case))
    except ConnectionError:
        theirs = [[]]
    assert theirs == [[]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_answer_alike(case: Case, dovecot: Path, gatepost: Path) -> None:
    answers = opened(gatepost, played(case))
    assert answers == opened(dovecot, played(case))
    assert all(answers)


def test_both_greet_with_the_version_and_mechanisms_that_postfix_looks_for(
    dovecot: Path, gatepost: Path
) -> None:
    def greeting(client: Client) -> list[list[str]]:
        lines = [line.decode().split("\t") for line in client.greeting]
        words = [line[0] for line in lines]
        assert words.index("MECH") < words.index("SPID")
        assert next(line for line in lines if line[0] == "VERSION")[1] == "1"
        return sorted([line[1]] for line in lines if line[0] == "MECH")

    assert opened(gatepost, greeting) == opened(dovecot, greeting)


@pytest.mark.parametrize(("username", "password"), [("alice", PASSWORD), ("alice", "guess"), ("nobody", "x")])
@pytest.mark.parametrize("at_once", [True, False])
def test_both_carry_a_scram_exchange_alike(
    username: str, password: str, at_once: bool, dovecot: Path, gatepost: Path
) -> None:
    def play(client: Client) -> list[list[str]]:
        scram = ScramClient(["SCRAM-SHA-256"], username, password)
        first = b64(scram.get_client_first())
        client.say(auth(1, "SCRAM-SHA-256", first if at_once else None))
        answers = [client.hear()]
        if not at_once:
            client.say(f"CONT\t1\t{first}")
            answers.append(client.hear())
        if answers[-1][0] != "CONT":
            return [one[:2] for one in answers]
        scram.set_server_first(answers[-1][2])
        client.say(f"CONT\t1\t{b64(scram.get_client_final())}")
        answers.append(client.hear())
        if answers[-1][0] == "CONT":
            scram.set_server_final(answers[-1][2])
            client.say("CONT\t1\t")
            answers.append(client.hear())
        return [one[:2] for one in answers]

    ours, theirs = opened(gatepost, play), opened(dovecot, play)
    if username == "nobody":  # Dovecot says at once that it knows nobody of that name: we do not
        theirs.insert(-1, ["CONT", "1"])
    assert ours == theirs
