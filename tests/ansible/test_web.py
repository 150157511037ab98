"""The web server in front of the tracker: a link of a delivered message, followed by name over TLS."""

from __future__ import annotations

import json
import re
import secrets
import shlex

from tests.ansible.conftest import only
from tests.ansible.load import Submission
from tests.ansible.receiving import DOMAIN
from tests.ansible.world import ACCOUNT, CLICK_DOMAIN, PLANS, SENDER_DOMAIN, World

URL = "https://www.example.org/sale?from=mail"
AUTHORITY = "/root/web-authority.pem"
CADDYS = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
FOLLOW = f"""
import http.client, ssl, sys
url = sys.argv[1]
host = url.split("/")[2]
context = ssl.create_default_context(cafile="{AUTHORITY}")
connection = http.client.HTTPSConnection(host, timeout=60, context=context)
connection.request("GET", url.partition(host)[2])
answer = connection.getresponse()
print(answer.status, answer.headers["Location"])
"""


def delivered_link(deployment: World) -> str:
    """Send a message with a link, and return what it is for the reader."""
    gateway, token = deployment.gateway, f"web-{secrets.token_hex(8)}"
    words = f"credential add --account {ACCOUNT} --label {token} --feature trackclicks --json"
    made = json.loads(gateway.run(f"gatepost {words}").out)
    submission = Submission(
        gateway.address, made["username"], made["password"], deployment.authority.pem, gateway.full_name
    )
    sender, recipient = f"news@{SENDER_DOMAIN}", f"joe@{DOMAIN}"
    html = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {token}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html; charset=utf-8\r\n\r\n"
        f'<html><body><a href="{URL}">Sale</a></body></html>\r\n'
    )
    with submission.session() as session:
        session.sendmail(sender, [recipient], html)
    found = re.search(r'href="([^"]+)"', deployment.receiver.arrived(token).message.get_content())
    assert found is not None
    return found[1]


def assert_a_click_counts(deployment: World, authority: str) -> None:
    link = delivered_link(deployment)
    assert link.startswith(f"https://{CLICK_DOMAIN}/")
    deployment.client.put(AUTHORITY, authority)
    before = len(clicks(deployment))
    said = deployment.client.run(shlex.join(["python3", "-c", FOLLOW, link])).out.split()
    assert said == ["302", URL]
    listed = "gatepost event list --type clicked --json | grep -c '\"type\"'"
    deployment.gateway.wait_for(f"test $({listed}) -gt {before}", "the click is an event")
    found = clicks(deployment)[0]["detail"]
    # The reader's address, not the web server's.
    assert (found["url"], found["ip"]) == (URL, deployment.client.address)


def clicks(deployment: World) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = deployment.gatepost("event list --type clicked")
    return found


def test_a_click_by_the_public_name_over_tls_leads_on_and_counts(deployment: World) -> None:
    caddy = deployment.plan.house == "gateway"
    assert_a_click_counts(deployment, deployment.gateway.get(CADDYS) if caddy else deployment.authority.pem)


@only(PLANS[0])
def test_one_web_server_takes_over_from_the_other_and_back(deployment: World) -> None:
    extra = {**deployment.nginx_variables(), "web_tls_mode": "files"}
    deployment.control.play("site", extra=extra).passed()
    assert_a_click_counts(deployment, deployment.authority.pem)
    assert deployment.control.play("site", extra=extra).passed().changed == []
    deployment.control.play("site").passed()
    assert_a_click_counts(deployment, deployment.gateway.get(CADDYS))


def test_nobody_reaches_the_tracker_but_through_the_web_server(deployment: World) -> None:
    listening = deployment.gateway.run("ss -Hltn sport = :2580").out.split()
    assert listening[3] == "127.0.0.1:2580"
