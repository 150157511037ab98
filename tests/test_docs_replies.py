"""Whoever gets a reply finds it in docs/replies.md, and what stands there is what is said."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.provocations import LIMITED, PLAIN

ROOT = Path(__file__).parents[1]
DAEMONS = ("core/gatepost_core", "sasl/gatepost_sasl", "milter/gatepost_milter", "policy/gatepost_policy")
LOGINS = ROOT / "core/gatepost_core/domain/logins/__init__.py"
# Texts of Postfix's own, which other tests hear from it.
POSTFIX = (
    "Must issue a STARTTLS",
    "authentication not enabled",
    "already authenticated",
    "Authentication successful",
    "Temporary authentication failure",
    "Authentication aborted",
    "Invalid authentication mechanism",
    "Invalid base64 data",
    "500 5.5.6",
    "Service unavailable",
    "need fully-qualified address",
    "User unknown in",
    # Provoked on other ports with the same words.
    "421 4.7.0 … Error: too many new TLS sessions",
    *(one.reply for one in (*PLAIN, *LIMITED)),
)
_CODED = re.compile(r"[45]\d\d [45]\.\d+\.\d+ ")


def source(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def rendered(node: ast.expr, names: dict[str, str]) -> str | None:
    """Return a text as a client may hear it, X for what is filled in; None for what is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.JoinedStr):
        return None
    parts: list[str] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            made = ast.unparse(part.value)
            quoted = part.conversion == ord("r") or "_shown(" in made or "quoted(" in made
            parts.append("'X'" if quoted else "X")
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    return "".join(parts)


def constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that a module names."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = rendered(node.value, {})
            if text is not None:
                found[node.targets[0].id] = text
    return found


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def refusals() -> Iterator[str]:
    """Yield what Reject and Defer say, and Postfix in our name."""
    for folder in DAEMONS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = source(str(path.relative_to(ROOT)))
            names = constants(tree)
            yield from (text for text in names.values() if _CODED.match(text))
            of_logins = path == LOGINS
            for call in calls(tree, "_refusal") if of_logins else ():
                text = rendered(call.args[0], names)
                assert text is not None, f"{path.name}: {ast.unparse(call)}"
                if "is one of" not in text:  # asked at AUTH only, where every refusal has the same words
                    yield f"550 5.7.1 {text}"
            for call in calls(tree, "Reject", "Defer"):
                if ast.unparse(call.args[2]) == "text" and of_logins:
                    continue  # in _refusal
                text = rendered(call.args[2], names)
                if text is None:
                    made = ast.unparse(call.args[2])
                    assert made == "str(error)" or made.endswith(".text"), f"{path.name}: {made}"
                    continue
                head = " ".join(str(part.value) for part in call.args[:2] if isinstance(part, ast.Constant))
                if path.name == "overrides.py":
                    text = f"X-Gatepost-{text}"
                if path.name != "signing.py" or not text.endswith("X"):
                    yield f"{head} {text}"


def signing_refusals() -> Iterator[str]:
    for node in source("milter/gatepost_milter/dkim/signing.py").body:
        if isinstance(node, ast.FunctionDef) and node.name in ("_unusable", "_unregistered", "_unreadable"):
            for part in [part for returned in node.body[1:] for part in ast.walk(returned)]:
                text = rendered(part, {}) if isinstance(part, (ast.Constant, ast.JoinedStr)) else None
                if text and text.count(" ") > 2 and not text.startswith(" "):
                    yield f"550 5.7.1 The message cannot be signed: {text}"


