"""The pages that people see: few words, no script, nothing from elsewhere. Pure."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from gatepost_tracker.codec import Response

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;font:1.0625rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}"
    "main{max-width:34rem;margin:12vh auto 0;padding:0 1.5rem;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}"
    "button{font:inherit;padding:.6rem 1.25rem;border:1px solid;border-radius:.4rem;cursor:pointer;"
    "background:#0b57d0;color:#fff}"
    "button:focus-visible{outline:3px solid;outline-offset:3px}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# Of every answer. Pages add what they may do.
STRICT = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
)
_PAGE = (
    *STRICT,
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    ),
)
CONFIRM = b"confirm=yes"


def _page(status: int, title: str, inside: str, *more: tuple[str, str]) -> Response:
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>\n{inside}\n</main></body></html>\n"
    )
    return Response(status, (*_PAGE, *more), text.encode("utf-8", "replace"))


def _nothing() -> Response:
    return _page(
        404,
        "This link does not work",
        "<p>The address is not complete, or it was changed on the way. Open the message again and follow its "
        "link from there, or copy the whole address.</p>",
    )


def ask(recipient: str) -> Response:
    """Return the page that asks whether somebody wants to unsubscribe. Looking at it changes nothing."""
    return _page(
        200,
        "Unsubscribe",
        f"<p>Stop sending these messages to <strong>{escape(recipient)}</strong>?</p>"
        '<form method="post"><input type="hidden" name="confirm" value="yes">'
        "<button>Unsubscribe</button></form>",
    )


def done(recipient: str) -> Response:
    """Return the page after it."""
    text = f"<p>These messages will no longer be sent to <strong>{escape(recipient)}</strong>.</p>"
    return _page(200, "You are unsubscribed", text)


NOTHING = _nothing()
HIDDEN = _page(
    200, "Nothing to see here", "<p>This link is for programs that follow every link of a message.</p>"
)
LATER = _page(
    503,
    "Please try again in a moment",
    "<p>This could not be noted just now. Nothing was changed.</p>",
    ("Retry-After", "30"),
)
