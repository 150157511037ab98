"""Signing in to the dashboard: password, second factor, session; and passwords chosen by a one-time link.

| what | how |
|---|---|
| whoever guesses | is held off by the rules of SMTP's logins (``logins.guessing``), in the same words |
| a right password | forgets no failures while the second factor is missing: codes would be guessed for ever |
| a session | a new one at each sign-in, found by the hash of its cookie; none that was there before goes on |
| a new password, a second factor set or removed | ends all other sessions of the user |

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

from gatepost_core.domain.access.users import LINK, LONGEST, PROVING, User, UserSession
from gatepost_core.domain.errors import NotFound
from gatepost_core.domain.logins.guessing import Attempt, Guard
from gatepost_core.domain.texts import utc_now
from gatepost_core.keys import Keyring, chosen, totp
from gatepost_core.service.context import Store
from gatepost_core.store.access import sessions, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

WRONG: Final = "Name and password do not belong together."
WRONG_CODE: Final = "That code is not right, or was used before."
LATER: Final = "There were too many attempts. Try again in a while."
_TOKEN: Final = 32  # bytes
_COOKIE_MOST: Final = 100
_CODE: Final = "second factor of "


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

    ``code``: the second factor is still missing. ``event``: what is logged and noted of it.
    """

    cookie: str = ""
    code: bool = False
    why: str = ""
    event: str = ""
    user: User | None = None


class SigningIn:
    """All of it, over a store. ``clock`` gives the time, ``ticks`` seconds that only go forward."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        guard: Guard,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._guard = guard
        self._clock = clock
        self._ticks = ticks

    def password(self, name: str, password: str, origin: Origin) -> Answer:
        """Try a name and a password."""
        attempt = self._entered(name[:200], origin)
        if attempt is None:
            return Answer(why=LATER, event="locked")
        try:
            with self._store.directory() as connection:
                kept = users.kept_of(connection, name[:200])
            user, hash_ = (kept[0], kept[1]) if kept else (None, None)
            right = chosen.is_chosen(hash_, password)
            if user is None or not right or not user.enabled:
                self._guard.failed(attempt, self._ticks())
                return Answer(why=WRONG, event="denied", user=user)
            if not user.second:
                self._guard.succeeded(attempt, self._ticks())
            return Answer(self._begin(user, origin), user.second, event="granted", user=user)
        finally:
            self._guard.leave(attempt)

    def code(self, cookie: str, code: str, origin: Origin) -> Answer:
        """Try the second factor, a code by time or a recovery code, of a session that waits for it."""
        waiting = self._find(cookie)
        if waiting is None or waiting.session.proven:
            return Answer(why="That took too long. Sign in once more.", event="expired")
        user = waiting.user
        attempt = self._entered(_CODE + user.name, origin)
        if attempt is None:
            return Answer(why=LATER, event="locked", user=user)
        try:
            with self._store.directory(write=True) as connection:
                right = self._proves(connection, user, code)
                if not right:
                    sessions.failed(connection, waiting.session.id)
                else:
                    sessions.end(connection, waiting.session.id, user.id)
            if not right:
                self._guard.failed(attempt, self._ticks())
                return Answer(cookie, code=True, why=WRONG_CODE, event="denied", user=user)
            for name in (user.name, _CODE + user.name):
                self._guard.succeeded(self._guard.attempt(name, origin.ip, self._ticks()), self._ticks())
            return Answer(self._begin(user, origin, proven=True), event="granted", user=user)
        finally:
            self._guard.leave(attempt)

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
        hash_ = chosen.hashed(password)
        with self._store.directory(write=True) as connection:
            if not users.use_link(connection, _digest(token)):
                return Answer(why="This link was used already.", event="expired")
            users.change(connection, user.id, password_hash=hash_)
            sessions.end_all(connection, user.id)
        return Answer(self._begin(user, origin), user.second, event="password set", user=user)

    def change_password(self, signed: Signed, old: str, new: str, origin: Origin) -> str:
        """Set another password; return why not, or ''. All other sessions of the user end."""
        user = signed.user
        attempt = self._entered(user.name, origin)
        if attempt is None:
            return LATER
        try:
            with self._store.directory() as connection:
                kept = users.kept_of(connection, user.name)
            if kept is None or not chosen.is_chosen(kept[1], old):
                self._guard.failed(attempt, self._ticks())
                return "The password until now is not right."
        finally:
            self._guard.leave(attempt)
        if why := chosen.unsuitable(new, user.name):
            return why
        hash_ = chosen.hashed(new)
        with self._store.directory(write=True) as connection:
            users.change(connection, user.id, password_hash=hash_)
            sessions.end_all(connection, user.id, but=signed.session.id)
        return ""

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

    def remove_second(self, signed: Signed, code: str, origin: Origin) -> str:
        """Remove the second factor by a code of it; return why not, or ''."""
        attempt = self._entered(_CODE + signed.user.name, origin)
        if attempt is None:
            return LATER
        try:
            with self._store.directory(write=True) as connection:
                if not self._proves(connection, signed.user, code):
                    self._guard.failed(attempt, self._ticks())
                    return WRONG_CODE
                users.set_totp(connection, signed.user.id, None, 0)
                sessions.end_all(connection, signed.user.id, but=signed.session.id)
            return ""
        finally:
            self._guard.leave(attempt)

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

    def _entered(self, name: str, origin: Origin) -> Attempt | None:
        """Return an attempt that is counted as under way; None for one that may not be made now."""
        attempt = self._guard.attempt(name, origin.ip, self._ticks())
        if attempt.locked or self._guard.enter(attempt, self._ticks()) != "begun":
            return None
        return attempt

    def _proves(self, connection: Connection, user: User, code: str) -> bool:
        sealed, last = users.totp_of(connection, user.id)
        if sealed is None:
            return False
        step = totp.step_of(totp.opened(self._keyring, sealed, user.id), code, self._clock(), last)
        if step:
            return users.count_step(connection, user.id, step)
        digest = totp.recovery_digest(self._keyring, code, user.id)
        return users.use_recovery(connection, user.id, digest)

    def _begin(self, user: User, origin: Origin, *, proven: bool = False) -> str:
        """Begin a session, and return its cookie."""
        cookie, now = secrets.token_urlsafe(_TOKEN), self._clock()
        proven = proven or not user.second
        ends_at = now + (LONGEST if proven else PROVING)
        with self._store.directory(write=True) as connection:
            sessions.begin(
                connection,
                _digest(cookie),
                user.id,
                now,
                ends_at,
                proven=proven,
                ip=origin.ip,
                agent=origin.agent,
            )
            if proven:
                users.change(connection, user.id, seen_at=now)
        return cookie

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
