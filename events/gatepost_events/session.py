"""One connection of the order socket, sans-I/O.

| event | answer |
|---|---|
| a peer that may give no orders | ``refused`` with the reason, then close |
| a credential's order | what making it came to, from a thread |
| ping | ``here`` |
| what is no order | ``refused`` with what is wrong with it, then close |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatepost_core.domain.orders import (
    Answer,
    CredentialOrder,
    Lines,
    Order,
    OrderError,
    Result,
    read_order,
    write_answer,
)
from gatepost_core.serving import Close, Later, Output, Send

Make = Callable[[CredentialOrder], Answer]
Report = Callable[[CredentialOrder, Answer], object]


class OrderSession:
    """The logic of one connection. ``make`` blocks; ``refusal`` says why this peer may give no orders."""

    def __init__(self, make: Make, report: Report, refusal: str = "") -> None:
        self._make = make
        self._report = report
        self._refusal = refusal
        self._lines = Lines()

    def start(self) -> Sequence[Output]:
        """Say nothing, unless the peer is refused: who gives orders speaks first."""
        return _refused(self._refusal) if self._refusal else ()

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return the answers to what has arrived; nothing that arrives can make it raise."""
        del now
        outputs: list[Output] = []
        try:
            outputs.extend(self._carried_out(read_order(line)) for line in self._lines.lines(data))
        except OrderError as error:
            outputs.extend(_refused(str(error)))
        return outputs

    def _carried_out(self, order: Order) -> Output:
        if isinstance(order, CredentialOrder):
            return Later(lambda: self._made(order))
        return Send(write_answer(Answer(Result.HERE)))

    def _made(self, order: CredentialOrder) -> Sequence[Send]:
        answer = self._make(order)
        self._report(order, answer)
        return (Send(write_answer(answer)),)


def _refused(reason: str) -> Sequence[Output]:
    return Send(write_answer(Answer(Result.REFUSED, reason))), Close(f"order refused: {reason}")
