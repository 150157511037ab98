"""Something to look at: credentials, mail in every state, and what people and machines made of it."""

from __future__ import annotations

import email
import email.policy
import http.client
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from urllib.parse import urlsplit

from gatepost_core.domain import Mode
from gatepost_core.service import suppressions
from gatepost_core.service.suppressions import New
from gatepost_core.store.webhooks import endpoints
from gatepost_stack.provision import ACCOUNT, ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway
from tests.pages.people import context_of
from tests.pages.visiting import AGENT

# Shown as text wherever it stands.
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=1</script>"\'&amp;'


def letter(subject: str, to: str, tags: str = "", sender: str = SENDER) -> bytes:
    """Return a message with a link and a tag."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    if tags:
        message["X-Gatepost-Tags"] = tags
    message.set_content("Hello.\n")
    message.add_alternative('<p>Hello. <a href="https://example.org/wool">Wool</a></p>', subtype="html")
    return message.as_bytes()


def sow(stack: Stack) -> dict[str, ClientLogin]:
    """Make credentials, and send mail with them."""
    gateway, make = Gateway(stack), stack.provision.credential
    tracked = {"trackclicks": True, "trackopens": True, "dkim": True, "inlinecss": True}
    logins = {
        "shop": make(tracked, label="Web shop"),
        "news": make({**tracked, "unsubscribe": True, "tags": ("newsletter",)}, label="Newsletter"),
        "crm": make({"dkim": True}, label=f"CRM {HOSTILE}"[:120], mode=Mode.HOLD),
        "test": make({}, label="Staging", mode=Mode.SANDBOX),
        "old": make({}, label="Old printer"),
    }
    stack.provision.disable(logins["old"].username)
    stack.provision.limit(logins["shop"].username, "12/hour", "recipients=2K/day", "bytes=1G/month")
    stack.provision.limit(logins["news"].username, "500/hour")
    sent = (
        ("shop", "Your order 1042 is on its way", "bob@example.org", "order"),
        ("shop", "Your invoice for October", "carol@example.org", "invoice"),
        ("shop", HOSTILE, "dave@example.org", "order"),
        ("shop", "Your order 1043", "hard@bounce.example.test", "order"),
        ("shop", "Your order 1044", "soft@bounce.example.test", "order"),
        ("news", "Autumn wool, and what to make of it", "erin@example.org", "autumn"),
        ("news", "A second look at sheep", "frank@example.org", "autumn"),
        ("crm", "A draft that somebody has to read first", "grace@example.org", ""),
        ("test", "Nobody gets this", "heidi@example.org", ""),
    )
    for name, subject, to, tags in sent:
        with gateway.logged_in(logins[name]) as client:
            client.sendmail(SENDER, [to], letter(subject, to, tags))
    suppress(stack)
    hook(stack)
    gateway.caught_up()
    read(gateway.delivered("bob@example.org").message)
    return logins


def hook(stack: Stack) -> None:
    """Have a webhook that is off, for a reason that is no text for a browser."""
    store, now = context_of(stack.settings).store, datetime.now(UTC)
    asked = endpoints.Asked("https://hooks.example.org/in", label="Orders")
    with store.directory(write=True) as connection:
        made = endpoints.add(connection, ACCOUNT, asked, endpoints.new_handle(), b"sealed", now)
        endpoints.switch_off(connection, made.handle, HOSTILE, now)


def suppress(stack: Stack) -> None:
    """Enter somebody whom mail does not reach, for a reason that is no text for a browser."""
    context = context_of(stack.settings)
    suppressions.add(context, New("mallory@example.org", ACCOUNT, note=HOSTILE))


def read(message: bytes) -> None:
    """Fetch a message's picture and its link as a person's mail program does."""
    body = email.message_from_bytes(message, policy=email.policy.default).get_body(("html",))
    assert body is not None
    addresses = re.findall(r'(?:src|href)="(http://[^"]+)"', str(body.get_content()))
    for address in sorted(addresses, key=lambda one: "wool" in one):
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        headers = {"User-Agent": AGENT, "Accept-Language": "en", "Accept-Encoding": "gzip"}
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), None, headers)
        connection.getresponse().read()
        connection.close()
