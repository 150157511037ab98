"""Pages in a real Chromium, with real mail: what a person does, from the sign-in to the refusal."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from gatepost_core.domain.access import Role
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway
from tests.integration.test_round_trip import Site, site
from tests.pages.conftest import member
from tests.pages.people import Person, sign_in
from tests.pages.seeds import HOSTILE
from tests.pages.visiting import AGENT, Visitor

pytestmark = pytest.mark.integration
WEIGHT_MOST = 250_000  # bytes of a page with all that it loads


@pytest.fixture
def desk(browser: Browser) -> Iterator[BrowserContext]:
    """A window of a person's; a fault of a script, or what the page's policy forbids, is a fault."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, user_agent=AGENT)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    yield context
    context.close()
    assert [one for one in faults if "status of 4" not in one] == []


def read_and_clicked(browser: Browser, message: bytes, origin: str) -> None:
    """Show a message as a mail program does, and click its link."""
    body = email.message_from_bytes(message, policy=email.policy.default).get_body(("html",))
    assert body is not None
    Site.letter = str(body.get_content())
    context = browser.new_context(java_script_enabled=False, user_agent=AGENT)
    page = context.new_page()
    page.route(
        "https://example.org/**", lambda route: route.fulfill(body="<h1>There</h1>", content_type="text/html")
    )
    # From this host: a browser lets no page of the world load pictures from here.
    page.goto(f"{origin}/mail", wait_until="networkidle")
    page.get_by_role("link", name="A link").click()
    expect(page.get_by_role("heading", name="There")).to_be_visible()
    context.close()


def test_from_the_sign_in_to_a_click_that_is_seen_and_to_the_refusal(
    stack: Stack, desk: BrowserContext, browser: Browser, tmp_path: Path
) -> None:
    base, page = stack.dashboard_url, desk.new_page()
    who = member(stack, Role.EDITOR)
    sign_in(page, base, who)
    page.get_by_role("link", name=f"Profile of {who.name}").or_(
        page.get_by_role("link", name=who.name)
    ).first.click()
    page.get_by_role("link", name="Set it up").click()
    clock = pyotp.TOTP("".join(page.locator("#key").inner_text().split()))
    page.get_by_label("The code that it shows now").fill(clock.now())
    page.get_by_role("button", name="Switch it on").click()
    recovery = page.locator("#codes").inner_text().split()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill(who.name)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Start")).to_be_visible()

    page.get_by_role("link", name="Credentials").click()
    page.get_by_role("link", name="Make a credential").first.click()
    page.get_by_label("Label").fill("Wool shop")
    for feature in ("trackclicks", "trackopens", "dkim"):
        page.locator(f"[name='feature.{feature}']").check()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("Waiting for the first message…")).to_be_visible()
    username, password = (page.locator(name).inner_text() for name in ("#username", "#password"))
    page.get_by_text("Python", exact=True).click()
    page.get_by_role("button", name="Copy the snippet for Python").click()
    snippet = tmp_path / "send.py"
    snippet.write_text(page.evaluate("navigator.clipboard.readText()"))
    subprocess.run([sys.executable, str(snippet)], check=True, timeout=30)

    expect(page.get_by_text("It arrived")).to_be_visible(timeout=20_000)
    with site() as origin:
        read_and_clicked(browser, Gateway(stack).delivered("you@example.test").message, origin)
    page.get_by_role("link", name="Hello").click()
    timeline = page.get_by_role("list").filter(has_text="Accepted")
    for words in ("Delivered to you@example.test", "Opened by a person", "Clicked by a person"):
        expect(timeline.get_by_text(words)).to_be_visible(timeout=20_000)

    page.get_by_role("link", name=username).click()
    page.get_by_role("button", name="Make a new password").click()
    newer = page.locator("#password").inner_text()
    assert newer != password
    page.goto(f"{base}credentials/{username}")
    expect(page.get_by_text("two are valid")).to_be_visible()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("no program can send with it")).to_be_visible()
    run = subprocess.run(
        [sys.executable, str(snippet)], capture_output=True, text=True, timeout=30, check=False
    )
    assert "535" in run.stderr
    kept = b"".join(file.read_bytes() for file in stack.layout.runtime.rglob("*") if file.is_file())
    for secret in (password, newer):
        assert secret.encode() not in kept, "neither in the store, nor in logs, metrics or the spool"
    page.go_back()
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()  # history does not bring it back


