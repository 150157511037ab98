"""Signing in to the dashboard: password, second factor, session; and passwords chosen by a one-time link.

| what | how |
|---|---|
| whoever guesses | is held off by the rules of SMTP's logins (``logins.guessing``), in the same words |
| a right password | forgets no failures while the second factor is missing: codes would be guessed for ever |
| a session | a new one at each sign-in, found by the hash of its cookie; none that was there before goes on |
| a new password, a second factor set or removed | ends all other sessions of the user |
| a sign-in meanwhile, by what was right until then | begins none: its own transaction looks once more |

Faults of the store raise StoreUnavailable, those of keys KeyringError; too many at once CannotCheckError.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from gatepost_core.domain.access import Actor, ActorKind
from gatepost_core.domain.access.users import LINK, LONGEST, PROVING, User, UserSession, actor_of
from gatepost_core.domain.errors import NotFound
from gatepost_core.domain.logins.guessing import Guard
from gatepost_core.domain.texts import utc_now
from gatepost_core.keys import Keyring, chosen, totp
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context, Store
from gatepost_core.service.people.tries import Tries
from gatepost_core.settings import Settings
from gatepost_core.store.access import sessions, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

WRONG: Final = "Name and password do not belong together."
WRONG_CODE: Final = "That code is not right, or was used before."
WRONG_OLD: Final = "The password until now is not right."
LATER: Final = "There were too many attempts. Try again in a while."
_TOO_LONG: Final = "That took too long. Sign in once more."
_TOKEN: Final = 32  # bytes
_COOKIE_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """From where somebody asks: address and program, as a session is listed with."""

    ip: str
    agent: str


@dataclass(frozen=True, slots=True)
class Signed:
    """Who is signed in, and by which session."""

    user: User
    session: UserSession


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt. ``cookie``: the new session's, '' if there is none; ``why`` not, in words.

    ``code``: the second factor is still missing. ``event``: what is logged and noted of it. ``wait``: the
    seconds for which the answer is held back.
    """

    cookie: str = ""
    code: bool = False
    why: str = ""
    event: str = ""
    user: User | None = None
    wait: float = 0.0


