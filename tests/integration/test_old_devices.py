"""A device that knows no TLS 1.2 is refused, until the setting lets it in; others get what they can do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from gatepost_stack.instance import HOST
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway


def spoken(gateway: Gateway, version: str) -> str:
    """Return the version of TLS that a client of one version gets, or an empty text."""
    server = ["-starttls", "smtp", "-connect", f"{HOST}:{gateway.port('submission')}"]
    command = ["openssl", "s_client", *server, version, "-cipher", "DEFAULT:@SECLEVEL=0"]
    done = subprocess.run(command, input="QUIT\r\n", capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"^New, (TLSv[0-9.]+), Cipher is [A-Z]", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def test_by_default_nothing_older_than_tls_1_2_is_spoken(gateway: Gateway) -> None:
    assert [spoken(gateway, version) for version in ("-tls1", "-tls1_1", "-tls1_2")] == ["", "", "TLSv1.2"]


def test_old_devices_are_let_in_by_a_setting(tmp_path: Path) -> None:
    with Stack(tmp_path, tables={"postfix": {"tls_oldest": "TLSv1"}}) as stack:
        gateway = Gateway(stack)
        assert [spoken(gateway, version) for version in ("-tls1", "-tls1_2")] == ["TLSv1.0", "TLSv1.2"]