def override_refusals() -> Iterator[str]:
    for path in ("core/gatepost_core/domain/features.py", "milter/gatepost_milter/surgery/overrides.py"):
        tree: ast.AST = source(path)
        if path.endswith("features.py"):  # what the command line may hear is not ours
            tree = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == "Feature")
        for call in calls(tree, "FeatureError"):
            text = rendered(call.args[0], {})
            assert text is not None
            if "error" not in ast.unparse(call.args[0]):
                yield f"550 5.6.0 X-Gatepost-X:{text.partition(':')[2]}"
    # What is wrong with metadata, between the value and what was expected.
    for call in calls(source("core/gatepost_core/domain/metadata.py"), "MetadataError"):
        text = rendered(call.args[0], {})
        assert text is not None
        yield f"550 5.6.0 X-Gatepost-Metadata: 'X' {text}; expected a JSON object X"


def time_refusals() -> Iterator[str]:
    tree = next(
        node
        for node in source("core/gatepost_core/domain/texts.py").body
        if isinstance(node, ast.FunctionDef) and node.name == "moment"
    )
    for call in calls(tree, "ValueError"):
        yield f"550 5.6.0 X-Gatepost-Send-At: 'X' {rendered(call.args[0], {})}; expected X"


def key_refusals() -> Iterator[str]:
    for call in calls(source("core/gatepost_core/domain/limits/idempotency.py"), "ValueError"):
        yield f"550 5.6.0 X-Gatepost-Idempotency-Key: 'X' {rendered(call.args[0], {})}; expected X"


def login_refusals() -> Iterator[str]:
    folder = ROOT / "sasl/gatepost_sasl"
    texts = [
        text for name, text in constants(source("sasl/gatepost_sasl/session.py")).items() if name[0] != "_"
    ]
    whats: set[str] = set()
    for path in sorted((folder / "mechanisms").glob("*.py")):
        tree = source(str(path.relative_to(ROOT)))
        names = constants(tree)
        for call in calls(tree, "MechanismError"):
            text = rendered(call.args[0], names)
            assert text is not None, f"{path.name}: {ast.unparse(call)}"
            texts.append(text)
        whats |= {
            str(call.args[1].value)
            for call in calls(tree, "prepared")
            if isinstance(call.args[1], ast.Constant)
        }
    for text in texts:
        for what in sorted(whats) if "the X " in text else [""]:
            yield "535 5.7.8 Error: authentication failed: " + text.replace("the X ", f"the {what} ")


@functools.cache
def said() -> list[str]:
    found = [
        *refusals(),
        *signing_refusals(),
        *override_refusals(),
        *time_refusals(),
        *key_refusals(),
        *login_refusals(),
    ]
    return sorted(set(found))


@functools.cache
def rows() -> list[str]:
    """Return the replies in the first columns of the tables, codes completed."""
    found: list[str] = []
    for line in (ROOT / "docs/replies.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            head = ""
            for reply in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                head = reply[:9] if reply[0].isdigit() else head
                found.append(reply if reply[0].isdigit() else f"{head} {reply}")
    return found


def matches(row: str, text: str) -> bool:
    pattern = re.escape(row).replace("\\ …\\ ", "\\ (?:.*\\ )?").replace("…", ".*").replace("USER", ".*")
    return re.fullmatch(pattern, text) is not None


@pytest.mark.parametrize("text", said())
def test_a_reply_has_its_row(text: str) -> None:
    assert [row for row in rows() if matches(row, text)], text


@pytest.mark.parametrize("row", [row for row in rows() if not any(own in row for own in POSTFIX)])
def test_a_row_is_a_reply_that_the_code_gives(row: str) -> None:
    assert [text for text in said() if matches(row, text)], row


def test_the_texts_are_found_in_the_code() -> None:
    """The collection sees each kind: a rule, a login, an override, a signature, the policy's fallback."""
    text = "\n".join(said())
    for part in (
        "Sender address <X>",
        "the password is empty",
        "contradicts",
        "active key",
        "policy service",
    ):
        assert part in text


def test_other_pages_have_no_table_of_replies() -> None:
    """One place says what a reply means, so that no two can differ."""
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.name == "replies.md" or not re.search(
            r"^\| `[2-5]\d\d [245]\.", page.read_text(), re.MULTILINE
        )