class SigningIn:
    """All of it, over a store. ``clock`` gives the time, ``ticks`` seconds that only go forward."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        guard: Guard,
        settings: Settings,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._tries = Tries(guard, settings.sasl.failure_delay, ticks)

    def password(self, name: str, password: str, origin: Origin) -> Answer:
        """Try a name and a password."""
        with self._tries.begin("password", name[:200], origin.ip) as one:
            if one.locked:
                return Answer(why=LATER, event="locked", wait=one.wait)
            with self._store.directory() as connection:
                kept = users.kept_of(connection, name[:200])
            user, hash_, sealed = kept or (None, None, None)
            right, cookie = chosen.is_chosen(hash_, password), ""
            if user is not None and right:
                with self._store.directory(write=True) as connection:
                    if users.unchanged(connection, user.id, hash_, sealed):
                        cookie = self._begin(connection, user, origin, proven=sealed is None)
            if not cookie:
                one.failed()
                return Answer(why=WRONG, event="denied", user=user, wait=one.wait)
            if sealed is None:
                one.succeeded()
            return Answer(cookie, sealed is not None, event="granted", user=user, wait=one.wait)

    def code(self, cookie: str, code: str, origin: Origin) -> Answer:
        """Try the second factor, a code by time or a recovery code, of a session that waits for it."""
        waiting = self._find(cookie)
        if waiting is None or waiting.session.proven:
            return Answer(why=_TOO_LONG, event="expired")
        user = waiting.user
        with self._tries.begin("code", user.name, origin.ip) as one:
            if one.locked:
                return Answer(why=LATER, event="locked", user=user, wait=one.wait)
            with self._store.directory(write=True) as connection:
                begun = self._proven(connection, waiting, code, origin)
            if begun is None:
                return Answer(why=_TOO_LONG, event="expired", user=user, wait=one.wait)
            if not begun:
                one.failed()
                return Answer(cookie, True, WRONG_CODE, "denied", user, one.wait)
            self._tries.forget("password", user.name, origin.ip)
            self._tries.forget("code", user.name, origin.ip)
            return Answer(begun, event="granted", user=user, wait=one.wait)

    def signed(self, cookie: str) -> Signed | None:
        """Return who is signed in by a cookie; None for nobody. It is kept that the session is used."""
        found = self._find(cookie)
        if found is None or not found.session.proven:
            return None
        if sessions.stale(found.session, self._clock()):
            with self._store.directory(write=True) as connection:
                sessions.touch(connection, found.session.id, self._clock())
        return found

    def waits(self, cookie: str) -> bool:
        """Say whether a cookie is of a session that waits for its second factor."""
        found = self._find(cookie)
        return found is not None and not found.session.proven

    def sign_out(self, cookie: str) -> User | None:
        """End a session, and return whose it was."""
        found = self._find(cookie)
        if found is None:
            return None
        with self._store.directory(write=True) as connection:
            sessions.end(connection, found.session.id, found.user.id)
        return found.user

    def invited(self, token: str) -> User | None:
        """Return who may choose a password by a link."""
        with self._store.directory() as connection:
            user = users.of_link(connection, _digest(token), self._clock())
        return user if user is not None and user.enabled else None

    def choose(self, token: str, password: str, origin: Origin) -> Answer:
        """Set a password by a link, which is used up by it, end all sessions, and sign in."""
        user = self.invited(token)
        if user is None:
            return Answer(why="This link is not good any more. Ask for another one.", event="expired")
        if why := chosen.unsuitable(password, user.name):
            return Answer(why=why)
        hash_, digest = chosen.hashed(password), _digest(token)
        with changing(self._context(user, origin)) as work:
            connection = work.connection
            users.hold(connection, user.id)
            now = users.of_link(connection, digest, work.now)
            if now is None or not now.enabled or not users.use_link(connection, digest):
                return Answer(why="This link is good no more.", event="expired", user=user)
            users.change(connection, user.id, password_hash=hash_)
            sessions.end_all(connection, user.id)
            work.note("user.password-by-link", now.name, work.context.actor.account)
            cookie = self._begin(connection, now, origin, proven=not now.second)
        return Answer(cookie, now.second, event="password-by-link", user=now)

    def change_password(self, signed: Signed, old: str, new: str, origin: Origin) -> Answer:
        """Set another password; the answer's ``why`` says why not. All other sessions of the user end."""
        user = signed.user
        if why := chosen.unsuitable(new, user.name):
            return Answer(why=why)
        with self._tries.begin("change", user.name, origin.ip) as one:
            if one.locked:
                return Answer(why=LATER, wait=one.wait)
            with self._store.directory() as connection:
                kept = users.kept_of(connection, user.name)
            if kept is None or not chosen.is_chosen(kept[1], old):
                one.failed()
                return Answer(why=WRONG_OLD, wait=one.wait)
            one.counted()
            hash_ = chosen.hashed(new)
            with self._store.directory(write=True) as connection:
                if not users.unchanged(connection, user.id, kept[1], kept[2]):
                    return Answer(why=WRONG_OLD, wait=one.wait)
                users.change(connection, user.id, password_hash=hash_)
                sessions.end_all(connection, user.id, but=signed.session.id)
            return Answer(wait=one.wait)

    def set_second(self, signed: Signed, secret: str, code: str) -> tuple[list[str], str]:
        """Set a second factor once a code of it was given; return recovery codes, or why not.

        The code counts, and no second time.
        """
        user, now = signed.user, self._clock()
        step = totp.step_of(secret, code, now, 0)
        if not step:
            return [], WRONG_CODE
        codes = totp.recovery_codes()
        digests = [totp.recovery_digest(self._keyring, one, user.id) for one in codes]
        kept = totp.sealed(self._keyring, secret, user.id)
        with self._store.directory(write=True) as connection:
            if users.by_id(connection, user.id).second:
                return [], "There is a second factor already."
            users.set_totp(connection, user.id, kept, step, digests)
            sessions.end_all(connection, user.id, but=signed.session.id)
        return codes, ""

    def remove_second(self, signed: Signed, code: str, origin: Origin) -> Answer:
        """Remove the second factor by a code of it; the answer's ``why`` says why not."""
        user = signed.user
        with self._tries.begin("code", user.name, origin.ip) as one:
            if one.locked:
                return Answer(why=LATER, wait=one.wait)
            with self._store.directory(write=True) as connection:
                users.hold(connection, user.id)
                right = self._proves(connection, user, code)
                if right:
                    users.set_totp(connection, user.id, None, 0)
                    sessions.end_all(connection, user.id, but=signed.session.id)
            if not right:
                one.failed()
            return Answer(why="" if right else WRONG_CODE, wait=one.wait)

    def recovery_left(self, signed: Signed) -> int:
        """Return how many recovery codes are left."""
        with self._store.directory() as connection:
            return users.recovery_left(connection, signed.user.id)

    def look_at(self, signed: Signed, account: str) -> bool:
        """Keep which of several accounts the user looks at; False: it has no role there."""
        if account not in signed.user.roles:
            return False
        with self._store.directory(write=True) as connection:
            sessions.choose(connection, signed.session.id, account)
        return True

    def sessions(self, signed: Signed) -> list[UserSession]:
        """Return all sessions of who is signed in, the newest first."""
        with self._store.directory() as connection:
            return sessions.of_user(connection, signed.user.id, self._clock())

    def end(self, signed: Signed, number: int) -> bool:
        """End one of the user's own sessions; False: there is none of that number."""
        with self._store.directory(write=True) as connection:
            return sessions.end(connection, number, signed.user.id)

    def _proven(self, connection: Connection, waiting: Signed, code: str, origin: Origin) -> str | None:
        """Begin a session in place of one that waits; '' for a wrong code, None where none waits any more."""
        kept = users.hold(connection, waiting.user.id)
        if kept is None or not kept.enabled:
            return None
        if not self._proves(connection, waiting.user, code):
            sessions.failed(connection, waiting.session.id)
            return ""
        if not sessions.end(connection, waiting.session.id, waiting.user.id):
            return None
        return self._begin(connection, waiting.user, origin, proven=True)

    def _proves(self, connection: Connection, user: User, code: str) -> bool:
        sealed, last = users.totp_of(connection, user.id)
        if sealed is None:
            return False
        step = totp.step_of(totp.opened(self._keyring, sealed, user.id), code, self._clock(), last)
        if step:
            return users.count_step(connection, user.id, step)
        digest = totp.recovery_digest(self._keyring, code, user.id)
        return users.use_recovery(connection, user.id, digest)

    def _begin(self, connection: Connection, user: User, origin: Origin, *, proven: bool) -> str:
        """Begin a session, and return its cookie."""
        cookie, now = secrets.token_urlsafe(_TOKEN), self._clock()
        sessions.begin(
            connection,
            _digest(cookie),
            user.id,
            now,
            now + (LONGEST if proven else PROVING),
            proven=proven,
            ip=origin.ip,
            agent=origin.agent,
        )
        if proven:
            users.change(connection, user.id, seen_at=now)
        return cookie

    def _context(self, user: User, origin: Origin) -> Context:
        """Return what a change by a user is made with who is not signed in."""
        actor = actor_of(user, "", origin.ip)
        if actor is None:  # its accounts were removed
            actor = Actor(ActorKind.USER, str(user.id), user.name, None, frozenset(), origin.ip)
        return Context(actor, self._store, self._settings, lambda: self._keyring, self._clock)

    def _find(self, cookie: str) -> Signed | None:
        if not cookie or len(cookie) > _COOKIE_MOST:
            return None
        with self._store.directory() as connection:
            session = sessions.find(connection, _digest(cookie), self._clock())
            if session is None:
                return None
            try:
                user = users.by_id(connection, session.user_id)
            except NotFound:
                return None
        return Signed(user, session) if user.enabled else None


def new_link(store: Store, number: int, now: datetime) -> str:
    """Return what a link ends in by which a user chooses a password; earlier ones are good no more."""
    token = secrets.token_urlsafe(_TOKEN)
    with store.directory(write=True) as connection:
        users.set_link(connection, number, _digest(token), now + LINK)
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
