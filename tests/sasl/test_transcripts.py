"""The wire behaviour as golden transcripts: the same against the session and against the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.store import Reader
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.session import AuthSession, Configuration
from tests.core.running import Running, connect, listening
from tests.core.stores import Store
from tests.core.transcript import replay_session, replay_socket

from .guards import HOLDS_NOBODY_OFF

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.transcript"))
each_transcript = pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)


class NoLastUsed:
    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Keep nothing."""


def unheard(*report: object) -> None:
    """Be a report that nobody reads."""
    del report


@pytest.fixture(scope="module")
def daemon_socket(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sasl")
    arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
    arguments += ["--set", "sasl.failure_delay=0.02", "--set", "sasl.workers=1"]
    with listening(folder / "socket") as listener, Running(arguments, folder, listener=listener):
        yield folder / "socket"


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) > 20


@each_transcript
def test_the_session_answers_as_in_the_transcript(path: Path, store: Store) -> None:
    reader = Reader(store.settings.store.url)
    authenticator = StoreAuthenticator(reader, store.keyring, NoLastUsed(), lambda: datetime.now(UTC))
    replay_session(path, AuthSession(Configuration(authenticator, unheard, HOLDS_NOBODY_OFF)))
    reader.close()


@each_transcript
def test_the_daemon_answers_as_in_the_transcript(path: Path, daemon_socket: Path) -> None:
    with connect(daemon_socket) as client:
        replay_socket(path, client)
