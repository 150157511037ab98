"""``script/server --once``: one message through all of it, and what came out at the other end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatepost_core.domain import FeatureValues
from gatepost_stack import client, delivery
from gatepost_stack.instance import HOST
from gatepost_stack.process import StackError
from gatepost_stack.stack import USUAL_PORTS, Stack

WRAPPED_PORT = 2465


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, and how. ``port`` is one of the usual ports and names the role to use."""

    mail: client.Mail
    port: int
    mechanism: client.Mechanism


def run(stack: Stack, request: Request, features: FeatureValues) -> bytes:
    """Send the request's mail with a new credential and return the delivered message, LF line ends.

    Raises client.RefusedError with the server's reply, StackError when it is not delivered.
    """
    login = stack.provision.credential(features, label="script/server --once")
    server = client.Server(
        host=HOST,
        port=stack.ports[USUAL_PORTS.index(request.port)],
        tls="wrapped" if request.port == WRAPPED_PORT else "starttls",
        ca_file=stack.layout.ca_file,
        username=login.username,
        password=login.password,
        mechanism=request.mechanism,
    )
    queue_id = client.send(server, request.mail)
    delivery.wait_until_gone(stack.postfix.log, queue_id)
    return _delivered(stack.layout.delivered, queue_id)


def _delivered(maildir: Path, queue_id: str) -> bytes:
    # Postfix's own Received line names the queue id.
    mark = f" id {queue_id}".encode("ascii")
    for item in delivery.delivered(maildir):
        if mark in item.message:
            return item.message
    raise StackError(f"Postfix says that {queue_id} was delivered, but the sink has no such message")
