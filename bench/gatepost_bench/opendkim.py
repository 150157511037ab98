"""A private opendkim(8) that signs for example.test with an RSA key of 2048 bits, on a UNIX socket."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from gatepost_bench.ready import wait_for
from gatepost_core.keys.dkim_keys import generate

_CONFIGURATION = """\
Mode s
Domain example.test
Selector bench
KeyFile {base}/key.pem
RequireSafeKeys no
Canonicalization relaxed/relaxed
OversignHeaders From
InternalHosts 127.0.0.1
Socket local:{base}/socket
UMask 000
Background no
"""


@dataclass(frozen=True, slots=True)
class Signer:
    """A running opendkim."""

    socket: Path
    pid: int


@contextmanager
def signer() -> Iterator[Signer]:
    """Run opendkim. Raises RuntimeError when it is missing or does not start."""
    program = shutil.which("opendkim", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("opendkim is missing; run script/bootstrap test")
    with tempfile.TemporaryDirectory(prefix="gatepost-opendkim-", dir="/var/tmp") as folder:
        base = Path(folder)
        base.chmod(0o755)
        key = load_der_private_key(generate("rsa").private, None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (base / "key.pem").write_bytes(pem)
        (base / "opendkim.conf").write_text(_CONFIGURATION.format(base=base))
        server = subprocess.Popen([program, "-f", "-x", str(base / "opendkim.conf")])
        try:
            wait_for(base / "socket", server)
            yield Signer(base / "socket", server.pid)
        finally:
            server.terminate()
            server.wait()
