# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""main.cf and master.cf as texts that are changed entry by entry, everything else byte for byte as it was.

The format is that of postconf(5) and master(5): a line that begins with white space continues the
one before, comments and empty lines may stand in between, and of several entries of one name the
last holds. Pure: texts come in, texts go out.

``cf_files``, ``cf_plan`` and ``cf_carry`` are the command's and, through links in its module_utils, the
collection's as well: on hosts without Gatepost they run by the host's own Python. So they need nothing but
the standard library, and import each other by relative names.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

_BETWEEN = frozenset(", \t\r\n")


@dataclass(eq=False)
class Entry:
    """A logical line as it stands in the file, or what stands between two of them (``key`` is empty)."""

    key: str
    text: str


@dataclass
class ConfigFile:
    """A file's entries in their order. ``kind`` is ``main`` or ``master``: how an entry is named."""

    kind: str
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def parse(cls, kind: str, text: str) -> ConfigFile:
        """Read a file; nothing of its text is lost."""
        found = cls(kind)
        between = ""
        for line in text.splitlines(keepends=True):
            if not line.strip() or line.lstrip().startswith("#"):
                between += line
            elif line[0].isspace() and found.entries and found.entries[-1].key:
                found.entries[-1].text += between + line
                between = ""
            else:
                found._between(between)
                found.entries.append(Entry(found._key(line), line))
                between = ""
        found._between(between)
        return found

    def get(self, key: str) -> str | None:
        """Return the text of the entry that holds for ``key``, or None."""
        return next((entry.text for entry in reversed(self.entries) if entry.key == key), None)

    def put(self, key: str, text: str | None) -> None:
        """Put ``text`` in the place of the entry that holds for ``key``, or at the end; None removes it."""
        for entry in reversed(self.entries):
            if entry.key == key:
                if text is None:
                    self.entries.remove(entry)
                else:
                    entry.text = text
                return
        if text is not None:
            self._close_last_line()
            self.entries.append(Entry(key, text))

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(entry.text for entry in self.entries)

    def _between(self, text: str) -> None:
        if text:
            self.entries.append(Entry("", text))

    def _close_last_line(self) -> None:
        if self.entries and not self.entries[-1].text.endswith("\n"):
            self.entries[-1].text += "\n"

    def _key(self, line: str) -> str:
        if self.kind == "main":
            return line.partition("=")[0].strip()
        return "/".join(line.split()[:2])


def value(text: str | None) -> str | None:
    """Return the value of a main.cf entry as Postfix reads it, without its line ends and comments."""
    return None if text is None else _joined(text).partition("=")[2].strip()


def same(first: str | None, second: str | None) -> bool:
    """Say whether two entries mean the same: white space apart."""
    if first is None or second is None:
        return first is second
    return re.sub(r"\s*=\s*", "=", _joined(first), count=1) == re.sub(
        r"\s*=\s*", "=", _joined(second), count=1
    )


def items(listed: str) -> list[str]:
    """Return the items of a list of Postfix's: what braces hold is one, with blanks and commas in it."""
    return [listed[start:end] for start, end in _spans(listed)]


def includes(listed: str, item: str) -> bool:
    """Say whether ``item`` is in a list of Postfix's."""
    return item in items(listed)


def with_item(listed: str, item: str) -> str:
    """Return a list with ``item`` at its end, so that what was there before is asked first."""
    return f"{listed.rstrip(', ')}, {item}" if listed.strip() else item


def without_item(listed: str, item: str) -> str:
    """Return a list without ``item``."""
    before = 0
    for start, end in _spans(listed):
        if listed[start:end] == item:
            return (listed[:before] + listed[end:]).lstrip(", ")
        before = end
    return listed


def _spans(listed: str) -> Iterator[tuple[int, int]]:
    """Yield where each item of a list begins and ends (mystrtokq(3) of Postfix: braces nest)."""
    start, depth = None, 0
    for place, character in enumerate(listed):
        if not depth and character in _BETWEEN:
            if start is not None:
                yield start, place
            start = None
            continue
        start = place if start is None else start
        depth = max(0, depth + (character == "{") - (character == "}"))
    if start is not None:
        yield start, len(listed)


def port_of(name: str) -> int | None:
    """Return the port of an inet service's name: 587, submission, 192.0.2.1:587, [::1]:submission."""
    service = name.rpartition(":")[2]
    if service.isdigit():
        return int(service)
    try:
        return socket.getservbyname(service, "tcp")
    except OSError:
        return None


def as_the_package_has_it(text: str) -> bool:
    """Say whether a port 25 entry is the one that Postfix comes with: smtpd(8) without any option."""
    words = _joined(text).split()
    fixed = words[:4] + words[5:]
    return len(words) == 8 and fixed == ["smtp", "inet", "n", "-", "-", "-", "smtpd"]


def shown(text: str) -> str:
    """Return an entry's first line, for people."""
    return next(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _joined(text: str) -> str:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return " ".join(" ".join(lines).split())
