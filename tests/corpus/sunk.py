"""A letter that reached the sink, held to the letter that was sent: with the edits undone, they are the same.

Click and open tokens are read by their published layout, hosted images by the digest in their names, so
nothing of ours is asked for the way back. Whatever differs beside what the features say is an AssertionError.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from gatepost_milter.features.trackopens import pixel_tag
from gatepost_milter.parts.charsets import decode
from gatepost_milter.parts.mime import Part, view
from gatepost_milter.parts.transfer import open_part
from tests.corpus.letters import SHOWN, html_of, image, letter
from tests.corpus.undoing import STYLE, comparable
from tests.milter.making import message as parsed

CLICK = "https://click.example.test/"
_TOKEN = re.compile(rf"{CLICK}([\w-]{{40,}})")
_PIXEL = re.compile(re.escape(pixel_tag(f"{CLICK}o/TOKEN.gif")).replace("TOKEN", r"[\w-]+"))
_HOSTED = re.compile(rf"{CLICK}i/(\w+)\.png")
_CTE = re.compile(rb"(?i)\r\nContent-Transfer-Encoding:[^\r\n]*")
# smtp(8) cuts lines over 998 bytes (smtp_line_length_limit).
_CUT = re.compile(rb"(?<=[^\n]{990})\r\n ")
PRIVATE = frozenset((b"x-mailer", b"user-agent", b"x-originating-ip", b"x-php-originating-script"))
_OURS = frozenset(
    (
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"feedback-id",
        b"cfbl-address",
        b"cfbl-feedback-id",
        b"dkim-signature",
    )
)
Features = Mapping[str, FeatureValue]


def split(raw: bytes) -> Message:
    """Return header fields and body of a message with any line ends, Postfix's own Received left out."""
    whole = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head, blank, body = whole.partition(b"\r\n\r\n")
    headers = [header for header in parsed(head + blank).headers if header.name != b"Received"]
    return Message(tuple(headers), body)


def check(
    number: int, raw: bytes, features: Features, attached: int = 0, images: Path | None = None
) -> Message:
    """Hold a delivered letter to what was sent and to the features that were on; return it taken apart.

    ``images`` is the folder of hosted images: their names are made with a secret of the account's. Without
    one a name is the image's digest.
    """
    sent, got = split(letter(number, attached)), split(raw)
    _check_headers(sent, got, features)
    hosted = features.get("images") == "hosted"
    before = _leaves(sent, number, hosted)
    after = _leaves(got, number, False)
    assert [kind for kind, _ in before] == [kind for kind, _ in after], number
    for (kind, old), (_, new) in zip(before, after, strict=True):
        if kind == "text/html":
            text = decode(new, _charset(got))[0].replace("\r\n", "\n")
            _check_effects(number, text, features)
            assert undone(text, number, images) == comparable(html_of(number).replace("\r\n", "\n")), number
        else:
            assert new.replace(b"\r\n", b"\n") == old.replace(b"\r\n", b"\n"), number
    if not features.get("dkim"):
        assert _frame(got, number, False) == _frame(sent, number, hosted), number
    return got


def undone(html: str, number: int, images: Path | None = None) -> str:
    """Return HTML as it was before any of the features; ``images`` as in ``check``."""
    names = {
        hashlib.sha256(image(number, place)).hexdigest(): name for place, name in enumerate(("one", "two"))
    }
    html = _HOSTED.sub(lambda match: f"cid:{_named(match[1], names, images)}@letter", html)
    return comparable(STYLE.sub("", _TOKEN.sub(_original, _PIXEL.sub("", html))))


def _named(name: str, names: Mapping[str, str], images: Path | None) -> str:
    digest = name
    if images is not None:
        (file,) = images.glob(f"accounts/*/??/{name}.png")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return next(known for whole, known in names.items() if whole.startswith(digest) or digest in whole)


def kind(token: str) -> int:
    """Return what a link's token is for: 0 a click, 1 an open."""
    return base64.urlsafe_b64decode(token + "==")[1] >> 6


def led_to(token: str) -> str:
    """Return scheme and authority in a link's token, by the layout that gatepost_core.keys.tokens tells."""
    raw = base64.urlsafe_b64decode(token + "==")
    own = 3 + (raw[1] & 3)  # version and key, kind and flags, the credential's id
    return f"http{'s' if raw[1] & 8 else ''}://{raw[own + 13 : -10].decode()}"


def _original(match: re.Match[str]) -> str:
    return led_to(match[1])


def _charset(msg: Message) -> str | None:
    return _html(msg).parameters.get("charset")


def _html(msg: Message) -> Part:
    return next(part for part in view(msg.headers, msg.body).walk() if part.type == "text/html")


def _gone(number: int, part: Part, hosted: bool) -> bool:
    """Say whether an image part leaves the letter: it is embedded, and the HTML refers to it."""
    return hosted and part.content_id != "" and f"cid:{part.content_id}" in html_of(number)


def _leaves(msg: Message, number: int, hosted: bool) -> list[tuple[str, bytes]]:
    """Return type and decoded bytes of each part without parts; but those that images=hosted takes out."""
    found: list[tuple[str, bytes]] = []
    for part in view(msg.headers, msg.body).walk():
        assert not part.fault, (number, part.fault)
        if not part.children and not _gone(number, part, hosted):
            raw = _CUT.sub(b"", msg.body[part.start : part.end])
            found.append((part.type, open_part(part.encoding, raw).decoded))
    return found


def _frame(msg: Message, number: int, hosted: bool) -> bytes:
    """Return a body without its HTML and the images that go: boundaries, part headers, all other parts."""
    pieces: list[bytes] = []
    place = 0
    for part in view(msg.headers, msg.body).walk():
        span = part.whole if _gone(number, part, hosted) else (part.start, part.end)
        if part.type == "text/html" or _gone(number, part, hosted):
            pieces.append(msg.body[place : span[0]])
            place = span[1]
    pieces.append(msg.body[place:])
    return _CTE.sub(b"", _CUT.sub(b"", b"".join(pieces)))


def _check_headers(sent: Message, got: Message, features: Features) -> None:
    drop = PRIVATE if features.get("privacy") else frozenset[bytes]()
    expected = [header for header in sent.headers if header.name.lower() not in drop]
    assert [header for header in got.headers if header.name.lower() not in _OURS] == expected
    names = [header.name.lower() for header in got.headers]
    assert (b"feedback-id" in names) == bool(features.get("feedbackid"))
    assert names.count(b"dkim-signature") == (2 if features.get("dkim") else 0)


def _check_effects(number: int, text: str, features: Features) -> None:
    """Each feature left its mark on the HTML, and none that is off did."""
    kinds = {kind(token) for token in _TOKEN.findall(text)}
    assert (0 in kinds) == bool(features.get("trackclicks")), number
    assert (1 in kinds) == bool(features.get("trackopens")), number
    assert bool(_HOSTED.search(text)) == (features.get("images") == "hosted"), number
    assert bool(STYLE.search(text)) == bool(features.get("inlinecss")), number
    shown = SHOWN.format(number)
    kept = not features.get("trackclicks") or bool(features.get("preventscam"))
    assert (f'href="{shown}"' in text) == kept, number


def unsubscribe_fields(msg: Message) -> list[Header]:
    """Return the fields of RFC 8058."""
    return [header for header in msg.headers if header.name.lower().startswith(b"list-unsubscribe")]
