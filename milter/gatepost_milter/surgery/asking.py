"""Features asked one after another: for the edits of each page, then for what else is to change.

The one loop for all of them. What one raises costs its own edits of that page, or its own change, and is put
on record; the message passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

from gatepost_core.domain import FeatureValues
from gatepost_milter.editing.headers import Headers
from gatepost_milter.editing.message import Message, Plan
from gatepost_milter.surgery.context import Context
from gatepost_milter.surgery.feature import NOTHING, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page
from gatepost_milter.surgery.record import Record

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")


def ask(
    kinds: Sequence[type[Feature]],
    message: Message,
    context: Context,
    features: FeatureValues,
    record: Record,
    headers: Headers | None,
) -> Plan:
    """Return what these features make of a message, whatever its size.

    ``headers`` are the fields as they are so far (None: as they came), ``record`` what is known already.
    """
    letter = Letter(message, context, features, record, editors(kinds))
    acting = [feature for kind in kinds if (feature := _guarded(kind.name, kind, letter, record)) is not None]
    if any(feature.reads_html for feature in acting):
        for page in letter.pages:
            _edit(page, acting, letter)
    return _finish(acting, letter, headers)


def editors(kinds: Sequence[type[Feature]]) -> tuple[str, ...]:
    """Return the names of those features that edit pages."""
    return tuple([kind.name for kind in kinds if kind.reads_html])


def _edit(page: Page, acting: list[Feature], letter: Letter) -> None:
    """Have one page edited by each feature, and written back."""
    record = letter.record
    acted: list[Feature] = []
    for feature in acting if not page.fault else ():
        if feature.reads_html:
            outcome = _guarded(feature.name, feature.edits, page, record, feature.step)
            if outcome is not None:
                page.edits += outcome.edits
                acted += [feature] if outcome.done or outcome.edits else []
                record.skip(feature.name, outcome.reason)
    letter.write(page)
    for feature in acted if not page.fault else ():
        feature.acted = True


def _finish(acting: list[Feature], letter: Letter, headers: Headers | None) -> Plan:
    """Return the plan, with what each feature wants changed beside the pages."""
    record, sender = letter.record, ""
    now = came = Headers.of(letter.message.headers) if headers is None else headers
    for feature in acting:
        change = _guarded(feature.name, feature.finish, now, record, feature.step)
        if change is not None and change is not NOTHING:
            now, sender = change.headers or now, change.sender or sender
            letter.removed += change.body
            feature.acted |= change.acted
            record.skip(feature.name, change.reason)
    body, headers = letter.written(headers if now is came else now)
    return Plan(
        headers=headers,
        body=body,
        applied=tuple(dict.fromkeys([feature.name for feature in acting if feature.acted])),
        skipped=record.reasons(),
        features=letter.features,
        seconds=record.seconds,
        notes=tuple(record.notes),
        sender=sender or None,
    )


def _guarded(
    name: str, act: Callable[[_Given], _Answer], given: _Given, record: Record, step: str = ""
) -> _Answer | None:
    """Return what a feature answers, and record the time under ``step``; None if it cannot act."""
    began = perf_counter() if step else 0.0
    try:
        return act(given)
    except NotPossible as error:
        record.skip(name, str(error))
        if error.note:
            record.notes.append(f"{name}: {error.note}")
    except Exception as error:  # noqa: BLE001  # whatever it is, the message must pass
        record.notes.append(f"{name}: {type(error).__name__}: {error}")
        record.skip(name, "internal error")
    finally:
        if step:
            record.spend(step, began)
    return None
