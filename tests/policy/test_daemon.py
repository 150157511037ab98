"""gatepost-policy as it runs: a revoked login, bounces, a store that is lost, a drain, bad configuration."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost_core import spool
from gatepost_core.domain import State, ids, spooled
from gatepost_core.keys.tokens import BounceTokens, Origin
from tests.core.running import ROOT, Running, connect, listening, read_line
from tests.core.stores import BOUNCES, Store, make_store
from tests.refs import reference


def arguments(store: Store, *settings: str) -> list[str]:
    listed = ["-m", "gatepost_policy.main", "--config", str(store.config)]
    for setting in ("policy.workers=1", *settings):
        listed += ["--set", setting]
    return listed


def question(state: str = "RCPT", **attributes: str) -> bytes:
    asked = {
        "request": "smtpd_access_policy",
        "protocol_state": state,
        "server_port": "587",
        "instance": "1a2b.5e8f.0",
        "queue_id": "4X1",
        "sasl_username": "alice",
        "sender": "alice@example.test",
        "recipient": "carol@example.org",
        "encryption_protocol": "TLSv1.3",
        **attributes,
    }
    return "".join(f"{name}={value}\n" for name, value in asked.items()).encode() + b"\n"


def ask(client: socket.socket, asked: bytes) -> str:
    client.sendall(asked)
    action = read_line(client)
    if action:
        assert read_line(client) == ""
    return action


def test_a_login_revoked_while_its_session_is_open_is_refused_at_rcpt_and_data(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener),
        connect(tmp_path / "socket") as client,
    ):
        assert ask(client, question()) == "action=DUNNO"
        store.set_state("alice", State.DISABLED)
        for state in ("RCPT", "DATA"):
            assert ask(client, question(state)).startswith("action=550 5.7.1 Credential alice is disabled")
            assert ask(client, question(state, sasl_username="jörg")) == "action=DUNNO"
        store.set_state("alice", State.ACTIVE)
        assert ask(client, question()) == "action=DUNNO"


def test_a_bounce_comes_in_by_its_token_on_port_25_only(store: Store, tmp_path: Path) -> None:
    origin = Origin(BOUNCES, 1, ids.new(1_700_000_000_000))
    address = f"{BounceTokens(store.keyring).issue(origin)}@{BOUNCES}"
    asked = {"sasl_username": "", "sender": "", "encryption_protocol": ""}
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener),
        connect(tmp_path / "socket") as client,
    ):
        for recipient in (address, address.upper()):
            assert ask(client, question(recipient=recipient, server_port="25", **asked)) == "action=DUNNO"
        refused = ask(client, question(recipient=address, server_port="587", **asked))
        assert refused.startswith("action=530 5.7.0 ")


def test_a_decision_is_one_log_line_that_holds_what_an_operator_looks_for(
    store: Store, tmp_path: Path
) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
    ):
        ask(client, question("DATA"))
        log = daemon.wait_log("event=decision")
    (line,) = [line for line in log.splitlines() if "event=decision" in line]
    for part in ("stage=DATA", "result=pass", "user=alice", "queue_id=4X1", "instance=1a2b.5e8f.0"):
        assert part in line
    assert "sender=alice@example.test recipient=carol@example.org" in line


def test_a_store_that_is_lost_hangs_up_until_it_is_back(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with listening(tmp_path / "socket") as listener, Running(arguments(store), tmp_path, listener=listener):
        (tmp_path / "directory.db").rename(tmp_path / "aside.db")
        with connect(tmp_path / "socket") as client:
            assert ask(client, question()) == ""
        (tmp_path / "aside.db").rename(tmp_path / "directory.db")
        with connect(tmp_path / "socket") as client:
            assert ask(client, question()) == "action=DUNNO"


def test_a_question_asked_again_of_the_next_process_gets_the_same_answer(
    store: Store, tmp_path: Path
) -> None:
    with listening(tmp_path / "socket") as listener:
        with Running(arguments(store), tmp_path, listener=listener), connect(tmp_path / "socket") as client:
            first = ask(client, question(sasl_username="off"))
        with connect(tmp_path / "socket") as waiting:
            waiting.sendall(question(sasl_username="off"))
            with Running(arguments(store), tmp_path, listener=listener):
                assert read_line(waiting) == first != ""


def test_a_flood_of_refusals_is_answered_and_logged_and_recorded_up_to_the_bound(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, "accounts.refusals_per_hour=5"), tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
    ):
        heard = [ask(client, question(sasl_username="off", instance=f"1.{one:x}.0")) for one in range(200)]
        other = ask(client, question(sasl_username="bob"))  # held to other senders
        again = ask(client, question(sasl_username="bob"))
        log = daemon.wait_log(reference(other))
    named = [reference(answer) for answer in heard]
    assert len(set(named)) == 200
    assert again == other
    assert f"reference={named[-1]}" in log
    (batch,) = spool.read(tmp_path / "spool" / "policy", {}, 1_000)
    kept = [spooled.read_refused(one.content).reference for one in batch.entries]
    assert (len(kept), kept[-1]) == (6, reference(other))
    assert set(kept[:5]) <= set(named)


def test_where_the_spool_cannot_be_used_refusals_go_out_and_are_logged(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    (tmp_path / "spool").write_text("no folder")
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
    ):
        answer = ask(client, question(sasl_username="off"))
        assert ask(client, question()) == "action=DUNNO"
        log = daemon.wait_log(reference(answer))
    assert "refusals are logged and not recorded" in log


def test_a_spool_that_goes_while_it_runs_costs_no_refusal(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
    ):
        shutil.rmtree(tmp_path / "spool")
        answer = ask(client, question(sasl_username="off"))
        for number in range(50):
            answer = ask(client, question(sasl_username="off", instance=f"1.{number:x}.0"))
            assert answer.startswith("action=550 5.7.1 Credential off is disabled")
        assert reference(answer) in daemon.wait_log(reference(answer))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("policy.listen=inet:25", "'inet:25' ends in no port"),
        ("policy.bounce_ports=0", "policy.bounce_ports"),
        ("keys.directory=/nonexistent", "no bounce key"),
    ],
)
def test_a_bad_configuration_ends_with_status_4_and_a_text_that_names_it(
    setting: str, says: str, store: Store
) -> None:
    command = [sys.executable, *arguments(store, setting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4
    assert says in done.stderr
    assert "Traceback" not in done.stderr
