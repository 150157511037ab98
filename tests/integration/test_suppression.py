"""A hard bounce is refused from then on, through Postfix, the bounce intake and back; and can be lifted."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.postfix import Parameter
from gatepost_core.store import credentials, events, messages, suppressions
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import ClientLogin
from gatepost_stack.returns import DOMAIN
from gatepost_stack.stack import Stack
from tests.bounces.forms import MTA, failed, report
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply, text_message
from tests.integration.test_tracker import ask
from tests.waiting import until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: nobody else's bounces are in its store."""
    folder = tmp_path_factory.mktemp("suppression")
    (folder / "transports").write_text("nobody.test error:5.1.1 User unknown\n")
    maps = f"texthash:{folder}/transports $gatepost_transport"
    extra = [
        Parameter("transport_maps", maps, "refused"),
        Parameter("smtpd_reject_unlisted_recipient", "no", "refused"),
    ]
    with Stack(folder / "var", tracker=0, extra=extra) as stack:
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

    def told() -> str:
        with own.journal() as journal:
            found = events.each(journal, events.Wanted(), 50)
            return "\n".join(f"{one.type} {one.recipient} {one.message} {one.detail}" for one in found)

    (found,) = until(look, told)
    return found


def lift(own: Gateway, account: str, address: str) -> None:
    with open_backend(own.stack.settings.store).directory(write=True) as connection:
        suppressions.lift(connection, account, address, datetime.now(UTC))


def test_a_report_about_one_of_five_recipients_suppresses_one_and_a_forged_one_nobody(
    own: Gateway, login: ClientLogin
) -> None:
    """Our log shows that each of them got it."""
    others = [fresh_recipient() for _ in range(4)]
    gone = fresh_recipient()
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, [*others[:2], gone, *others[2:]], text_message())
    to = own.delivered(gone).sender
    with own.connect("mx", tls=False) as connection:
        for named in ("mallory@example.org", gone):
            connection.sendmail("", [to], report(MTA, failed(named)))
    found = suppressed(own, gone)
    message = own.records(login.username)[0].id
    assert (found.suppression.message, found.suppression.reason) == (message, Reason.BOUNCE)
    with open_backend(own.stack.settings.store).directory() as directory:
        listed = list(suppressions.walk(directory, suppressions.Wanted(), 10))
    assert [one.suppression.address for one in listed] == [gone]
    assert [sent(own, login, one) for one in others] == [""] * 4


def test_a_failure_in_our_own_log_suppresses_without_any_report(own: Gateway) -> None:
    login = own.stack.provision.credential({})
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, ["bob@nobody.test", fresh_recipient()], text_message())
    found = suppressed(own, "bob@nobody.test")
    with own.journal() as journal:
        told = next(events.each(journal, events.Wanted(types=("failed",)), 1))
    assert (found.suppression.event, found.suppression.message) == (told.id, told.message)
    assert "reason bounce (User unknown)" in sent(own, login, "bob@nobody.test")


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
    lift(own, found.account, address)
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
            # What is open may still be read for a quarter of a second (lookups.IDENTITY_SECONDS).
            until(lambda: reply(connection.rcpt(f"somebody@{DOMAIN}")).startswith("451 4.3.0"), "a refusal")
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
