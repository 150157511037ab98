"""A hard bounce is refused from then on, through Postfix, the bounce intake and back; and can be lifted."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.store import credentials, events, messages, suppressions
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import ClientLogin
from gatepost_stack.returns import DOMAIN
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply, text_message
from tests.integration.test_tracker import ask
from tests.waiting import until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: nobody else's bounces are in its store."""
    with Stack(tmp_path_factory.mktemp("suppression"), tracker=0) as stack:
        yield Gateway(stack)


@pytest.fixture(scope="module")
def login(own: Gateway) -> ClientLogin:
    """A credential whose messages have bounce addresses."""
    return own.stack.provision.credential({"trackbounces": True})


def sent(own: Gateway, login: ClientLogin, recipient: str) -> str:
    """Send a message; return the refusal of its recipient, '' where it was taken."""
    with own.logged_in(login) as connection:
        try:
            connection.sendmail(SENDER, [recipient], text_message())
        except smtplib.SMTPRecipientsRefused as error:
            return reply(error.recipients[recipient])
    return ""


def suppressed(own: Gateway, address: str) -> suppressions.Listed:
    """Wait until an address is suppressed."""

    def look() -> list[suppressions.Listed]:
        with open_backend(own.stack.settings.store).directory() as connection:
            return list(suppressions.walk(connection, suppressions.Wanted(address=address), 10))

    (found,) = until(look, lambda: own.log("events")[-2_000:])
    return found


@pytest.mark.parametrize(("who", "reason"), [("hard", "bounce"), ("complain", "complaint")])
def test_a_hard_bounce_or_a_complaint_is_refused_at_rcpt_until_it_is_lifted(
    own: Gateway, login: ClientLogin, who: str, reason: str
) -> None:
    address = f"{who}@{DOMAIN}"
    assert sent(own, login, address) == ""
    found = suppressed(own, address)
    assert found.suppression.reason.value == reason
    assert found.suppression.message == own.records(login.username)[0].id
    refused = sent(own, login, f"{who.title()}@{DOMAIN.upper()}")
    assert refused.startswith("550 5.7.1 ")
    assert "Suppressed since 20" in refused
    assert f"reason {reason}" in refused
    assert refused.endswith(f"gatepost suppression remove {address} --account {found.account}")
    assert sent(own, login, f"somebody@{DOMAIN}") == ""
    with open_backend(own.stack.settings.store).directory(write=True) as connection:
        suppressions.lift(connection, found.account, address, datetime.now(UTC))
    assert sent(own, login, address) == ""


def test_who_unsubscribes_gets_no_more_of_that_credential_and_of_others_still(own: Gateway) -> None:
    news = own.stack.provision.credential({"unsubscribe": True, "dkim": True})
    receipts = own.stack.provision.credential({})
    reader = fresh_recipient()
    assert sent(own, news, reader) == ""
    header = own.delivered(reader).message.decode().replace("\r\n ", " ").replace("\n ", " ")
    link = re.search(r"(?m)^List-Unsubscribe: <([^>]+)>", header)
    assert link is not None, header
    assert ask(link[1], "POST", b"List-Unsubscribe=One-Click")[0] == 200
    assert suppressed(own, reader).suppression.credential == news.username
    assert "reason unsubscribe" in sent(own, news, reader)
    assert sent(own, receipts, reader) == ""


def test_while_the_store_is_down_no_recipient_is_let_through(own: Gateway, login: ClientLogin) -> None:
    database = open_backend(own.stack.settings.store).files("directory")[0]
    with own.logged_in(login) as connection:
        connection.mail(SENDER)
        aside = database.with_name("aside.db")
        database.rename(aside)
        try:
            assert reply(connection.rcpt(f"somebody@{DOMAIN}")).startswith("451 4.3.0")
        finally:
            aside.rename(database)


def test_who_wants_no_mail_with_a_tag_gets_none_and_the_others_do(own: Gateway) -> None:
    login = own.stack.provision.credential({"tags": ("news",)})
    anna, ben = fresh_recipient(), fresh_recipient()
    backend = open_backend(own.stack.settings.store)
    with backend.directory(write=True) as connection:
        whose, now = credentials.get(connection, login.username).account_id, datetime.now(UTC)
        entry = Suppression(whose, anna, Reason.UNSUBSCRIBE, now, credential=login.username, tag="news")
        suppressions.put(connection, [entry], now)
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, [anna, ben], text_message())
    own.delivered(ben)
    own.caught_up()
    assert anna not in [recipient for one in own.all_delivered() for recipient in one.recipients]
    (record,) = own.records(login.username)
    with own.journal() as journal:
        found = {one.address: one.state for one in messages.recipients_of(journal, record)}
        (told,) = [
            one for one in events.each(journal, events.Wanted(message=record.id), 10) if one.recipient == anna
        ]
    assert (told.recipient, told.detail["tag"], told.detail["reason"]) == (anna, "news", "unsubscribe")
    assert found[anna] == "suppressed"
    with own.logged_in(login) as connection, pytest.raises(smtplib.SMTPDataError) as refused:
        connection.sendmail(SENDER, [anna], text_message())
    assert refusal(refused.value).startswith(
        f"550 5.7.1 No recipient is left: <{anna}> is suppressed for the tag"
    )
