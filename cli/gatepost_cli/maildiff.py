"""What changed between two forms of a message, as people read it: header fields and decoded parts."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from gatepost_milter.parts.charsets import CharsetError, decode
from gatepost_milter.parts.mime import Part, view
from gatepost_milter.parts.transfer import TransferError, open_part

# Beyond this a comparison line by line takes longer than anyone wants to read.
_TEXT_MOST = 500_000
# SequenceMatcher looks at the lines of one text and their equals in the other, once for each block of them.
_LINES_MOST = 4_000_000
_PAIRS_MOST = 20_000
# Within a line: words and signs, how many of both lines are compared, how many alike ones part two changes.
_WORDS = re.compile(r"\w+|\W")
_WORDS_MOST = 250_000
_TOUCHING = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What changed in one place: ``lines`` begin with ``- `` (was) or ``+ `` (is), or say it in words."""

    where: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class _Leaf:
    label: str
    encoding: str
    raw: bytes
    text: str | None


def changes(before: Message, after: Message) -> list[Change]:
    """Return what is different, the header first."""
    found: list[Change] = []
    header = _diff(list(map(_field, before.headers)), list(map(_field, after.headers)))
    if header:
        found.append(Change("header", header))
    if before.body == after.body and not header:
        return found
    old, new = _leaves(before), _leaves(after)
    for number in [*old, *(number for number in new if number not in old)]:
        lines = _part(old.get(number), new.get(number))
        if lines:
            found.append(Change((new.get(number) or old[number]).label, lines))
    return found


def summary(found: Iterable[Change]) -> str:
    """Return in a few words how much changed where."""
    texts: list[str] = []
    for change in found:
        gone, come = (sum(line.startswith(sign) for line in change.lines) for sign in ("- ", "+ "))
        what = "fields" if change.where == "header" else "lines"
        words = [line for line in change.lines if line[:2] not in ("- ", "+ ")]
        counted = f"{come} {what} new, {gone} gone" if come or gone else ""
        texts.append(f"{change.where}: {', '.join(filter(None, [counted, *words]))}")
    return "; ".join(texts)


def _field(header: Header) -> str:
    value = header.value.decode("utf-8", "backslashreplace")
    return f"{header.name.decode('latin-1')}:{value}".replace("\r", "").replace("\n", "")


def _leaves(message: Message) -> dict[str, _Leaf]:
    """Return the parts that hold content, by number."""
    root = view(message.headers, message.body)
    return {part.number: _leaf(part, message.body) for part in root.walk() if not part.children}


def _leaf(part: Part, body: bytes) -> _Leaf:
    raw = body[part.start : part.end]
    text: str | None = None
    if part.type.startswith("text/") and len(raw) <= _TEXT_MOST:
        try:
            text = decode(open_part(part.encoding, raw).decoded, part.parameters.get("charset"))[0]
        except (TransferError, CharsetError):
            text = raw.decode("utf-8", "backslashreplace")
    name = f"part {part.number}" if part.number else "body"
    return _Leaf(f"{name} ({part.type or 'unreadable'})", part.encoding, raw, text)


def _part(old: _Leaf | None, new: _Leaf | None) -> list[str]:
    if old is None or new is None:
        return ["the part is new" if old is None else "the part is gone"]
    if old.raw == new.raw and old.encoding == new.encoding:
        return []
    lines: list[str] = []
    if old.encoding != new.encoding:
        lines.append(f"transfer encoding {old.encoding or 'none'} became {new.encoding or 'none'}")
    if old.text is not None and new.text is not None:
        lines += _diff(old.text.splitlines(), new.text.splitlines())
        return lines or ["its lines are broken elsewhere; it means the same"]
    return [*lines, f"{len(old.raw)} bytes became {len(new.raw)}"]


def _diff(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return the lines that went and came, in their order."""
    start = _alike(old, new)
    old, new = old[start:], new[start:]
    end = _alike(old[::-1], new[::-1])
    old, new = old[: len(old) - end], new[: len(new) - end]
    if len(old) * len(new) > _LINES_MOST or _equal_pairs(old, new) > _PAIRS_MOST:
        return _line_by_line(old, new)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    lines: list[str] = []
    for kind, from_old, to_old, from_new, to_new in matcher.get_opcodes():
        if kind != "equal":
            lines += _beside(old[from_old:to_old], new[from_new:to_new])
    return lines


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many lines at the beginning are alike."""
    differing = (place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
    return next(differing, min(len(old), len(new)))


def _equal_pairs(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many pairs of equal lines there are: a comparison looks at them again and again."""
    counts = Counter(new)
    return sum(counts[line] for line in old)


def _line_by_line(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return what differs where nothing moved; else in words how much."""
    if len(old) != len(new):
        return [f"{len(old)} lines became {len(new)}"]
    differing = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    return [text for was, now in differing for text in (f"- {was}", f"+ {now}")]


def _beside(gone: Sequence[str], come: Sequence[str]) -> list[str]:
    """Return lines that went and came, each beside its successor where they are as many."""
    if len(gone) == len(come):
        return [text for was, now in zip(gone, come, strict=True) for text in (f"- {was}", f"+ {now}")]
    return [*(f"- {was}" for was in gone), *(f"+ {now}" for now in come)]


@dataclass(frozen=True, slots=True)
class Within:
    """What was replaced within a line: either is empty where something only came or only went."""

    was: str
    now: str


def within(lines: Sequence[str]) -> list[Within]:
    """Return what changed within lines: one that went and the next that came are a pair."""
    found: list[Within] = []
    place = 0
    while place < len(lines):
        line, after = lines[place], "".join(lines[place + 1 : place + 2])
        if line.startswith("- ") and after.startswith("+ "):
            found += _segments(line[2:], after[2:])
            place += 1
        elif line.startswith("- "):
            found.append(Within(line[2:], ""))
        else:
            found.append(Within("", line.removeprefix("+ ")))
        place += 1
    return found


def _segments(was: str, now: str) -> list[Within]:
    """Return the replaced runs of words of two lines, those that nearly touch as one."""
    old, new = _WORDS.findall(was), _WORDS.findall(now)
    start = _alike(old, new)
    end = min(_alike(old[::-1], new[::-1]), min(len(old), len(new)) - start)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if len(old) * len(new) > _WORDS_MOST or _equal_pairs(old, new) > _PAIRS_MOST:
        return [Within("".join(old), "".join(new))]
    runs: list[list[int]] = []
    for kind, *bounds in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if runs and bounds[0] - runs[-1][1] <= _TOUCHING:
            runs[-1][1], runs[-1][3] = bounds[1], bounds[3]
        else:
            runs.append(bounds)
    return [Within("".join(old[a:b]), "".join(new[c:d])) for a, b, c, d in runs]


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Return lines of at most about ``most`` characters; a pair begins shortly before where it differs."""
    result: list[str] = []
    for place, line in enumerate(lines):
        partner = (
            lines[place - 1] if line.startswith("+ ") and place else "".join(lines[place + 1 : place + 2])
        )
        start = 0
        if {line[:2], partner[:2]} == {"- ", "+ "} and len(line) > most:
            alike = len(commonprefix([line[2:], partner[2:]]))  # noqa: RUF071 - texts, not paths
            start = max(0, min(alike, len(line) - most) - most // 4)
        text = f"{line[:2]}…{line[2 + start :]}" if start else line
        result.append(text if len(text) <= most else f"{text[:most]}…")
    return result
