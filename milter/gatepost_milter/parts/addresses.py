"""The addresses of a message's From and Sender fields, read strictly (RFC 5322 sections 3.4, 3.6.2).

Senders are held to these, so nothing may slip by. What counts: every field, every address, members of groups,
addresses in angle brackets in a display name or a comment (encoded words and all that programs make of
broken ones included, see ``words``), and addresses in a display name without quotes, which some programs take
for the address. A bare address in quotes is only a name ("x@example.org via List"). Names with commas,
brackets or "@" in them, without the quotes that they need, pass where one address can be read for sure. What
cannot be read for sure becomes ``UNREADABLE``, a text without "@" that no rule matches. Linear in the size;
never raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from gatepost_core.domain.rules import UNREADABLE, normal_address
from gatepost_milter.editing.headers import Header
from gatepost_milter.parts.words import decoded

# More than this, in bytes of all fields together or in addresses, is no list of authors: each is looked up.
SIZE_MOST = 16_384
ADDRESSES_MOST = 100
_ATOM = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]++"
_DOMAIN_CHARACTERS = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]/=?*%!'`{}|^~$&#+]+"
_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\\r\n]|\\[^\r\n])*)"|\[(?P<literal>[^\[\]\\]*)\]'
    rf"|(?P<atom>{_ATOM})|(?P<special>[<>@,;:.\[\]])|(?P<space>[ \t]++)",
    re.DOTALL,
)
_COMMENT_SIGN = re.compile(r"\\.|[()]", re.DOTALL)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_FOREIGN = re.compile(r"[^\x00-\x7f]")
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

# The kind (a group's name in the pattern above, or "comment") and the text.
_Token = tuple[str, str]
_OPEN, _CLOSE, _AT = ("special", "<"), ("special", ">"), ("special", "@")
_DOT, _COMMA = ("special", "."), ("special", ",")
_BLANK = frozenset(("space", "comment"))


def from_addresses(headers: Iterable[Header]) -> list[str]:
    """Return the addresses of all From fields, and ``UNREADABLE`` for each part that is no address."""
    return _of_fields(b"from", headers)


def sender_addresses(headers: Iterable[Header]) -> list[str]:
    """Return the same of all Sender fields (RFC 5322 section 3.6.2); empty for a message without one."""
    return _of_fields(b"sender", headers)


def recipient_addresses(headers: Iterable[Header]) -> list[str]:
    """Return the addresses of To and Cc, however many, for those who read a message file."""
    values = [header.value for header in headers if header.name.strip().lower() in (b"to", b"cc")]
    return [address for value in values for address in _field(value) if address != UNREADABLE]


def _of_fields(name: bytes, headers: Iterable[Header]) -> list[str]:
    found: list[str] = []
    room = SIZE_MOST
    for own, value in headers:
        if own.strip().lower() == name:
            room -= len(value)
            found += _field(value) if room >= 0 else [UNREADABLE]
            if room < 0 or len(found) > ADDRESSES_MOST:
                return [*found[:ADDRESSES_MOST], UNREADABLE]
    return found


def _field(value: bytes) -> list[str]:
    simple = _SIMPLE.fullmatch(value)
    return [(simple[1] or simple[2]).decode("ascii")] if simple else _parsed(value)


def _parsed(value: bytes) -> list[str]:
    # Eight-bit noise in a display name is common; in an address U+FFFD matches no rule.
    text = _FOLD.sub("", value.decode("utf-8", "replace"))
    tokens = _tokens(text.strip(" \t\r\n"))
    if tokens is None:
        return [UNREADABLE]
    found = [address for group in _members(tokens) for address in _mailbox(group)]
    comments = [token for token in tokens if token[0] == "comment"]
    return found + _others(_hidden(comments), found) if comments else found


def _tokens(text: str) -> list[_Token] | None:
    """Return the tokens of a field, or None if something is none."""
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        if text[at] == "(":
            end = _after_comment(text, at)
            if end < 0:
                return None
            tokens.append(("comment", text[at:end]))
            at = end
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
    for match in _COMMENT_SIGN.finditer(text, at):
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
        if token == _OPEN:
            angle = True
        elif token == _CLOSE:
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
            if token[1] == ",":
                members[-2].append(token)
    return _with_phrases(members)


def _with_phrases(members: list[list[_Token]]) -> list[list[_Token]]:
    """Put what is no address before a comma (Alice, Inc. <a@example.com>) to the mailbox after it."""
    result: list[list[_Token]] = []
    waiting: list[_Token] = []
    for member in members:
        if member[-1:] == [_COMMA] and all(map(_is_named, member)):
            if any(token[0] not in _BLANK for token in member[:-1]):
                waiting += member
            continue
        if _OPEN not in member and waiting:
            result.append(waiting)
            waiting = []
        result.append(waiting + [token for token in member if token != _COMMA])
        waiting = []
    return [*result, waiting]


def _is_named(token: _Token) -> bool:
    """Say whether a token may stand in a name without being part of an address."""
    return token[0] != "special" or token[1] in ".,[]"


def _mailbox(tokens: list[_Token]) -> list[str]:
    """Return the address of one mailbox, then those that its display name shows."""
    tokens = _trimmed(tokens)
    if not tokens:
        return []
    opens = [place for place, token in enumerate(tokens) if token == _OPEN]
    if not opens:
        return [_address(tokens)]
    display, rest = tokens[: opens[0]], tokens[opens[0] + 1 :]
    if len(opens) > 1 or rest[-1:] != [_CLOSE] or _CLOSE in rest[:-1]:
        return [UNREADABLE]
    if not all(_is_named(token) or token == _AT for token in display):
        return [UNREADABLE]
    found = [_address(_trimmed(rest[:-1]))]
    return found + _others([*_bare(display), *_hidden(display)], found)


def _others(more: list[str], found: list[str]) -> list[str]:
    """Return those of ``more`` that are not among ``found``, each once."""
    known = {normal_address(address) for address in found}
    return [address for address in dict.fromkeys(more) if normal_address(address) not in known]


def _bare(display: list[_Token]) -> list[str]:
    """Return what in a display name without quotes some programs take for an address.

    A name is not meant by it ("Orders @ Shop", "@acme") where no domain with a dot follows.
    """
    if _AT not in display:
        return []
    solid = [token for token in display if token[0] not in _BLANK]
    found: list[str] = []
    for place, token in enumerate(solid):
        if token != _AT:
            continue
        if _AT in solid[place + 1 : place + 2]:
            found.append(UNREADABLE)
        else:
            local = _dotted(solid[before] for before in range(place - 1, -1, -1))
            domain = _dotted(solid[after] for after in range(place + 1, len(solid)))
            if local and (len(domain) > 1 or any(kind == "literal" for kind, _ in domain)):
                found.append(_address([*reversed(local), _AT, *domain]))
    return found


def _dotted(tokens: Iterable[_Token]) -> list[_Token]:
    """Return the words with a dot between each that come first."""
    run: list[_Token] = []
    for token in tokens:
        expected = token == _DOT if len(run) % 2 else token[0] != "special"
        if not expected:
            break
        run.append(token)
    return run[:-1] if run and run[-1] == _DOT else run


def _hidden(display: list[_Token]) -> list[str]:
    """Return the addresses in angle brackets in a display name or comments, each once."""
    text = decoded("".join([part if kind == "atom" else _PAIR.sub(r"\1", part) for kind, part in display]))
    if not text.isascii():
        # What looks like "@" and "." counts as such, and what nobody sees is left out.
        text = _FOREIGN.sub(_plain, text)
    if "@" not in text:
        return []
    found: list[str] = []
    for piece in text.split("<")[1:]:
        shown, closed, _ = piece.partition(">")
        if closed and "@" in shown:
            found.append(shown.strip())
    return list(dict.fromkeys(found))


def _plain(match: re.Match[str]) -> str:
    # One by one: a long run of marks that combine takes Python's normalisation quadratic time.
    normal = unicodedata.normalize("NFKC", match[0])
    return "".join([sign for sign in normal if unicodedata.category(sign) != "Cf"])


def _trimmed(tokens: list[_Token]) -> list[_Token]:
    first, last = 0, len(tokens)
    while first < last and tokens[first][0] in _BLANK:
        first += 1
    while last > first and tokens[last - 1][0] in _BLANK:
        last -= 1
    return tokens[first:last]


def _address(tokens: list[_Token]) -> str:
    """Return ``local@domain``; white space around "@" and dots is obsolete syntax, read as one address."""
    solid = [token for token in tokens if token[0] not in _BLANK]
    signs = [place for place, token in enumerate(solid) if token == _AT]
    if len(signs) != 1 or not 0 < signs[0] < len(solid) - 1:
        return UNREADABLE
    local, domain = solid[: signs[0]], "".join([text for _, text in solid[signs[0] + 1 :]])
    if not _DOMAIN.fullmatch(domain) or not _is_local(local):
        return UNREADABLE
    text = "".join([part for _, part in local])
    return UNREADABLE if "@" in text or "\\" in text else f"{text}@{domain}"


def _is_local(tokens: list[_Token]) -> bool:
    """Say whether these are words with a dot between each (RFC 5322 section 3.4.1, obs-local-part)."""
    words, dots = tokens[::2], tokens[1::2]
    return (
        len(tokens) % 2 == 1
        and all(kind in ("atom", "quoted") for kind, _ in words)
        and all(token == _DOT for token in dots)
    )
