"""pymilter's Python layer, as far as Gatepost uses it (Milter/__init__.py of pymilter 1.0.5)."""

from typing import Any

from milter import milterContext

ACCEPT: int
CONTINUE: int
DISCARD: int
REJECT: int
TEMPFAIL: int
ADDHDRS: int
CHGBODY: int
CHGFROM: int
CHGHDRS: int
DELRCPT: int
QUARANTINE: int
NOREPLY: int
P_HDR_LEADSPC: int
P_NOCONNECT: int
P_NOHELO: int
P_NODATA: int
P_NOEOH: int
P_NOUNKNOWN: int
P_NR_MAIL: int
P_NR_RCPT: int
P_NR_HDR: int
P_NR_BODY: int

class Base:
    _ctx: milterContext
    _actions: int
    _protocol: int
    def _setctx(self, ctx: milterContext | None) -> None: ...
    def negotiate(self, opts: list[int]) -> int: ...
    def getsymval(self, sym: str) -> str | None: ...
    def setreply(self, rcode: str, xcode: str | None = ..., msg: str | None = ..., *ml: str) -> None: ...
    def chgheader(self, field: str, idx: int, value: str | None) -> None: ...
    def addheader(self, field: str, value: str, idx: int = ...) -> None: ...
    def chgfrom(self, sender: str, params: str | None = ...) -> None: ...
    def delrcpt(self, rcpt: str) -> None: ...
    def quarantine(self, reason: str) -> None: ...
    def replacebody(self, body: bytes) -> None: ...

def close_callback(ctx: milterContext) -> Any: ...