def test_without_javascript_a_credential_is_made_and_a_message_found(
    stack: Stack, sown: dict[str, ClientLogin], browser: Browser, operator: Person
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, stack.dashboard_url, operator)
    page.goto(f"{stack.dashboard_url}credentials/new")
    page.get_by_label("Label").fill("By hand")
    page.get_by_label("Limits").fill("5/hour")
    account = page.get_by_label("Account", exact=True)
    if account.count():
        account.select_option("demo")
    page.get_by_role("button", name="Make it").click()
    assert page.locator("#password").inner_text().startswith("gps_")
    page.get_by_role("link", name="Messages").click()
    page.get_by_label("Find messages").fill("to:erin@example.org autumn")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Autumn wool").click()
    expect(page.get_by_text("Delivered to erin@example.org")).to_be_visible()
    assert sown["news"].username in page.content()
    context.close()


def paths(stack: Stack, sown: dict[str, ClientLogin]) -> list[str]:
    """Return the addresses of pages with something on them, hostile texts among it."""
    gateway, shop, held = Gateway(stack), sown["shop"].username, sown["crm"].username
    hostile = next(one.id for one in gateway.records(shop) if one.subject.startswith("<img"))
    return [
        "start?span=30d", "credentials", "credentials/new", f"credentials/{held}", f"credentials/{shop}",
        f"credentials/{held}/edit", "messages", "messages?q=nothing:", f"messages/{hostile}",
        f"messages/{gateway.records(held)[0].id}", "domains",
        "domains/example.test", "suppressions", "webhooks", "statistics", "audit", "profile",
        "profile/second", "no-such-page",
    ]  # fmt: skip


def test_hostile_texts_are_shown_as_texts(
    stack: Stack, sown: dict[str, ClientLogin], desk: BrowserContext, operator: Person
) -> None:
    page, shown = desk.new_page(), 0
    sign_in(page, stack.dashboard_url, operator)
    for path in paths(stack, sown):
        page.goto(stack.dashboard_url + path)
        assert page.evaluate("document.querySelectorAll('img[src=x], main script').length") == 0, path
        assert page.title() != "1", path
        shown += HOSTILE[:40] in page.inner_text("body")
    assert shown >= 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_fit_for_everybody_and_for_a_narrow_window(
    stack: Stack, sown: dict[str, ClientLogin], browser: Browser, operator: Person, scheme: Any
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": 320, "height": 700}, reduced_motion="reduce"
    )
    page, axe = context.new_page(), Axe()
    weights: dict[str, int] = {}
    lock = threading.Lock()

    def weighed(response: Any) -> None:
        with lock:
            length = int(response.headers.get("content-length", "0"))
            weights[page.url] = weights.get(page.url, 0) + length

    page.on("response", weighed)
    page.goto(f"{stack.dashboard_url}sign-in")
    found = [("sign-in", *serious(axe, page))]
    sign_in(page, stack.dashboard_url, operator)
    for path in paths(stack, sown):
        page.goto(stack.dashboard_url + path, wait_until="load")
        found.append((path, *serious(axe, page)))
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than its window"
    context.close()
    assert [one for one in found if len(one) > 1] == []
    assert max(weights.values()) < WEIGHT_MOST


def serious(axe: Axe, page: Page) -> list[str]:
    """Return what axe finds on a page that hinders somebody."""
    results = axe.run(page).response
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}"
        for one in results["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_a_page_is_a_light_one(stack: Stack, operator: Person) -> None:
    visitor = Visitor(stack.dashboard_url)
    visitor.sign_in(operator)
    page = visitor.get("/credentials/new")
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    whole = len(page.text) + sum(len(visitor.get(file).text) for file in set(files))
    assert whole < WEIGHT_MOST
