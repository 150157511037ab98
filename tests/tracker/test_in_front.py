"""Behind nginx and Caddy, as the role web configures them, and behind HAProxy's PROXY protocol."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.ansible.certificates import Authority
from tests.tracker.test_clicks import HOST, Tracker, link, running
from tests.waiting import until

ROLE = Path(__file__).parents[2] / "ansible/roles/web"
URL = "https://www.example.org/a/b?c=%20d&e=1"


def rendered(template: str, **variables: Any) -> str:
    """Return a template of the role as Ansible renders it."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    known = {"web_mark": "# Test.", "web_tls_folder": "/nowhere", "web_proxies": [], "web_acme_server": ""}
    text = (ROLE / "templates" / template).read_text(encoding="utf-8")
    return environment.from_string(text).render({**known, **variables})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def program(folder: Path, port: int, *command: str) -> Iterator[None]:
    """Run a server until the block ends; it listens when that begins."""
    places = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **places})

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listens, log.read_text, 30)
        yield
    finally:
        process.terminate()
        process.wait(30)


def asked(port: int, authority: Path | None, target: str, name: str = HOST, **fields: str) -> bytes:
    """Return the answer to a request, over TLS where there is an authority. Raises OSError."""
    more = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in fields.items())
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Mail 1.0\r\n{more}Connection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        if authority is not None:
            context = ssl.create_default_context(cafile=str(authority))
            with context.wrap_socket(client, server_hostname=name) as wrapped:
                return whole(wrapped, request)
        return whole(client, request)


def whole(client: socket.socket, request: str) -> bytes:
    client.sendall(request.encode())
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    return answer


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Tracker]:
    (tmp_path / "tracker").mkdir()
    yield from running(tmp_path / "tracker", "tracker.proxies=127.0.0.0/8")


@contextmanager
def nginx(folder: Path, tracker: Tracker, *names: str) -> Iterator[tuple[int, int, Path]]:
    """nginx with the role's site; its ports for TLS and without, and the authority of its certificate."""
    authority = Authority()
    key, certificate = authority.issue(names[0])
    for file, text in (("ca.pem", authority.pem), ("key.pem", key), ("chain.pem", certificate)):
        (folder / file).write_text(text)
    one = {"names": names, "cert_file": folder / "chain.pem", "key_file": folder / "key.pem", "remote": True}
    site = rendered(
        "nginx.conf.j2",
        web_tracker=f"127.0.0.1:{tracker.port}",
        web_certificates=[one],
        web_ipv6={"stat": {"exists": False}},
    )
    tls, plain = free_port(), free_port()
    site = site.replace("listen 443 ", f"listen 127.0.0.1:{tls} ").replace(
        "listen 80;", f"listen 127.0.0.1:{plain};"
    )
    (folder / "site.conf").write_text(site)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; user root; pid {folder}/pid; worker_processes 1; events {{}}\n"
        f"http {{ {places} include {folder}/site.conf; }}\n"
    )
    with program(folder, tls, "/usr/sbin/nginx", "-c", str(main), "-e", "stderr"):
        yield tls, plain, folder / "ca.pem"


def test_nginx_hands_on_what_was_asked_and_says_who(tmp_path: Path, behind: Tracker) -> None:
    with nginx(tmp_path, behind, HOST) as (tls, plain, authority):
        answer = asked(tls, authority, link(behind.store), X_Forwarded_For="192.0.2.1")
        assert answer.startswith(b"HTTP/1.1 302")
        assert f"Location: {URL}\r\n".encode() in answer
        odd = "//x/%2e/a%2Fb?q=%zz&r=/../"
        answer = asked(tls, authority, link(behind.store, odd))
        assert f"Location: https://www.example.org{odd}\r\n".encode() in answer
        assert b" 404 " in asked(tls, authority, f"/ask?domain={HOST}").partition(b"\r\n")[0]
        moved = asked(plain, None, link(behind.store))
        assert f"Location: https://{HOST}{link(behind.store)}\r\n".encode() in moved
        long = f"/x?{'y' * 6_000}"
        assert asked(tls, authority, link(behind.store, long)).startswith(b"HTTP/1.1 302")
    # What a client says of itself counts for nothing.
    assert {detail["ip"] for _, _, detail in behind.events()} == {"127.0.0.1"}
    assert len(behind.events()) == 3


