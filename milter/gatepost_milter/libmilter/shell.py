"""The pymilter shell: libmilter's callbacks, which only collect, and the answer at end of message.

Envelope, headers and body arrive without a reply (SMFIP_NR_*), so Postfix need not wait for
them; an exception there would leave Postfix waiting for minutes, so such a callback catches
everything, and the message ends in 451. What features do is done in threads that Python owns. A
message without ``{auth_authen}`` is none of ours and passes as it is. A dozen callbacks a message,
each by a thread whose caches are cold: the fewer Python functions each goes through, the better.

Edits go out in the order that libmilter demands: body, headers, envelope; then the answer. A message of a
credential in sandbox mode is recorded like any other, and then discarded (SMFIR_DISCARD): the client
reads 250, nothing is queued. So is one that all of its recipients have already (``submitted``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import Milter
import milter

from gatepost_core.domain import Defer, Mode, Reject, StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.spool import SpoolError
from gatepost_milter.editing.headers import AddHeader, Call, ChangeHeader
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.refusals import SPOOL_FAILED
from gatepost_milter.libmilter.service import Answer, Service
from gatepost_milter.submitted import Repeated
from gatepost_milter.transaction import FIELD, FIELDS_MOST, Transaction

_STORE_DOWN = Defer(
    451, "4.3.0", "The mail gateway's store is not available; try again later", "store unavailable"
)
_SPOOL_DOWN = "The mail gateway cannot record the message; try again later"
_INTERNAL = Defer(451, "4.3.0", "Internal error in the mail gateway; try again later", "internal error")
_DRAINING = Defer(451, "4.3.2", "The mail gateway is restarting; try again later", "draining")
_CROWDED = Defer(
    451,
    "4.3.1",
    "The mail gateway has too many large messages under way; try again later",
    "too many bytes in flight",
)
_REPLY_MOST = 450  # characters


# What Postfix is asked to leave out, and what it need not be answered (libmilter's smfi_register).
NOT_SENT = Milter.P_NOCONNECT | Milter.P_NOHELO | Milter.P_NODATA | Milter.P_NOEOH | Milter.P_NOUNKNOWN
NO_REPLY = Milter.P_NR_MAIL | Milter.P_NR_RCPT | Milter.P_NR_HDR | Milter.P_NR_BODY


class MilterSession(Milter.Base):
    """One SMTP session, as libmilter's callbacks see it. ``service`` is set before the first one."""

    service: Service

    def __init__(self) -> None:
        self.transaction: Transaction | None = None
        self.since: float | None = None
        self.address: str | None = None
        self.broken: BaseException | None = None
        self.collected = Milter.CONTINUE

    def negotiate(self, opts: list[int]) -> int:
        """Choose among the protocol's options that Postfix offers (SMFIC_OPTNEG)."""
        self._actions, offered, _, _ = opts
        wanted = NOT_SENT | Milter.P_HDR_LEADSPC
        # Header values come and go with their white space and folding as it is (SMFIP_HDR_LEADSPC).
        if offered & NO_REPLY == NO_REPLY:
            wanted |= NO_REPLY
            self.collected = Milter.NOREPLY
        opts[1:] = [offered & wanted, 0, 0]
        self._protocol = opts[1]
        return Milter.CONTINUE

    # -- collecting: no reply is awaited, so nothing may be raised -----------------------------

    def envfrom(self, sender: bytes, *_parameters: bytes) -> int:
        """MAIL FROM: begin a transaction, unless nobody has logged in."""
        try:
            self._forget()
            username = self._ctx.getsymval("{auth_authen}")
            if username:
                if self.since is None:  # a session's login was before its first transaction
                    self.since = time.time()
                    self.address = self._ctx.getsymval("{client_addr}")
                self.transaction = Transaction(username, sender, self.since, self.address)
        except BaseException as error:  # noqa: BLE001 - see the module's text
            self.broken = error
        return self.collected

    def envrcpt(self, recipient: bytes, *_parameters: bytes) -> int:
        """RCPT TO."""
        try:
            if self.transaction is not None:
                self.transaction.add_recipient(recipient)
        except BaseException as error:  # noqa: BLE001 - see the module's text
            self.broken = error
        return self.collected

    def body(self, chunk: bytes) -> int:
        """One piece of the body."""
        try:
            transaction = self.transaction
            if transaction is not None:
                transaction.room -= len(chunk)
                if transaction.room >= 0 or self.service.holdings.more(transaction):
                    transaction.add_body(chunk)
        except BaseException as error:  # noqa: BLE001 - see the module's text
            self.broken = error
        return self.collected

    # -- answering -----------------------------------------------------------------------------

    def eom(self) -> int:
        """End of message: decide, record, edit, answer."""
        began = time.monotonic()
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return self._without_login()
        queue_id = self._ctx.getsymval("i") or ""
        verdict: Answer = _DRAINING
        go = self.service.begin()
        try:
            if go:
                verdict = self._carried_out(transaction, queue_id)
            return self._answer(transaction, queue_id, verdict, time.monotonic() - began)
        finally:
            self.service.holdings.give_back(transaction)
            if go:
                self.service.end()

    def _without_login(self) -> int:
        """Let a message of nobody's pass, unless it is not known whose it is."""
        if self.broken is None:
            return Milter.ACCEPT
        log.error("internal error", exc_info=self.broken)
        return Milter.TEMPFAIL

    def _carried_out(self, transaction: Transaction, queue_id: str) -> Answer:
        """Return the verdict, with its edits made; whatever goes wrong becomes a 451."""
        try:
            self._intact()
            if transaction.crowded:
                return _CROWDED
            verdict = self.service.verdict(transaction, queue_id)
            if isinstance(verdict, Accepted) and verdict.record.mode is not Mode.SANDBOX:
                self._edit(verdict)
        except SpoolError as error:
            return Defer(451, "4.3.0", _SPOOL_DOWN, f"{SPOOL_FAILED}{error}")
        except (StoreUnavailable, TimeoutError) as error:
            return Defer(451, "4.3.0", _STORE_DOWN.text, f"store: {error}")
        except Exception as error:  # noqa: BLE001 - see the module's text
            log.error("internal error", queue_id=queue_id, exc_info=error)
            return Defer(451, "4.3.0", _INTERNAL.text, f"internal error: {error!r}")
        return verdict

    def _intact(self) -> None:
        """Raise what went wrong while the message was collected."""
        if self.broken is not None:
            raise self.broken

    def abort(self) -> int:
        """Forget a transaction that was given up."""
        self._forget()
        return Milter.CONTINUE

    def close(self) -> int:
        """Forget the session."""
        self._forget()
        return Milter.CONTINUE

    def _forget(self) -> None:
        transaction, self.transaction = self.transaction, None
        self.broken = None
        self.service.holdings.give_back(transaction)

    def _edit(self, accepted: Accepted) -> None:
        try:
            self._apply(accepted)
        except BaseException:
            self.service.undo(accepted)
            raise

    def _apply(self, accepted: Accepted) -> None:
        plan = accepted.plan
        if plan.body is not None:
            self.replacebody(plan.body)
        edit_header(self, accepted.header_calls)
        if plan.sender is not None:
            self.chgfrom(f"<{plan.sender}>")
        for recipient in (*accepted.suppressed, *accepted.known):
            self.delrcpt(f"<{recipient}>")
        if accepted.held:
            self.quarantine(accepted.held.reason)  # Postfix: into the hold queue, with these edits

    def _answer(self, transaction: Transaction, queue_id: str, verdict: Answer, seconds: float) -> int:
        if isinstance(verdict, Reject | Defer):
            verdict = self.service.refer(transaction, queue_id, verdict)
        self.service.report(transaction, queue_id, verdict, seconds)
        if isinstance(verdict, Accepted):
            return Milter.DISCARD if verdict.record.mode is Mode.SANDBOX else Milter.ACCEPT
        if isinstance(verdict, Repeated):
            return Milter.DISCARD
        self.setreply(str(verdict.code), verdict.enhanced, reply_text(verdict.text))
        return Milter.REJECT if isinstance(verdict, Reject) else Milter.TEMPFAIL


