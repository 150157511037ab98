"""Postfix's own replies, each provoked at a real one: what docs/replies.md says is what clients hear."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gatepost_core.postfix import Parameter
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, reply, write_main_cf
from tests.integration.provocations import LIMITED, LIMITS, PLAIN, Provocation
from tests.test_docs_replies import matches, rows
from tests.waiting import until


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose limits are low enough to be reached."""
    extra = [Parameter(name, value, "to be reached") for name, value in LIMITS.items()]
    tables = {"postfix": {"message_size_limit": 50_000}}
    with Stack(tmp_path_factory.mktemp("limited"), extra=extra, tables=tables) as stack:
        yield Gateway(stack)


def said(gateway: Gateway, one: Provocation, login: ClientLogin) -> str:
    """Return the answer to the last line."""
    if one.state in ("greeted", "clear"):
        with smtplib.SMTP(timeout=30) as connection:
            answer = connection.connect(HOST, gateway.port("submission"))
            if one.state == "clear":
                connection.ehlo()
            return reply(last(connection, one, answer))
    if one.state == "hidden":
        context = ssl.create_default_context(cafile=gateway.ca_file)
        with smtplib.SMTP_SSL(HOST, gateway.port("submissions"), timeout=30, context=context) as connection:
            return reply(last(connection, one, (0, b"")))
    opened = gateway.connect() if one.state == "tls" else gateway.logged_in(login)
    with opened as connection:
        return reply(last(connection, one, (0, b"")))


def last(connection: smtplib.SMTP, one: Provocation, answer: tuple[int, bytes]) -> tuple[int, bytes]:
    for line in one.lines:
        # smtplib would not send what is wrong on purpose. Nothing at all is a client that stalls.
        assert connection.sock is not None
        if line or "timeout" not in one.reply:
            connection.sock.sendall(line.encode("utf-8", "surrogateescape") + b"\r\n")
        answer = connection.getreply()
    return answer


def hears(gateway: Gateway, one: Provocation, login: ClientLogin) -> None:
    heard = said(gateway, one, login)
    assert matches(one.reply, heard), heard
    assert [row for row in rows() if matches(row, heard)], f"docs/replies.md has no row for {heard!r}"


@pytest.mark.parametrize("one", PLAIN, ids=lambda one: one.reply)
def test_a_client_hears_what_the_page_says(gateway: Gateway, login: ClientLogin, one: Provocation) -> None:
    hears(gateway, one, login)


@pytest.mark.parametrize("one", LIMITED, ids=lambda one: one.reply)
def test_a_client_that_reaches_a_limit_hears_what_the_page_says(limited: Gateway, one: Provocation) -> None:
    login = limited.stack.provision.credential()
    configure(limited, dict(one.main_cf))
    # The reload takes its moment, and an anvil(8) that ends by it may take a client's counts along.
    until(lambda: goes_beyond(limited, one, login), f"a client hears {one.reply!r}", 90)
    hears(limited, one, login)


def goes_beyond(gateway: Gateway, one: Provocation, login: ClientLogin) -> bool:
    with suppress(AssertionError, smtplib.SMTPException, OSError):
        return matches(one.reply, said(gateway, one, login))
    return False


def configure(gateway: Gateway, wanted: dict[str, str]) -> None:
    """Set parameters, and put back those that were set before."""
    place = gateway.stack.layout.postfix
    main = place / "main.cf"
    kept = place / "main.cf.kept"
    if not kept.exists():
        kept.write_text(main.read_text())
    # Each parameter once: a second line is a warning of each program, which may stop postlogd(8) for good.
    lines = [line for line in kept.read_text().splitlines() if line.partition(" =")[0] not in wanted]
    text = "\n".join([*lines, *(f"{name} = {value}" for name, value in wanted.items())]) + "\n"
    if text == main.read_text():
        return
    write_main_cf(gateway.stack, text)
    subprocess.run(["/usr/sbin/postfix", "-c", str(place), "reload"], check=True, capture_output=True)
