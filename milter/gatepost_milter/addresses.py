"""The addresses of a message's From fields, read strictly (RFC 5322 sections 3.4 and 3.6.2).

Senders are held to these, so nothing may slip by: every From field, every address, members of groups and
addresses in angle brackets in a display name (RFC 2047 words included), which programs have taken for the
address, count. A bare address in a display name is only a name ("x@example.org via List"). What cannot be
read for sure becomes ``UNREADABLE``, a text without "@" that no rule matches. Never raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from gatepost_core.rules import UNREADABLE, normal_address
from gatepost_milter.message import Header

# More text than this in From fields is no list of authors.
_SIZE_MOST = 65536
_ATOM = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+"
_DOMAIN_CHARACTERS = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]/=?*%!'`{}|^~$&#+]+"
_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\\r\n]|\\[^\r\n])*)"|\[(?P<literal>[^\[\]\\]*)\]'
    rf"|(?P<atom>{_ATOM})|(?P<special>[<>@,;:.])|(?P<space>[ \t]+)",
    re.DOTALL,
)
_HIDDEN = re.compile(r"<([^<>]*@[^<>]*)>")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_DOMAIN = re.compile(rf"{_DOMAIN_CHARACTERS}(?:\.{_DOMAIN_CHARACTERS})*|\[[^\[\]\\]*\]")

_DOT_ATOM = rb"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
_HOST = rb"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
# What most From fields look like; a test holds that the parser says the same of them.
_SIMPLE = re.compile(
    rb" *(?:[A-Za-z0-9][A-Za-z0-9 -]*<("
    + _DOT_ATOM
    + rb"@"
    + _HOST
    + rb")>|("
    + _DOT_ATOM
    + rb"@"
    + _HOST
    + rb")) *"
)

# The kind (a group's name in the pattern above) and the text.
_Token = tuple[str, str]


def from_addresses(headers: Iterable[Header]) -> list[str]:
    """Return the addresses of all From fields, and ``UNREADABLE`` for each part that is no address."""
    found: list[str] = []
    for header in headers:
        if header.name.strip().lower() == b"from":
            found += _field(header.value)
    return found


def _field(value: bytes) -> list[str]:
    simple = _SIMPLE.fullmatch(value)
    return [(simple[1] or simple[2]).decode("ascii")] if simple else _parsed(value)


def _parsed(value: bytes) -> list[str]:
    if len(value) > _SIZE_MOST:
        return [UNREADABLE]
    try:
        text = re.sub(r"\r?\n(?=[ \t])", "", value.decode("utf-8"))
    except UnicodeDecodeError:
        # Eight-bit noise in a display name is common; in an address it matches no rule.
        text = re.sub(r"\r?\n(?=[ \t])", "", value.decode("latin-1"))
        text = re.sub(r"[\x80-\xff]", "\ufffd", text)
    tokens = _tokens(text.strip(" \t\r\n"))
    if tokens is None:
        return [UNREADABLE]
    return [address for group in _members(tokens) for address in _mailbox(group)]


def _tokens(text: str) -> list[_Token] | None:
    """Return the tokens of a field with comments away, or None if something is none."""
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = _after_comment(text, at)
            if at < 0:
                return None
            tokens.append(("space", " "))
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        kind = str(match.lastgroup)
        tokens.append((kind, match["quoted"] if kind == "quoted" else match[0]))
        at = match.end()
    return tokens


def _after_comment(text: str, at: int) -> int:
    """Return the place after the comment that opens at ``at``; -1 if it never ends."""
    depth = 0
    for match in re.compile(r"\\.|[()]", re.DOTALL).finditer(text, at):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    return -1


def _members(tokens: list[_Token]) -> list[list[_Token]]:
    """Return the token lists of the mailboxes, groups opened (RFC 5322 section 3.4)."""
    members: list[list[_Token]] = [[]]
    angle = in_group = False
    for token in tokens:
        if token == ("special", "<"):
            angle = True
        elif token == ("special", ">"):
            angle = False
        if angle or token[0] != "special" or token[1] not in ",;:":
            members[-1].append(token)
        elif token[1] == ":" and not in_group:
            in_group = True
            # The group's name is a display name; an address in it is none that we can read.
            name = members[-1]
            if any(kind == "special" and text in "<>@" for kind, text in name) or _hidden(name):
                members.append([])
            else:
                members[-1] = []
        elif token[1] == ":" or (token[1] == ";" and not in_group):
            members[-1].append(token)
        else:
            in_group = in_group and token[1] == ","
            members.append([])
    return members


def _mailbox(tokens: list[_Token]) -> list[str]:
    """Return the address of one mailbox, then those in angle brackets in its display name."""
    tokens = _trimmed(tokens)
    if not tokens:
        return []
    opens = [place for place, token in enumerate(tokens) if token == ("special", "<")]
    if not opens:
        return [_address(tokens)]
    display, rest = tokens[: opens[0]], tokens[opens[0] + 1 :]
    if len(opens) > 1 or rest[-1:] != [("special", ">")] or ("special", ">") in rest[:-1]:
        return [UNREADABLE]
    if any(kind in ("special", "literal") and text != "." for kind, text in display):
        return [UNREADABLE]
    address = _address(_trimmed(rest[:-1]))
    own = normal_address(address)
    return [address, *(other for other in _hidden(display) if normal_address(other) != own)]


def _hidden(display: list[_Token]) -> list[str]:
    """Return the addresses in angle brackets in a display name, each once."""
    text = _shown("".join(_PAIR.sub(r"\1", part) if kind == "quoted" else part for kind, part in display))
    # What looks like "@" and "." counts as such, and what nobody sees is left out.
    text = unicodedata.normalize("NFKC", text)
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    if "@" not in text:
        return []
    return list(dict.fromkeys(part.strip() for part in _HIDDEN.findall(text)))


def _trimmed(tokens: list[_Token]) -> list[_Token]:
    first, last = 0, len(tokens)
    while first < last and tokens[first][0] == "space":
        first += 1
    while last > first and tokens[last - 1][0] == "space":
        last -= 1
    return tokens[first:last]


def _address(tokens: list[_Token]) -> str:
    """Return ``local@domain``; white space around "@" and dots is obsolete syntax, read as one address."""
    solid = [token for token in tokens if token[0] != "space"]
    signs = [place for place, token in enumerate(solid) if token == ("special", "@")]
    if len(signs) != 1 or not 0 < signs[0] < len(solid) - 1:
        return UNREADABLE
    local, domain = solid[: signs[0]], "".join(text for _, text in solid[signs[0] + 1 :])
    if not _DOMAIN.fullmatch(domain) or not _is_local(local):
        return UNREADABLE
    text = "".join(part for _, part in local)
    return UNREADABLE if "@" in text or "\\" in text else f"{text}@{domain}"


def _is_local(tokens: list[_Token]) -> bool:
    """Say whether these are words with a dot between each (RFC 5322 section 3.4.1, obs-local-part)."""
    words, dots = tokens[::2], tokens[1::2]
    return (
        len(tokens) % 2 == 1
        and all(kind in ("atom", "quoted") for kind, _ in words)
        and all(token == ("special", ".") for token in dots)
    )


def _shown(display: str) -> str:
    """Return a display name as programs show it, RFC 2047 words decoded."""
    if "=?" not in display:
        return display
    try:
        return str(make_header(decode_header(display)))
    except (UnicodeError, LookupError, ValueError, HeaderParseError):
        return display
