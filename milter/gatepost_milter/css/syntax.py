"""Style sheets read into rules and declarations (CSS Syntax Level 3, section 5; CSS Nesting Level 1).

What is copied must mean in a ``style`` attribute what it means in its sheet. So strings come out in single
quotes, comments as nothing, and a sheet in which a quote or a bracket is left open is ``CssTextError``: what
follows it is swallowed by browsers, and so would be an element's own declarations. Braces may be left open,
as browsers close them at the end. Linear time, without recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost_milter.html.csstext import CssTextError, plain_token, unescaped

# Stands for a comment, which parts two words without being white space; the sheet's own NULs are replaced
# (3.3).
COMMENT = "\0"
_WS = r"[ \t\n\r\f]"
_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?(?:\*/|\Z))|(?P<sign>[{}()\[\];])"""
    r"""|(?P<string>"(?:[^"\\\n\r\f]++|\\(?:\r\n|.))*"|'(?:[^'\\\n\r\f]++|\\(?:\r\n|.))*')"""
    rf"""|(?P<url>(?<![\w-])(?i:url)\({_WS}*+(?:[^"'()\\ \t\n\r\f]++|\\(?:\r\n|.))+{_WS}*+\))"""
    r"""|(?P<escape>\\(?:\r\n|.))|(?P<open>["'])""",
    re.DOTALL,
)
_ESCAPED_QUOTE = re.compile(r"\\[\"']")
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_IGNORED = re.compile(rf"(?:{_WS}|\0|<!--|-->)+")
_AT = re.compile(r"@((?:[\w-]|[^\x00-\x7f])+)")
_DECLARATION = re.compile(r"((?:[\w-]|[^\x00-\x7f]|\\[0-9a-fA-F]{1,6}+[ \t]?|\\[^\n0-9a-fA-F])+)[ \0]*+:")
_NAME = re.compile(r"-?[a-zA-Z_][\w-]*|--[\w-]+", re.ASCII)
_IMPORTANT = re.compile(r"![ \0]*important[ \0]*\Z", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"'[^']*'|[(\[{][^()\[\]{}']*[)\]}]")
# At-rules whose block holds no style rules; all others may.
_NO_STYLES = re.compile(
    r"(?:-\w+-)?(?:font-face|keyframes|page|viewport|counter-style|property|font-feature-values|"
    r"font-palette-values|position-try|view-transition|color-profile)"
)
# A rule within them competes by its specificity and place with rules outside; within layers and scopes it
# does not.
_CONDITIONAL = frozenset(("media", "supports", "container", "starting-style", "document", "-moz-document"))
_CLOSING = {"(": ")", "[": "]", "{": "}"}
DEPTH_MOST = 64


class Declaration(NamedTuple):
    """A property in lower case, and how it is declared; several values for one stand together."""

    name: str
    text: str
    important: bool


@dataclass(slots=True)
class Rule:
    """A style rule as it stands.

    ``stays``: it holds at times only, or is nested, and belongs into the block. ``ranked``: it competes with
    others by specificity and place; otherwise nobody knows. ``nested``: ``prelude`` is relative to another
    rule's.
    """

    prelude: str
    stays: bool = False
    ranked: bool = True
    nested: bool = False
    declarations: list[Declaration] = field(default_factory=list[Declaration])


