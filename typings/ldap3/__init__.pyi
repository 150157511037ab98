"""ldap3, as far as Gatepost uses it (2.9.1)."""

import socket
from collections.abc import Sequence
from typing import Any, Literal

BASE: Literal["BASE"]
NONE: Literal["NO_INFO"]
SIMPLE: Literal["SIMPLE"]
SUBTREE: Literal["SUBTREE"]
SYNC: Literal["SYNC"]

class Tls:
    def __init__(self, *, validate: int = ...) -> None: ...

class Server:
    def __init__(
        self,
        host: str,
        port: int | None = ...,
        use_ssl: bool = ...,
        *,
        tls: Tls | None = ...,
        get_info: str = ...,
        connect_timeout: float | None = ...,
    ) -> None: ...

class Connection:
    socket: socket.socket | None
    user: str | None
    password: str | bytes | None
    result: dict[str, Any]
    response: list[dict[str, Any]] | None
    def __init__(
        self,
        server: Server,
        *,
        client_strategy: str = ...,
        auto_referrals: bool = ...,
        check_names: bool = ...,
        receive_timeout: int | None = ...,
        raise_exceptions: bool = ...,
        auto_encode: bool = ...,
    ) -> None: ...
    def open(self, read_server_info: bool = ...) -> None: ...
    def start_tls(self, read_server_info: bool = ...) -> bool: ...
    def rebind(
        self, user: str, password: str | bytes, authentication: str, *, read_server_info: bool = ...
    ) -> bool: ...
    def search(
        self, base: str, query: str, scope: str, *, attributes: Sequence[str] = ..., size_limit: int = ...
    ) -> bool: ...
