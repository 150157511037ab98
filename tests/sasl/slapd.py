"""Real OpenLDAP servers for tests: started on a free port, stopped, hung by SIGSTOP, with any certificate."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.sasl.pki import Authority
from tests.waiting import until

BASE = "dc=example,dc=org"
READER = f"cn=reader,{BASE}"
READER_PASSWORD = "let me read"
PASSWORD = "correct horse"
_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile {tls}/ca.pem
TLSCertificateFile {tls}/{certificate}.pem
TLSCertificateKeyFile {tls}/{certificate}.key
security simple_bind={strength}
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw admin
directory {folder}/db
overlay memberof
access to attrs=userPassword by anonymous auth by self write
access to * by dn.exact="cn=reader,dc=example,dc=org" read by self read by anonymous auth
"""
_PEOPLE = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups
"""
_PERSON = """
dn: uid={dn},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
mail: {uid}@example.org
userPassword: {password}
"""
_GROUP = """
dn: cn=marketing,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: marketing
member: uid=lena,ou=people,dc=example,dc=org
"""
USERS = ("lena", "lars", "lutz", "löwe", "odd (name)*", "with, comma")


def people() -> str:
    """Return the directory as LDIF: users with one password, one of them in the group marketing."""
    persons = "".join(_PERSON.format(uid=uid, dn=uid.replace(",", "\\,"), password=PASSWORD) for uid in USERS)
    nobody = _PERSON.format(uid="nopw", dn="nopw", password="x").replace("userPassword: x\n", "")
    return _PEOPLE + persons + nobody + _GROUP


@dataclass
class Slapd:
    """One server. ``port`` is plain with StartTLS, ``tls_port`` is ldaps."""

    folder: Path
    tls: Path
    certificate: str = "server"
    strength: int = 0
    port: int = field(init=False)
    tls_port: int = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "db").mkdir()
        self.port, self.tls_port = free_port(), free_port()
        self.configure(self.certificate)
        load = ["slapadd", "-f", str(self.folder / "slapd.conf")]
        subprocess.run(load, input=people().encode(), check=True, capture_output=True)

    @property
    def uri(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def ldaps(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    def configure(self, certificate: str) -> None:
        text = _CONFIG.format(
            folder=self.folder, tls=self.tls, certificate=certificate, strength=self.strength
        )
        (self.folder / "slapd.conf").write_text(text)

    def start(self) -> None:
        """Start and wait until both ports accept."""
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        command = ["slapd", "-d", "0", "-f", str(self.folder / "slapd.conf"), "-h", urls]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for port in (self.port, self.tls_port):
            until(partial(is_open, port), f"somebody who listens on port {port}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def hang(self) -> None:
        """Have it accept connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self, certificate: str | None = None) -> None:
        self.stop()
        self.configure(certificate or self.certificate)
        self.start()

    def modify(self, ldif: str) -> None:
        """Change the directory as its administrator."""
        admin = ["-x", "-D", f"cn=admin,{BASE}", "-w", "admin", "-H", f"ldap://127.0.0.1:{self.port}"]
        subprocess.run(["ldapmodify", *admin], input=ldif.encode(), check=True, capture_output=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(folder: Path, authority: Authority, certificate: str = "server") -> Iterator[Slapd]:
    """Run a server for as long as the block lasts."""
    server = Slapd(folder, authority.folder, certificate)
    try:
        server.start()
        yield server
    finally:
        server.stop()