@dataclass(slots=True)
class _Frame:
    """An open block: of style rules (``rule`` None), of declarations, or of neither (``skipped``)."""

    stays: bool = False
    ranked: bool = True
    skipped: bool = False
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rules of a sheet in their order. ``namespaces``: type selectors mean other things than they say."""

    rules: list[Rule]
    namespaces: bool


def read(css: str) -> Sheet:
    """Return the rules of a sheet. Raises CssTextError."""
    reader = _Reader()
    position = 0
    css = css.replace("\0", "\ufffd")
    for token in _TOKEN.finditer(css):
        if token.start() > position:
            reader.add(css[position : token.start()])
        position = token.end()
        kind, text = token.lastgroup, token[0]
        if kind == "sign":
            reader.sign(text)
        elif kind == "comment":
            reader.put(COMMENT)
        elif kind == "open":
            raise CssTextError("a quote in <style> that is not closed")
        elif kind == "url":
            reader.put(_ESCAPED_QUOTE.sub(lambda found: plain_token(found[0]), text))
        else:
            reader.put(plain_token(text))
    reader.add(css[position:])
    return reader.end()


class _Reader:
    """What has been read: rules, blocks that are open, and the pieces of the statement under way."""

    def __init__(self) -> None:
        self._pieces: list[str] = []  # the first one begins with what the statement begins with
        self._rules: list[Rule] = []
        self._frames = [_Frame()]
        self._brackets: list[str] = []
        self._stray = False
        self._namespaces = False

    def add(self, run: str) -> None:
        """Take text without signs, strings and comments."""
        self.put(_BLANKS.sub(" ", run))

    def put(self, piece: str) -> None:
        """Take what has no meaning for blocks; what stands before a statement is left out."""
        if not self._pieces:
            ignored = _IGNORED.match(piece)
            if ignored:
                piece = piece[ignored.end() :]
                if not piece:
                    return
        self._pieces.append(piece)

    def sign(self, sign: str) -> None:
        """Take a bracket or a semicolon."""
        if sign in "([" or (self._brackets and sign == "{"):
            self._brackets.append(_CLOSING[sign])
            self._pieces.append(sign)
        elif self._brackets:
            if sign == self._brackets[-1]:
                self._brackets.pop()
            self._pieces.append(sign)
        elif sign == "{":
            self._open()
        elif sign == "}":
            self._close()
        elif sign == ";":
            self._semicolon()
        else:
            self._stray = True
            self._pieces.append(sign)

    def end(self) -> Sheet:
        """Close what is open, as browsers do. Raises CssTextError."""
        if self._brackets:
            raise CssTextError("a bracket in <style> that is not closed")
        while len(self._frames) > 1:
            self._close()
        return Sheet([rule for rule in self._rules if rule.declarations], self._namespaces)

    def _statement(self) -> tuple[str, bool]:
        """Return the statement that ends here, and whether it has a bracket that closes nothing."""
        text, stray = "".join(self._pieces), self._stray
        self._pieces.clear()
        self._stray = False
        return text, stray

    def _semicolon(self) -> None:
        frame = self._frames[-1]
        if frame.rule is not None:
            self._declare(frame.rule)
        elif frame.skipped or (self._pieces and self._pieces[0].startswith("@")):
            statement, _ = self._statement()
            self._namespaces = self._namespaces or "@namespace" in statement.lower()
        else:
            self._pieces.append(";")

    def _open(self) -> None:
        frame = self._frames[-1]
        if frame.rule is not None and self._pieces and self._pieces[0].startswith("--"):
            self._brackets.append("}")  # a custom property's value
            self._pieces.append("{")
            return
        if len(self._frames) > DEPTH_MOST:
            raise CssTextError(f"blocks nested more than {DEPTH_MOST} deep in <style>")
        statement, stray = self._statement()
        self._frames.append(self._opened(frame, statement, stray))

    def _opened(self, frame: _Frame, statement: str, stray: bool) -> _Frame:
        """Return the frame of a block with this prelude."""
        prelude = statement.rstrip(" \0")
        at = _AT.match(prelude)
        if frame.skipped or (at and _NO_STYLES.fullmatch(at[1].lower())):
            return _Frame(skipped=True)
        if at:
            ranked = frame.ranked and at[1].lower() in _CONDITIONAL
            if frame.rule is None:
                return _Frame(stays=True, ranked=ranked)
            return self._of_rule(Rule(frame.rule.prelude, True, ranked, frame.rule.nested))
        if frame.rule is not None:
            return self._of_rule(Rule(prelude if "&" in prelude else f"& {prelude}", True, False, True))
        return self._of_rule(Rule(")" if stray else prelude, frame.stays, frame.ranked))

    def _of_rule(self, rule: Rule) -> _Frame:
        self._rules.append(rule)
        return _Frame(stays=rule.stays, ranked=rule.ranked, rule=rule)

    def _close(self) -> None:
        if len(self._frames) == 1:
            self._stray = True  # it belongs to the next prelude, which is then none
            self._pieces.append("}")
            return
        frame = self._frames.pop()
        if frame.rule is not None:
            self._declare(frame.rule)
        self._pieces.clear()
        self._stray = False
        outer = self._frames[-1]
        if outer.rule is not None:
            # Declarations after a nested rule count as a rule of their own after it.
            outer.rule = Rule(outer.rule.prelude, True, outer.rule.ranked, outer.rule.nested)
            self._rules.append(outer.rule)

    def _declare(self, rule: Rule) -> None:
        """Take the statement under way for a declaration; what is none is dropped, as browsers do."""
        statement, stray = self._statement()
        new = None if stray else _declaration(statement)
        if new is None:
            return
        last = rule.declarations[-1] if rule.declarations else None
        if last and (last.name, last.important) == (new.name, new.important) and last.text != new.text:
            rule.declarations[-1] = last._replace(text=f"{last.text};{new.text}")
        else:
            rule.declarations.append(new)


def _declaration(statement: str) -> Declaration | None:
    """Return what a statement declares. Raises CssTextError for a name that a style attribute cannot have."""
    found = _DECLARATION.match(statement)
    if found is None:
        return None
    name = unescaped(found[1]) if "\\" in found[1] else found[1]
    if not _NAME.fullmatch(name):
        if "\\" in found[1]:
            raise CssTextError(f"the property name {found[1][:40]!r} cannot be written in a style attribute")
        return None
    name = name if name.startswith("--") else name.lower()
    value = statement[found.end() :].replace(COMMENT, " ").strip()
    important = _IMPORTANT.search(value)
    if important:
        value = value[: important.start()].rstrip()
    if not value or ("!" in value and "!" in _IN_BRACKETS.sub("", value)):
        return None
    return Declaration(name, f"{name}: {value}", important is not None)
