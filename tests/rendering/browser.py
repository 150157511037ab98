"""Letters before and after in a real Chromium: pixels, computed styles, where links and images lead.

Two tabs show the two sides; requests are answered here, and the click domain as its tracker would. Scripts
are off, as in mail programs. Pictures are taken again until nothing is on its way, and once more before two
are called different: a picture that came late is no difference.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, Route, async_playwright

from gatepost_core.keys.tokens import TokenError

from .letters import CLICK, Letter, original, picture

CHROMIUM = "/usr/bin/chromium"
# Not https: a browser would ask for the http pictures of such a page by https.
ADDRESS = "http://mail.example.test/letter"
MODES: dict[str, dict[str, Any]] = {
    "1000": {"width": 1000},
    "600": {"width": 600},
    "375": {"width": 375},
    "dark": {"width": 1000, "color_scheme": "dark"},
    "print": {"width": 1000, "media": "print"},
    "hover": {"width": 1000, "hover": True},  # the pointer over every link and cell at once
}
_HOVERED = "a, td, th, [class*=button], [class*=btn]"
_SCRIPT = (Path(__file__).parent / "capture.js").read_text(encoding="utf-8")
_CLICK = re.compile(rf"https://{re.escape(CLICK)}/[^\s\"')]*")
# Whatever lays out a page, also where only a logical or a shorthand name is set.
_SIDES = ("top", "right", "bottom", "left")
_LAYOUT = [
    "display", "position", "float", "clear", "visibility", "opacity", "color", "background-color",
    "direction", "text-align", "vertical-align", "font-family", "font-size", "font-style", "font-weight",
    "line-height", "letter-spacing", "text-transform", "white-space", "table-layout", "border-collapse",
    "width", "height", "min-width", "min-height", "max-width", "max-height",
    *(f"{name}-{side}" for name in ("margin", "padding") for side in _SIDES),
    *(f"border-{side}-{what}" for side in _SIDES for what in ("width", "style", "color")),
]  # fmt: skip
_TABS = 3  # pairs at a time
_AGAIN = 3
_NAMED = 4  # properties of an element


@dataclass
class Side:
    """One tab. ``refused`` are requests at the click domain that its tracker would not have served."""

    page: Page
    session: CDPSession
    html: str = ""
    moving: int = 0
    begun: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    refused: list[str] = field(default_factory=list)

    async def show(self, html: str) -> None:
        """Load a document, with its pictures."""
        self.html = html
        self.refused.clear()
        await self.page.goto(ADDRESS)

    async def serve(self, route: Route) -> None:
        """Answer one request: the document, pictures by their original addresses, nothing else."""
        url = route.request.url
        try:
            if url == ADDRESS:
                await route.fulfill(body=self.html, content_type="text/html; charset=utf-8")
            elif route.request.resource_type != "image":
                await route.abort()
            else:
                await route.fulfill(body=picture(original(url)), content_type="image/png")
        except TokenError as error:
            self.refused.append(f"{url}: {error}")
            await route.abort()

    async def picture(self) -> str:
        """Return the whole page as PNG in base64, once nothing is on its way any more."""
        while True:
            before = self.begun
            shot = await self.session.send(
                "Page.captureScreenshot",
                {"format": "png", "optimizeForSpeed": True, "captureBeyondViewport": True},
            )
            if self.moving == 0 and self.begun == before:
                return str(shot["data"])
            await self.quiet.wait()

    def started(self, *_: object) -> None:
        """Count a request."""
        self.moving += 1
        self.begun += 1
        self.quiet.clear()

    def ended(self, *_: object) -> None:
        """Count its end."""
        self.moving -= 1
        if not self.moving:
            self.quiet.set()

    async def turn(
        self, width: int, color_scheme: Any = "light", media: Any = "screen", *, hover: bool = False
    ) -> None:
        """Give the tab another width, or the dress of dark mode, paper, or of a pointer over everything."""
        if hover:
            await self._hover()
        await self.page.emulate_media(color_scheme=color_scheme, media=media)
        await self.page.set_viewport_size({"width": width, "height": 800})

    async def _hover(self) -> None:
        await self.session.send("DOM.enable")
        await self.session.send("CSS.enable")
        root = (await self.session.send("DOM.getDocument"))["root"]["nodeId"]
        nodes = await self.session.send("DOM.querySelectorAll", {"nodeId": root, "selector": _HOVERED})
        for node in nodes["nodeIds"]:
            await self.session.send(
                "CSS.forcePseudoState", {"nodeId": node, "forcedPseudoClasses": ["hover", "active"]}
            )

    async def captured(self, names: list[str], letter: Letter) -> Captured:
        """Return what the style engine has of each element, with addresses as they were before."""
        found = await self.page.evaluate(
            f"what => ({_SCRIPT}).capture(what)",
            {"names": names, "pixel": letter.pixel, "honey": letter.honey},
        )
        known = [_before(text) for text in found["known"]]
        return Captured(
            [known[index] for index in found["index"]],
            [_before(link) for link in found["links"]],
            [_before(image) for image in found["images"]],
        )

    async def declared(self) -> set[str]:
        """Return the properties that anything in the document sets."""
        script = "every" if os.environ.get("GATEPOST_RENDERING") == "every" else "declared"
        return set(await self.page.evaluate(f"() => ({_SCRIPT}).{script}()"))


@dataclass(frozen=True)
class Captured:
    """Per element its name, box and values; where links lead; which images were chosen."""

    elements: list[str]
    links: list[str]
    images: list[str]


def _before(text: str) -> str:
    """Return a text with addresses of the click domain as they were before."""
    return _CLICK.sub(_original, text) if CLICK in text else text


def _original(found: re.Match[str]) -> str:
    try:
        return original(found[0])
    except TokenError as error:
        return f"{found[0]}, where nothing is to be had ({error})"


class Pair:
    """Two tabs, for one letter at a time."""

    def __init__(self, before: Side, after: Side) -> None:
        self._before, self._after = before, after

    async def differences(self, letter: Letter) -> list[str]:
        """Return what a reader of the letter would see differently, in words; empty if nothing."""
        await self._before.show(letter.before)
        await self._after.show(letter.after)
        names = sorted({*_LAYOUT, *await self._before.declared(), *await self._after.declared()})
        found: list[str] = []
        for mode, how in MODES.items():
            for side in (self._before, self._after):
                await side.turn(**how)
            found += [f"{mode}: {what}" for what in await self._compared(names, letter)]
        return found + self._after.refused

    async def _compared(self, names: list[str], letter: Letter) -> list[str]:
        same = await self._before.picture() == await self._after.picture()
        before = await self._before.captured(names, letter)
        told = list(_told(before, await self._after.captured(names, letter), names))
        for _ in range(0 if told else _AGAIN):
            same = same or await self._before.picture() == await self._after.picture()
        return told if same else ["other pixels", *told]


def _told(before: Captured, after: Captured, names: list[str]) -> Iterator[str]:
    """Yield the differences between two captures."""
    if len(before.elements) != len(after.elements):
        yield f"{len(before.elements)} elements became {len(after.elements)}"
    for number, (old, new) in enumerate(zip(before.elements, after.elements, strict=False)):
        if old != new:
            tag = old.partition("\n")[0]
            values = zip(["tag", "box", *names], old.split("\n"), new.split("\n"), strict=False)
            changed = [f"{name}: {one} became {two}" for name, one, two in values if one != two]
            yield f"<{tag}> number {number}: {'; '.join(changed[:_NAMED])}"
    for kind, olds, news in (("link", before.links, after.links), ("image", before.images, after.images)):
        yield from (f"{kind} {one} became {two}" for one, two in zip(olds, news, strict=False) if one != two)


async def _side(browser: Browser) -> Side:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    side = Side(page, await context.new_cdp_session(page))
    await page.route("**/*", side.serve)
    page.on("request", side.started)
    page.on("requestfinished", side.ended)
    page.on("requestfailed", side.ended)
    return side


async def all_differences(letters: Mapping[str, Letter]) -> dict[str, list[str]]:
    """Return the differences of each letter, by its name."""
    left, found = list(letters.items()), dict[str, list[str]]()

    async def work(pair: Pair) -> None:
        while left:
            name, letter = left.pop(0)
            found[name] = await pair.differences(letter)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            pairs = [Pair(await _side(browser), await _side(browser)) for _ in range(_TABS)]
            await asyncio.gather(*map(work, pairs))
        finally:
            await browser.close()
    return found
