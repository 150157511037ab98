"""The whole round trip: out to a mailbox, shown by a browser, and all that comes back to the sender."""

from __future__ import annotations

import email
import email.policy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from gatepost_stack.stack import Stack
from tests.cli.command import Gatepost
from tests.events.webhooks.receiver import receiving
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.rendering.browser import CHROMIUM
from tests.rendering.letters import picture
from tests.waiting import until

pytestmark = pytest.mark.integration
FEATURES = dict.fromkeys(
    ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam", "unsubscribe", "dkim"), True
)
# What headless Chromium says of itself is a robot's, and known as such.
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TOLD = ("accepted", "delivered", "opened", "clicked")


class Site(BaseHTTPRequestHandler):
    """The sender's own web site, a page and a picture, and the reader's web mail, which shows ``letter``."""

    letter = ""

    def do_GET(self) -> None:
        type_, body = "text/html; charset=utf-8", b"<title>Wool</title><h1>All about wool</h1>"
        if self.path == "/mail":
            body = self.letter.encode()
        elif self.path.startswith("/wool.png"):
            type_, body = "image/png", picture("wool")
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def letter(origin: str) -> bytes:
    html = (
        "<!DOCTYPE html><html><head><style>h1{color:green}</style></head><body><h1>News</h1>"
        f'<p><img src="{origin}/wool.png" width="40" height="30" alt="wool"></p>'
        f'<p><a href="{origin}/stories/wool?ref=news&amp;lang=en#top">Read on</a></p></body></html>'
    )
    head = (
        f"From: <{SENDER}>\r\nTo: <bob@example.org>\r\nSubject: News\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html; charset=utf-8\r\n\r\n"
    )
    return f"{head}{html}\r\n".encode()


def read_and_clicked(message: bytes, origin: str) -> tuple[str, str]:
    """Show a message as a mail program does, click its link; return where that led and what was there."""
    body = email.message_from_bytes(message, policy=email.policy.default).get_body(("html",))
    assert body is not None
    Site.letter = str(body.get_content())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            page = browser.new_context(java_script_enabled=False, user_agent=AGENT).new_page()
            page.goto(f"{origin}/mail", wait_until="networkidle")
            assert page.get_by_alt_text("wool").evaluate("image => image.naturalWidth") > 0
            page.get_by_role("link", name="Read on").click()
            page.wait_for_load_state("load")
            return page.url, page.inner_text("h1")
        finally:
            browser.close()


def test_what_went_out_comes_back_delivered_opened_and_clicked(tmp_path: Path) -> None:
    with site() as origin, Stack(tmp_path, tracker=0) as stack, receiving() as receiver:
        gateway, gatepost = Gateway(stack), Gatepost(stack.layout.var)
        login, recipient = stack.provision.credential(FEATURES), fresh_recipient()
        (account,) = [one["name"] for one in gatepost("account", "list", "--json").data][:1]
        made = gatepost("webhook", "add", receiver.url, "--account", account, "--allow-private", "--json")
        with gateway.logged_in(login) as client:
            client.sendmail(SENDER, [recipient], letter(origin))
        arrived = gateway.delivered(recipient).message
        assert origin.encode() not in arrived, "every address in the message leads to the tracker"
        assert read_and_clicked(arrived, origin) == (
            f"{origin}/stories/wool?ref=news&lang=en#top",
            "All about wool",
        )

        queue_id = gateway.records(login.username)[0].queue_id

        def shown() -> list[dict[str, Any]] | None:
            events: list[dict[str, Any]] = gatepost("message", "show", queue_id, "--json").data["events"]
            return events if {*TOLD} <= {one["type"] for one in events} else None

        events = until(shown, lambda: f"{TOLD}; {gateway.log('events')}")
        assert sorted(one["type"] for one in events) == sorted(TOLD), "each once"
        by_type = {one["type"]: one for one in events}
        assert by_type["delivered"]["recipient"] == recipient
        assert by_type["clicked"]["detail"]["url"].startswith(f"{origin}/stories/wool")
        assert by_type["clicked"]["detail"]["verdict"] == "person"
        assert by_type["opened"]["detail"]["verdict"] == "person"

        heard = until(
            lambda: receiver.got if len(receiver.got) >= len(TOLD) else None, lambda: f"{receiver.types}"
        )
        told = [one.verified(made.data["secret"]) for one in heard]
        assert {one["id"] for one in told} == {one["id"] for one in events}
        assert told[0]["type"] == "accepted"
