"""One connection of the policy protocol, sans-I/O.

| event | answer |
|---|---|
| a request | ``action=`` with DUNNO, or a code, an enhanced code and a text that ends in its reference |
| a request that breaks the protocol | close |
| a request while the store is unavailable | close without an answer (Postfix: default_action, 451) |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatepost_core.domain import Decision, Pass, StoreUnavailable
from gatepost_core.domain.decision.refusals import Refused
from gatepost_core.serving import Close, Output, Send
from gatepost_policy.protocol import Decoder, ProtocolError, Request, decode, encode
from gatepost_policy.questions import Questions

Report = Callable[[Request, Decision | None, str], None]
Refer = Callable[[Request, Refused], Refused]


class PolicySession:
    """The logic of one connection. ``report`` is told of each request, its decision (None: the store
    could not tell) and the reason; ``refer`` gives each refusal its reference."""

    def __init__(self, questions: Questions, report: Report, refer: Refer) -> None:
        self._decide = questions.decide
        self._report = report
        self._refer = refer
        self._decoder = Decoder()

    def start(self) -> Sequence[Output]:
        """Say nothing: Postfix speaks first."""
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return the answers to what has arrived; nothing that arrives can make it raise."""
        del now
        outputs: list[Output] = []
        request: Request = {}
        try:
            for raw in self._decoder.requests(data):
                request = decode(raw)
                decision = self._decide(request)
                if not isinstance(decision, Pass):
                    decision = self._refer(request, decision)
                self._report(request, decision, decision.reason)
                outputs.append(Send(encode(decision)))
        except ProtocolError as error:
            outputs.append(Close(f"protocol error: {error}"))
        except StoreUnavailable as error:
            self._report(request, None, str(error))
            outputs.append(Close(f"no answer: {error}", fault=True))
        return outputs
