"""A link of a delivered message, followed: through Postfix, over the tracker, into the journal."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gatepost_core.store.opening import open_backend
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, fresh_recipient
from tests.waiting import until

pytestmark = pytest.mark.integration
FEATURES = {"trackclicks": True, "trackopens": True, "unsubscribe": True, "dkim": True}


def ask(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
    """Return status, Location and body: by the address alone, with no trick of DNS or Host."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=20)
    connection.request(method, url[len(f"{parts.scheme}://{parts.netloc}") :], body)
    answer = connection.getresponse()
    found = answer.status, answer.headers.get("Location", ""), answer.read()
    connection.close()
    return found


def test_links_begin_with_the_trackers_url_and_what_is_clicked_is_an_event(tmp_path: Path) -> None:
    with Stack(tmp_path, tracker=0) as stack:
        gateway = Gateway(stack)
        login = stack.provision.credential(FEATURES)
        recipient = fresh_recipient()
        html = (
            "From: <alice@example.test>\r\nTo: <bob@example.org>\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/html; charset=utf-8\r\n\r\n"
            '<html><body><a href="https://www.example.org/a?b=1">x</a></body></html>\r\n'
        )
        with gateway.logged_in(login) as client:
            client.sendmail("alice@example.test", [recipient], html.encode())
        message = gateway.delivered(recipient).message
        text = message.decode()
        url = stack.tracker_url
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/")
        link = re.search(r'href="([^"]+)"', text)
        pixel = re.search(r'src="([^"]+\.gif)"', text)
        unfolded = text.replace("\r\n ", " ").replace("\n ", " ")
        button = re.search(r"(?m)^List-Unsubscribe: <([^>]+)>", unfolded)
        assert link
        assert pixel
        assert button, text
        assert all(found[1].startswith(url) for found in (link, pixel, button))
        assert ask(link[1])[:2] == (302, "https://www.example.org/a?b=1")
        assert ask(pixel[1])[2].startswith(b"GIF89a")
        assert b"You are unsubscribed" in ask(button[1], "POST", b"List-Unsubscribe=One-Click")[2]
        told = until(lambda: found if len(found := types(stack)) == 5 else None, "five events")
        assert set(told) == {"accepted", "delivered", "clicked", "opened", "unsubscribed"}


def types(stack: Stack) -> list[str]:
    with open_backend(stack.settings.store).journal() as connection:
        query = connection.exec_driver_sql("SELECT type FROM events")
        return [str(row[0]) for row in query]
