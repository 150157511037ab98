"""Places that credentials have sent from: shown, added, forgotten, and asked about for ``explain``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from gatepost_cli.caller import caller, noted
from gatepost_cli.output import Table, emit, note, stamp
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import CliSession
from gatepost_core.domain import RuleError, StoreUnavailable
from gatepost_core.domain.rules.places import (
    PLACES_MOST,
    Known,
    Origin,
    Place,
    owner_of,
    read_place,
    reason,
)
from gatepost_core.serving.places import Locator
from gatepost_core.store import credentials
from gatepost_milter.holding import unplaced

if TYPE_CHECKING:
    from gatepost_core.domain import Credential, Defer
    from gatepost_core.domain.rules.places import Seen
    from gatepost_core.settings import Settings

ALL: Final = "all"
_COLUMNS = ("place", "since", "last used", "known by")


def read(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> tuple[Place, ...] | None:
    """Return the places of an option; None for ``all``, which stands alone."""
    if [text.strip().lower() for text in texts] == [ALL]:
        return None
    try:
        return tuple(dict.fromkeys(map(read_place, texts)))
    except RuleError as error:
        raise click.BadParameter(str(error)) from error


add = click.option(
    "--add",
    "added",
    metavar="PLACE",
    multiple=True,
    callback=read,
    help="A country (NL), a network (AS64500), or country:unknown, network:private and so on, from which "
    "nothing is held. May be given several times.",
)
forget = click.option(
    "--forget",
    "forgotten",
    metavar="PLACE",
    multiple=True,
    callback=read,
    help="What comes from there is held again. all: forget all, and learn the next message's place as the "
    "first. May be given several times.",
)


def run(
    session: CliSession, user: str, added: Sequence[Place] | None, forgotten: Sequence[Place] | None
) -> None:
    """Change what is known of a credential's places, and print it."""
    if added is None:
        raise click.UsageError("--add all: there is no such place; name each")
    with session.directory() as connection:
        credential = credentials.get(connection, user)
    owner, by = owner_of(credential), caller()
    gone = 0
    with opened(session.settings) as seen:
        if forgotten is None or forgotten:
            gone = seen.forget(owner, forgotten)
            what = "all" if forgotten is None else ", ".join(place.word for place in forgotten)
            noted(f"places of credential {user} forgotten by {by}: {what}, {gone} of them known")
        left_out = seen.teach(owner, added, by, int(session.now.timestamp())) if added else ()
        if added:
            noted(f"places of credential {user} added by {by}: {', '.join(place.word for place in added)}")
        known = seen.known(owner)
    if added or gone:
        words = {"added": [one.word for one in added], "forgotten": gone}
        with session.changing() as work:
            work.note("credential.places", user, credential.account, None, words)
    rows = [(one.place.word, _at(one.since), _at(one.last), one.by) for one in known]
    emit(session, data(known), Table(_COLUMNS, rows) if rows else "No places are known.")
    if left_out:
        names = ", ".join(place.word for place in left_out)
        raise click.UsageError(f"not added, as {PLACES_MOST} are known already: {names}; forget some first")
    if not credential.rules.hold_places:
        note(session, "Nothing is held for its place: gatepost credential set --hold-new-places has it so.")


def of(session: CliSession, credential: Credential) -> Sequence[Known]:
    """Return what is known of a credential that has such a rule."""
    if not credential.rules.hold_places:
        return ()
    with opened(session.settings) as seen:
        return seen.known(owner_of(credential))


def data(known: Sequence[Known]) -> list[dict[str, Any]]:
    """Return places as plain values for JSON."""
    return [
        {
            "kind": one.place.kind.value,
            "place": one.place.name,
            "since": _at(one.since),
            "last_used_at": _at(one.last),
            "known_by": one.by,
        }
        for one in known
    ]


def text(known: Sequence[Known]) -> str:
    """Return places in a line for people."""
    return ", ".join(one.place.word for one in known) or "nowhere yet"


def check(session: CliSession, rules: Mapping[str, Any]) -> None:
    """Raise UsageError for a rule about places that nothing tells here: its messages would get 451."""
    wanted = rules.get("hold_places", ())
    for kind, file in session.settings.hold.place_databases.items():
        if kind in wanted and not isinstance(wanted, str) and not file:
            raise click.UsageError(
                f"--hold-new-places {kind}: the setting hold.{kind}_database is empty, and nothing else "
                f"tells a client's {kind}; set it to a MaxMind DB file first"
            )


@contextmanager
def opened(settings: Settings) -> Iterator[Seen]:
    """Have what is known of places open, as the owner of its folder."""
    from gatepost_core.store import open_places  # noqa: PLC0415 - `gatepost --help` does without

    file = settings.limits.counters
    seen = open_places(file)
    try:
        with as_owner_of(file.parent):
            yield seen
    finally:
        seen.close()


def looked(settings: Settings, origin: Origin) -> tuple[Defer | None, str, str]:
    """Return the refusal of a message, why it would be held ('': it is not), and what is told of places."""
    locate = Locator(settings.hold.place_databases)
    try:
        places = [locate(kind, origin.address) for kind in origin.kinds]
        with opened(settings) as seen:
            admitted = seen.look(origin.owner, places)
            known = {one.place for one in seen.known(origin.owner)}
    except StoreUnavailable as error:
        return unplaced(origin.owner.username, f"places: {error}"), "", ""
    if not origin.address:
        return None, "", "it is not known where it comes from; --client ADDRESS says it"
    if admitted.new:
        return None, reason(admitted, origin.address), ""
    said = [f"{one} is {'known' if one in known else 'the first, and learned'}" for one in places]
    return None, "", ", ".join(said)


def _at(seconds: int) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC)) or ""
