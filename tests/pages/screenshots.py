"""``script/screenshots``: every page as it looks, light and dark, on a phone and on a desk, as pictures.

With the folder ``docs`` it makes the few that the documentation shows.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway
from tests.pages.people import Person, person, sign_in
from tests.pages.seeds import sow
from tests.rendering.browser import CHROMIUM
from tests.waiting import until

WIDTHS = (360, 1200)
SCHEMES: tuple[Any, ...] = ("light", "dark")


def pages_of(stack: Stack) -> list[str]:
    """Return the addresses of pages with something on them."""
    gateway = Gateway(stack)
    logins = sow(stack)
    shop, held = logins["shop"].username, logins["crm"].username
    records = gateway.records(shop)
    until(lambda: all(one.status != "accepted" for one in gateway.records(shop)), "outcomes")
    return [
        "start",
        "start?span=30d",
        "credentials",
        "credentials/new",
        f"credentials/{shop}",
        f"credentials/{shop}/edit",
        "messages",
        f"messages/{records[-1].id}",
        f"messages/{gateway.records(held)[0].id}",
        "domains",
        "domains/example.test",
        "suppressions",
        "webhooks",
        "statistics",
        "statistics?by=domain&span=30d",
        "audit",
        "profile",
        "profile/second",
    ]


def shoot(browser: Browser, base: str, who: Person, paths: list[str], folder: Path) -> Iterator[Path]:
    """Yield the pictures, as they are made."""
    for scheme in SCHEMES:
        for width in WIDTHS:
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.goto(f"{base}sign-in")
            yield picture(page, folder / f"sign-in-{scheme}-{width}.png")
            sign_in(page, base, who)
            for path in paths:
                page.goto(base + path)
                name = path.replace("/", "-").replace("?", "-").replace("=", "-")[:40]
                yield picture(page, folder / f"{name}-{scheme}-{width}.png")
            page.goto(f"{base}credentials/new")
            page.get_by_label("Label").fill("Web shop")
            page.get_by_label("trackclicks").check()
            page.get_by_role("button", name="Make it").click()
            page.wait_for_selector("#password")
            yield picture(page, folder / f"made-{scheme}-{width}.png")
            context.close()


def for_docs(browser: Browser, base: str, who: Person, paths: list[str], folder: Path) -> None:
    """Make the pictures of docs/ anew."""
    context = browser.new_context(viewport={"width": 980, "height": 620}, color_scheme="light")
    page = context.new_page()
    sign_in(page, base, who)
    message = next(path for path in paths if path.startswith("messages/"))
    page.goto(base + message)
    page.screenshot(path=folder / "dashboard-message.png")
    page.goto(f"{base}credentials/new")
    page.get_by_label("Label").fill("Web shop")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_selector("#password")
    page.screenshot(path=folder / "dashboard-made.png")
    context.close()


def picture(page: Page, file: Path) -> Path:
    """Make a picture of a whole page."""
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    if wide:
        print(f"{file.name}: wider than its window")
    page.screenshot(path=file, full_page=True)
    return file


def main() -> None:
    """Make them."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "var/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as var, Stack(Path(var), tracker=0, dashboard=0) as stack:
        who = person(stack.settings, "alice@example.test", operator=True)
        paths = pages_of(stack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM)
            if folder.name == "docs":
                for_docs(browser, stack.dashboard_url, who, paths, folder)
                return
            made = list(shoot(browser, stack.dashboard_url, who, paths, folder))
            browser.close()
    print(f"{len(made)} pictures in {folder}")


if __name__ == "__main__":
    main()
