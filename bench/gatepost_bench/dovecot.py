"""A private Dovecot that is nothing but its auth service: the reference of benchmarks, the judge of tests.

Dovecot 2.4 (Debian 13) reads another configuration language than 2.3 (Debian 12): both are written here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gatepost_bench.ready import wait_for

_STOP_SECONDS = 30
_COMMON = """\
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols =
ssl = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_chars =
default_internal_user = dovecot
default_login_user = dovenull
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
"""
_NO_PENALTY = """\
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
_UP_TO_2_3 = """\
auth_username_format = %u
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
"""
_FROM_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_username_format = %{{user}}
auth_allow_cleartext = yes
passdb passwd-file {{
  passwd_file_path = {base}/users
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = /nonexistent
  }}
}}
"""


@contextmanager
def running(users: Mapping[str, str], mechanisms: str, *, penalty: bool = True) -> Iterator[tuple[Path, int]]:
    """Run it and yield its socket and process id.

    ``users`` maps names to passwords with their scheme (``{PLAIN}secret``). Raises RuntimeError when Dovecot
    is not installed or does not start. Without ``penalty`` it delays nobody who guessed before.
    """
    program = shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("dovecot is missing; run script/bootstrap test")
    with tempfile.TemporaryDirectory(prefix="gatepost-dovecot-", dir="/var/tmp") as folder:
        base = Path(folder)
        base.chmod(0o755)
        (base / "users").write_text(
            "".join(f"{name}:{password}\n" for name, password in users.items()), encoding="utf-8"
        )
        file = base / "dovecot.conf"
        file.write_text(_configuration(program, base, mechanisms, penalty=penalty))
        server = subprocess.Popen([program, "-F", "-c", str(file)])
        try:
            path = base / "run/auth-client"
            wait_for(path, server)
            yield path, server.pid
        finally:
            server.terminate()
            server.wait(_STOP_SECONDS)


def _configuration(program: str, base: Path, mechanisms: str, *, penalty: bool) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    version = tuple(int(part) for part in said.split(" ")[0].split(".")[:2])
    # The first line of a 2.4 file has to be its version.
    new = version >= (2, 4)
    text = _FROM_2_4 + _COMMON if new else _UP_TO_2_3 + _COMMON
    return (text if penalty else text + _NO_PENALTY).format(base=base, mechanisms=mechanisms)