def test_caddy_gets_certificates_for_click_domains_and_for_no_other_name(
    tmp_path: Path, behind: Tracker
) -> None:
    tls = free_port()
    text = rendered("Caddyfile.j2", web_tracker=f"127.0.0.1:{behind.port}", web_tls_mode="internal")
    own = f"{{\n\tadmin off\n\thttp_port {free_port()}\n\thttps_port {tls}\n"
    file = tmp_path / "Caddyfile"
    file.write_text(text.replace("{\n", own, 1))
    authority = tmp_path / "caddy/pki/authorities/local/root.crt"
    with program(tmp_path, tls, "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", str(file)):
        answer = asked(tls, authority, link(behind.store), X_Forwarded_For="192.0.2.1")
        assert answer.startswith(b"HTTP/1.1 302")
        assert f"Location: {URL}\r\n".encode() in answer
        with pytest.raises(ssl.SSLError):
            asked(tls, authority, link(behind.store), name="www.example.org")
        assert b" 404 " in asked(tls, authority, f"/ask?domain={HOST}").partition(b"\r\n")[0]
    ((_, _, detail),) = behind.events()
    assert detail["ip"] == "127.0.0.1"


def test_caddy_is_told_of_an_authority_and_of_load_balancers_in_front(tmp_path: Path) -> None:
    text = rendered(
        "Caddyfile.j2",
        web_tracker="127.0.0.1:2580",
        web_tls_mode="acme",
        web_acme_email="hostmaster@example.org",
        web_acme_server="https://acme.example.org/directory",
        web_acme_ca_file="",
        web_proxies=["192.0.2.0/24"],
    )
    file = tmp_path / "Caddyfile"
    file.write_text(text)
    command = ["/usr/bin/caddy", "adapt", "--adapter", "caddyfile", "--config", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    for word in ("https://acme.example.org/directory", "hostmaster@example.org", "192.0.2.0/24", "on_demand"):
        assert word in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_caddy_gets_a_certificate_from_an_acme_authority_for_a_click_domain_and_no_other_name(
    tmp_path: Path,
) -> None:
    apart = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.tracker.acme", str(tmp_path)]
    done = subprocess.run(
        apart, cwd=ROLE.parents[2], capture_output=True, text=True, check=False, timeout=120
    )
    logs = "".join(file.read_text() for file in tmp_path.glob("*/server.log"))
    assert done.returncode == 0, f"{done.stderr}\n{logs}"
    came = json.loads(done.stdout)
    assert came["answers"][HOST] == f"HTTP/1.1 302 Found Location: {URL}", logs
    assert came["answers"]["www.example.test"].startswith("SSL"), logs
    assert (came["issued"], came["events"]) == ([HOST], [URL])


@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2"])
def test_haproxy_says_who_asked_by_the_proxy_protocol(tmp_path: Path, how: str) -> None:
    (tmp_path / "tracker").mkdir()
    port, file = free_port(), tmp_path / "haproxy.cfg"
    for tracker in running(tmp_path / "tracker", "tracker.proxy_protocol=true"):
        file.write_text(
            "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
            f"listen links\n    bind 127.0.0.1:{port}\n    server tracker 127.0.0.1:{tracker.port} {how}\n"
        )
        request = f"GET {link(tracker.store)} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        with (
            program(tmp_path, port, "/usr/sbin/haproxy", "-db", "-f", str(file)),
            socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.9", 0)) as client,
        ):
            assert whole(client, request).startswith(b"HTTP/1.1 302")
        assert [detail["ip"] for _, _, detail in tracker.events()] == ["127.0.0.9"]
