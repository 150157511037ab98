"""Undoing edits: from what a message became back to what it was, by what the edits say they did.

The rewriters here write the original into what stands for it, so that nothing of ours is needed to find
the way back. What is left different is a byte that no edit had a right to touch.
"""

from __future__ import annotations

import hashlib
import re

from gatepost_core.domain import FeatureValue, in_force
from gatepost_milter.features.trackopens import pixel_tag
from gatepost_milter.surgery.context import Context

PIXEL = "https://click.example.test/o/P.gif"
_REWRITTEN = re.compile(r"https://click\.example\.test/[ko]-([0-9a-f]+)")
_PIXEL = pixel_tag(PIXEL)
_DECLARATIONS = r"(?:x-gp-\w: \w(?: !important)?;?)+"
STYLE = re.compile(
    rf' style="{_DECLARATIONS}"|(?<=["\']){_DECLARATIONS}(?=[^"\']*["\'])|;?{_DECLARATIONS}(?=["\'])'
)
# What was important comes behind an element's own style, after a semicolon that may have been there.
_LAST_SEMICOLON = re.compile(r";(?=[\"'])")
_SCHEME = re.compile(r"https?://[^/?#\"'<> ]*", re.IGNORECASE)
_HOSTED = re.compile(r"https://click\.example\.test/i/[0-9a-f]+\.png")


def _rewriter(kind: str, scheme: str, authority: str) -> str:
    return f"https://click.example.test/{kind}-{f'{scheme}://{authority}'.encode().hex()}"


def host(data: bytes, _content_type: str) -> str:
    """Stand in for the image store."""
    return f"https://click.example.test/i/{hashlib.sha256(data).hexdigest()}.png"


def context(**features: FeatureValue) -> Context:
    """Return a context in which edits can be undone."""
    return Context(
        in_force(features),
        lambda scheme, authority, _: _rewriter("k", scheme, authority),
        opens=lambda scheme, authority, _: _rewriter("o", scheme, authority),
        pixel=PIXEL,
        host=host,
        unsubscribe="https://click.example.test/u/T",
        bounce_sender="bounce-t@bounces.example.test",
        feedback="1:a:aaaaa",
    )


def undone(html: str) -> str:
    """Return HTML as it was before any of the features; schemes and hosts in lower case."""
    html = _REWRITTEN.sub(lambda match: bytes.fromhex(match[1]).decode(), html)
    html = STYLE.sub("", html.replace(_PIXEL, ""))
    return comparable(html)


def comparable(html: str) -> str:
    """Return HTML with schemes and hosts in lower case, as rewriters are told them; no last semicolons."""
    return _SCHEME.sub(lambda match: match[0].lower(), _LAST_SEMICOLON.sub("", html))


def without_images(html: str) -> str:
    """Return HTML with references to embedded and hosted images cut down to one word."""
    return re.sub(r"(?i)cid:[^\"' )>,]*", "IMAGE", _HOSTED.sub("IMAGE", html))
