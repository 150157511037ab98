"""What is answered to a request, and what is to be kept of it. Sans-I/O: values and a clock in, values out.

A click leads to what its token signed and nowhere else, over http and https only; a token that does not
fit is a page with 404. Nothing here depends on the store but which hosts are ours; where the store cannot
tell, the token does, which is for one host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from gatepost_core.domain import spooled
from gatepost_core.domain.images import is_name
from gatepost_core.domain.memo import memo
from gatepost_core.domain.rules import normal_domain
from gatepost_core.keys.tokens import (
    ClickTokens,
    OpenTokens,
    Origin,
    PixelTokens,
    TokenError,
    TrackingMode,
    UnsubscribeTokens,
)
from gatepost_tracker import pages, verdicts
from gatepost_tracker.codec import Request, Response

PIXEL = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
_HOST = re.compile(r"[a-z0-9._:-]{1,260}")
_PLAIN = re.compile(r"[!-~]*")
_URL_KEPT = 2_000
_HINTS = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_ONCE = (*pages.STRICT, ("Cache-Control", "no-store"))
_PIXEL = Response(200, (*_ONCE, ("Content-Type", "image/gif")), PIXEL)
_METHODS = Response(405, (*_ONCE, ("Allow", "GET, HEAD")))
_POST_TOO = Response(405, (*_ONCE, ("Allow", "GET, HEAD, POST")))
_BAD = Response(400, _ONCE)


class Happened(NamedTuple):
    """An event for the spool: type, message, recipient, what it is about, detail.

    ``anonymous``: nothing of who asked may be kept, in the log neither; the message says for whom it counts.
    """

    type: str
    message: str
    recipient: str
    about: str
    detail: Mapping[str, str]
    anonymous: bool = False

    def judged(self, found: verdicts.Verdict) -> Happened:
        """Return the same with another verdict, unless a machine is known already."""
        if self.detail.get("verdict") in ("proxy", "scanner"):
            return self
        return self._replace(detail={**self.detail, **found._asdict()})


class Reply(NamedTuple):
    """Answer at once; keep the event before, if there is one."""

    response: Response
    event: Happened | None = None


class Keep(NamedTuple):
    """Have the event on disk, then answer; otherwise with ``failed``."""

    event: Happened
    response: Response
    failed: Response


class Image(NamedTuple):
    """Answer with a hosted image."""

    name: str


Answer = Reply | Keep | Image
NOTHING = Reply(pages.NOTHING)


class Site:
    """Answers requests. ``known``: whether a host is ours; None while the store cannot tell.

    ``judge``: whether a click or an open was a person's.
    """

    def __init__(
        self,
        clicks: ClickTokens,
        opens: OpenTokens,
        pixels: PixelTokens,
        unsubscribes: UnsubscribeTokens,
        known: Callable[[str], bool | None],
        judge: verdicts.Table,
    ) -> None:
        self._clicks, self._opens, self._pixels = clicks, opens, pixels
        self._unsubscribes = unsubscribes
        self._known = known
        self._judge = judge.judge

    def answer(self, request: Request, client: str) -> Answer:
        """Return what is to be done for a request of ``client`` (its address, '' if unknown)."""
        host, target = _asked(request)
        if not target.startswith("/") or not host:
            return Reply(_BAD)
        if target.startswith("/ask?") and "x-forwarded-for" not in request.fields:
            return self._ask(target)
        if not _HOST.fullmatch(host) or self._known(host) is False:
            return NOTHING
        first, rest = _parted(target)
        if first == "u" and rest.startswith("/"):
            return self._unsubscribe(request, rest[1:], host)
        if request.method not in ("GET", "HEAD"):
            return Reply(_METHODS)
        if first == "i" and rest.startswith("/"):
            return Image(rest[1:]) if is_name(rest[1:]) else NOTHING
        try:
            if first == "o" and rest.startswith("/") and rest.endswith(".gif"):
                origin = self._pixels.verify(rest[1:-4], host)
                return Reply(_PIXEL, self._event(request, client, origin, "opened", ""))
            if first == "h" and rest.startswith("/"):
                origin = self._pixels.verify(rest[1:], host)
                event = self._event(request, client, origin, "clicked", "")
                return Reply(pages.HIDDEN, event and event.judged(verdicts.HONEY))
            return self._followed(request, client, host, first, rest)
        except (TokenError, ValueError):
            return NOTHING

    def _followed(self, request: Request, client: str, host: str, token: str, rest: str) -> Reply:
        """Answer a link or a remote image. Raises TokenError, and ValueError for what no address can be."""
        type_ = "clicked"
        try:
            found = self._clicks.verify(token, host, _text(rest))
        except TokenError:
            type_ = "opened"
            found = self._opens.verify(token, host, _text(rest))
        url = f"{found.scheme}://{_authority(found.authority)}{_written(rest)}"
        response = Response(302, (*_ONCE, ("Location", url)))
        return Reply(response, self._event(request, client, found.origin, type_, url))

    def _event(self, request: Request, client: str, origin: Origin, type_: str, url: str) -> Happened | None:
        """Return what is kept of a request; HEAD is none."""
        if request.method == "HEAD":
            return None
        fields = request.fields
        agent = _agent(fields.get("user-agent", ""))
        hints = [fields[name] for name in _HINTS if name in fields]
        ahead = bool(hints) and verdicts.hinted(hints)
        found = self._judge(type_, agent, client, ahead=ahead)
        anonymous = origin.mode is TrackingMode.ANONYMOUS
        # A query may say who the reader is.
        kept = url.partition("?")[0] if anonymous else url
        detail = {"url": kept[:_URL_KEPT]} if url else {}
        if anonymous:
            detail[spooled.TRACKING] = spooled.ANONYMOUS
        else:
            if client:
                detail["ip"] = client
            if agent:
                detail["agent"] = agent
        detail["verdict"], detail["reason"] = found
        return Happened(type_, origin.message_id, "", f"{type_} {url}", detail, anonymous)

    def _unsubscribe(self, request: Request, token: str, host: str) -> Answer:
        try:
            told = self._unsubscribes.verify(token, host)
        except (TokenError, ValueError):
            return NOTHING
        if request.method in ("GET", "HEAD"):
            return Reply(pages.ask(told.recipient))
        if request.method != "POST":
            return Reply(_POST_TOO)
        if b"List-Unsubscribe" in request.body and b"One-Click" in request.body:
            how = "one-click"  # RFC 8058 section 3.2: URL-encoded, or as a form with parts
        elif request.body.strip() == pages.CONFIRM:
            how = "page"
        else:
            return Reply(_BAD)
        # For a message whose record is gone by then.
        detail = {"scope": "credential", "how": how, "credential_id": str(told.origin.credential_id)}
        event = Happened("unsubscribed", told.origin.message_id, told.recipient, "", detail)
        return Keep(event, pages.done(told.recipient), pages.LATER)

    def _ask(self, target: str) -> Reply:
        """Tell a web server whether a name is ours, before it gets a certificate for it."""
        name, _, value = target.partition("?")[2].partition("=")
        host = unquote(value.partition("&")[0]).lower().rstrip(".")
        if name != "domain" or not _HOST.fullmatch(host):
            return Reply(Response(404, _ONCE))
        known = self._known(host)
        return Reply(Response({True: 200, False: 404, None: 503}[known], _ONCE))


def _asked(request: Request) -> tuple[str, str]:
    """Return host and target; a target may hold the host (RFC 9112 section 3.2.2)."""
    host, target = request.fields.get("host", ""), request.target
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if separator and scheme.lower() in ("http", "https"):
            at = min([place for place in (rest.find("/"), rest.find("?")) if place >= 0], default=len(rest))
            host, target = rest[:at], rest[at:] if rest[at : at + 1] == "/" else f"/{rest[at:]}"
    return host.lower(), target.partition("#")[0]


def _parted(target: str) -> tuple[str, str]:
    """Return the first segment and what follows it, beginning with "/" or "?"."""
    slash, question = target.find("/", 1), target.find("?", 1)
    end = min(slash, question) if slash >= 0 and question >= 0 else max(slash, question)
    return (target[1:end], target[end:]) if end >= 0 else (target[1:], "")


def _text(rest: str) -> str:
    """Return a path as text: what a client sent without escaping is UTF-8."""
    return rest if rest.isascii() else rest.encode("latin-1").decode("utf-8", "replace")


def _written(rest: str) -> str:
    """Return path and query for Location: as they came, but what a field cannot hold is escaped."""
    plain = rest.isascii() and rest.isprintable() and " " not in rest
    return rest if plain else quote(rest.encode("latin-1"), safe=_SAFE)


_SAFE = "".join(map(chr, range(0x21, 0x7F)))


@memo(512, longest=300)
def _agent(text: str) -> str:
    """Return what is kept of a program's name."""
    return "".join(filter(str.isprintable, text))[: verdicts.AGENT_MOST]


@memo(512, longest=300)
def _authority(text: str) -> str:
    """Return an authority for Location. Raises ValueError for what none can be."""
    if not text.isascii():
        before, at, host = text.rpartition("@")
        name, colon, port = host.partition(":")
        text = f"{before}{at}{normal_domain(name)}{colon}{port}"
    if not _PLAIN.fullmatch(text) or set(text) & set("/\\?#"):
        raise ValueError(f"no authority: {text[:60]!r}")
    return text
