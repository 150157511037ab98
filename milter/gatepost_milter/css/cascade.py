"""What of the rules that match an element is written into its attribute (CSS Cascade Level 4, section 6).

Normal declarations stand in front of the element's own, which win as they did before. Those with
``!important`` stand behind them, *without* it: in the block they still have it, and so lose to what is more
important there, as in a media query. What a rule that stays in its block may set as well, and set rather, is
not written, nor what that would hide: it holds from the block. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_milter.css.book import Entry
from gatepost_milter.css.properties import same
from gatepost_milter.css.syntax import Declaration


def written(matching: Iterable[Entry], condition: str) -> tuple[str, str]:
    """Return the declarations to write before and behind an element's own, without a last semicolon.

    ``condition``: that of the conditional comment in which the element stands, if any.
    """
    ranked = sorted(matching, key=lambda entry: entry.rank, reverse=True)
    important = _last_of_each(
        each for entry in ranked if _copied(entry, condition) for each in reversed(entry.important)
    )
    names = {each.name for each in important}
    normal = _last_of_each(each for each in _unopposed(ranked, condition) if each.name not in names)
    return _text(normal), _text(important)


def _copied(entry: Entry, condition: str) -> bool:
    return entry.copied and entry.condition in ("", condition)


def _unopposed(ranked: list[Entry], condition: str) -> list[Declaration]:
    """Return the normal declarations to write, from the strongest to the weakest."""
    left: dict[str, set[str]] = {}  # what holds from the block only: texts by property
    found: list[Declaration] = []
    for entry in ranked:
        copied = _copied(entry, condition)
        for each in reversed(entry.normal):
            if copied and not _opposed(each, left):
                found.append(each)
            else:
                left.setdefault(each.name, set()).add(each.text)
    return found


def _opposed(declaration: Declaration, left: dict[str, set[str]]) -> bool:
    """Say whether a declaration would hide one that is left to the block. The very same one hides nothing."""
    return any(texts != {declaration.text} for name, texts in left.items() if same(name, declaration.name))


def _last_of_each(declarations: Iterable[Declaration]) -> list[Declaration]:
    """Return the first of each property in a list from the strongest to the weakest, the strongest last."""
    found: dict[str, Declaration] = {}
    for each in declarations:
        found.setdefault(each.name, each)
    return list(found.values())[::-1]


def _text(declarations: list[Declaration]) -> str:
    return ";".join([each.text for each in declarations]).replace("&", "&amp;")