def edit_header(session: Milter.Base, calls: Iterable[Call]) -> None:
    """Make libmilter's calls for header fields. Raises UnicodeError at what the binding does not take."""
    for call in calls:
        name = call.name.decode("ascii")
        if isinstance(call, ChangeHeader):
            session.chgheader(name, call.index, None if call.value is None else call.value.decode("utf-8"))
        else:
            session.addheader(name, call.value.decode("utf-8"), -1 if isinstance(call, AddHeader) else 0)


def reply_text(text: str) -> str:
    """Return a reply as libmilter takes it: one line of printable ASCII, not too long (MAXREPLYLEN is 980).

    It refuses any other, and the client would hear 451 for a refusal. To it a lone "%" begins a format.
    """
    shown = text if len(text) <= _REPLY_MOST else text[:_REPLY_MOST] + "..."
    if not (shown.isascii() and shown.isprintable()):
        shown = shown.encode("unicode_escape").decode("ascii")
    return shown[: 2 * _REPLY_MOST].replace("%", "%%")


def _header(ctx: milter.milterContext, name: str, value: bytes) -> int:
    """One header field: the callback that comes most often, in one Python function."""
    session: MilterSession = ctx.getpriv()
    try:
        transaction = session.transaction
        if transaction is not None:
            raw = transaction.raw
            transaction.room -= len(value) + FIELD
            if transaction.room < 0 and not session.service.holdings.more(transaction):
                pass
            elif len(raw) < FIELDS_MOST:
                raw.append((name, value))
            else:
                transaction.add_surplus(name, value)
    except BaseException as error:  # noqa: BLE001 - see the module's text
        session.broken = error
    return session.collected


def register(name: str, session: Callable[[], MilterSession] = MilterSession) -> None:
    """Tell libmilter our callbacks, and what makes a session. In the parent, once."""

    def negotiate(ctx: milter.milterContext, options: list[int]) -> int:
        made = session()
        made._setctx(ctx)
        return made.negotiate(options)

    edits = Milter.CHGBODY | Milter.CHGHDRS | Milter.ADDHDRS | Milter.CHGFROM | Milter.DELRCPT
    milter.set_flags(edits | Milter.QUARANTINE)
    milter.set_exception_policy(Milter.TEMPFAIL)
    milter.set_envfrom_callback(lambda ctx, *values: ctx.getpriv().envfrom(*values))
    milter.set_envrcpt_callback(lambda ctx, *values: ctx.getpriv().envrcpt(*values))
    milter.set_header_callback(_header)
    milter.set_body_callback(lambda ctx, chunk: ctx.getpriv().body(chunk))
    milter.set_eom_callback(lambda ctx: ctx.getpriv().eom())
    milter.set_abort_callback(lambda ctx: ctx.getpriv().abort())
    milter.set_close_callback(Milter.close_callback)
    milter.register(name, negotiate=negotiate)
