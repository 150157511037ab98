"""The wire behaviour as golden transcripts: the same against the session and against the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.tokens import BounceTokens
from gatepost_core.store import Reader
from gatepost_policy.questions import Questions
from gatepost_policy.refusals import Refusals
from gatepost_policy.session import PolicySession
from tests.core.running import Running, connect, listening
from tests.core.stores import Store
from tests.core.transcript import replay_session, replay_socket

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.transcript"))
each_transcript = pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)


def unheard(*report: object) -> None:
    """Be a report that nobody reads."""
    del report


@pytest.fixture(scope="module")
def daemon_socket(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("policy")
    arguments = ["-m", "gatepost_policy.main", "--config", str(store.config), "--set", "policy.workers=1"]
    with listening(folder / "socket") as listener, Running(arguments, folder, listener=listener):
        yield folder / "socket"


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) > 20


@each_transcript
def test_the_session_answers_as_in_the_transcript(path: Path, store: Store) -> None:
    reader = Reader(store.settings.store.url)
    questions = Questions(
        reader, BounceTokens(store.keyring), (25,), lambda: datetime.now(UTC), Walls(reader)
    )
    refusals = Refusals(reader, None, Bound(0), "node", lambda: datetime.now(UTC))
    replay_session(path, PolicySession(questions, unheard, refusals))
    reader.close()


@each_transcript
def test_the_daemon_answers_as_in_the_transcript(path: Path, daemon_socket: Path) -> None:
    with connect(daemon_socket) as client:
        replay_socket(path, client)
