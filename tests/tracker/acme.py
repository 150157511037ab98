"""Caddy as the role web configures it for an ACME authority (RFC 8555), in a network of its own.

An authority asks at ports 80 and 443 of the name itself. So this runs by ``unshare --net --mount``, where
both are free and the name leads here: the tracker, an authority (another Caddy), and the Caddy in front.
``python -m tests.tracker.acme FOLDER`` prints what came of it as JSON.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

from tests.tracker.test_clicks import HOST, link, running
from tests.tracker.test_in_front import asked, free_port, program, rendered

AUTHORITY = "acme.example.test"
UNKNOWN = "www.example.test"
CADDY = ("/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config")


def prepare(folder: Path) -> None:
    """Have a loopback interface, and the names lead to it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {HOST} {AUTHORITY} {UNKNOWN}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def answer(tls: Path, target: str, name: str) -> str:
    """Return the first line of the answer and where it leads, or what is wrong with the certificate."""
    try:
        lines = asked(443, tls, target, name).decode("latin-1").split("\r\n")
    except (ssl.SSLError, OSError) as error:
        return type(error).__name__
    location = [line for line in lines if line.lower().startswith("location:")]
    return " ".join([lines[0], *location])


def main(folder: Path) -> None:
    """Ask for a link by the click domain's name, and by one that the tracker does not know."""
    prepare(folder)
    for part in ("tracker", "authority", "front"):
        (folder / part).mkdir()
    port = free_port()
    (folder / "authority/Caddyfile").write_text(
        "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
        f"\thttp_port {free_port()}\n}}\n"
        f"https://{AUTHORITY}:{port} {{\n\ttls internal\n\tacme_server\n}}\n"
    )
    root = folder / "authority/caddy/pki/authorities/local/root.crt"
    text = rendered(
        "Caddyfile.j2",
        web_tls_mode="acme",
        web_acme_email="hostmaster@example.test",
        web_acme_server=f"https://{AUTHORITY}:{port}/acme/local/directory",
        web_acme_ca_file=str(root),
        web_tls_folder=str(folder),
        web_tracker="TRACKER",
    )
    for tracker in running(folder / "tracker", "tracker.proxies=127.0.0.0/8"):
        front = folder / "front/Caddyfile"
        front.write_text(text.replace("TRACKER", f"127.0.0.1:{tracker.port}"))
        with program(folder / "authority", port, *CADDY, str(folder / "authority/Caddyfile")):
            (folder / "authority.pem").write_bytes(root.read_bytes())
            with program(folder / "front", 443, *CADDY, str(front)):
                target = link(tracker.store)
                answers = {name: answer(root, target, name) for name in (HOST, UNKNOWN)}
        issued = sorted(file.stem for file in (folder / "front/caddy/certificates").rglob("*.crt"))
        events = [detail["url"] for _, _, detail in tracker.events()]
        print(json.dumps({"answers": answers, "issued": issued, "events": events}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
