"""A credential made over the API: it sends at once, is refused at once, and its password is nowhere."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Stack(tmp_path_factory.mktemp("api"), dashboard=0) as stack:
        yield Gateway(stack)


def ask(stack: Stack, token: str, method: str, path: str, body: Any = None) -> Any:
    """Return what the API answers, which is no error."""
    connection = HTTPConnection(stack.dashboard_url.split("/")[2], timeout=60)
    raw = None if body is None else json.dumps(body)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, f"/api/v1{path}", raw, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status < 300, said
    return json.loads(said or b"null")


def test_what_the_api_says_counts_at_once_and_a_password_is_told_once(gateway: Gateway) -> None:
    stack = gateway.stack
    token = stack.provision.token("credentials", account="demo")
    made = ask(stack, token, "POST", "/credentials", {"label": "by the API", "features": {"tags": ["api"]}})
    login, recipient = ClientLogin(made["username"], made["password"]), fresh_recipient()
    with gateway.logged_in(login) as client:
        client.sendmail(SENDER, [recipient], text_message())
        assert gateway.delivered(recipient).message
        path = f"/credentials/{login.username}"
        rotated = ask(stack, token, "POST", f"{path}/rotate", {"overlap_seconds": 0})
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="password"):
            client.sendmail(SENDER, [recipient], text_message())
    with gateway.logged_in(ClientLogin(login.username, rotated["password"])) as client:
        client.sendmail(SENDER, [fresh_recipient()], text_message())
        assert ask(stack, token, "POST", f"{path}/disable")["state"] == "disabled"
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="disabled"):
            client.sendmail(SENDER, [fresh_recipient()], text_message())
    gateway.caught_up()
    assert ask(stack, token, "GET", path)["last_used_ip"] == "127.0.0.1"
    for secret in (login.password, rotated["password"], token):
        assert not [str(file) for file in files(stack) if secret.encode() in file.read_bytes()]


def files(stack: Stack) -> list[Path]:
    """Return all that the store, the spool and the logs consist of."""
    places = (stack.layout.store, stack.layout.logs)
    return [file for place in places for file in place.rglob("*") if file.is_file()]
