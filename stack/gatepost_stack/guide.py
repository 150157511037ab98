"""What ``script/server`` prints once it is ready: the credential, and commands to paste."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from gatepost_stack.instance import HOST
from gatepost_stack.layout import Layout
from gatepost_stack.provision import DOMAIN, ClientLogin

_ROLES = (
    "as port 25: STARTTLS, submission after a login, bounces without",
    "as ports 587 and 2525: STARTTLS required",
    "as port 465: TLS from the first byte",
)


def show(
    console: Console,
    layout: Layout,
    ports: tuple[int, int, int],
    login: ClientLogin,
    web: tuple[str, str, str],
    user: ClientLogin,
) -> None:
    """Print how to use a stack that is ready; ``web``: URLs of tracker and dashboard, and an API token.

    ``user`` signs in to the dashboard.
    """
    tracker_url, dashboard_url, token = web
    rows = [(f"{HOST}:{port}", role) for port, role in zip(ports, _ROLES, strict=True)]
    rows += [
        (tracker_url, "where links, remote and hosted images lead"),
        (dashboard_url, f"the dashboard: sign in as {user.username}, password {user.password}"),
        (f"{dashboard_url}api/v1/", "the API"),
        ("API token", token),
        ("user name", login.username),
        ("password", login.password),
        ("authority", _short(layout.ca_file)),
        ("delivered", f"{_short(layout.delivered)}/new, a file a message"),
        ("for programs", _short(layout.server_file)),
    ]
    console.print("[bold]Gatepost is ready.[/bold]")
    for name, value in rows:
        console.print(f"[cyan]{name:<16}[/cyan] {value}", soft_wrap=True, highlight=False)
    commands = _commands(layout, ports, login)
    commands["Ask the API"] = [f"curl -H 'Authorization: Bearer {token}' {dashboard_url}api/v1/credentials"]
    for title, lines in commands.items():
        console.print(f"\n[bold]{title}[/bold]")
        for line in lines:
            # Lines to paste: never wrapped, never coloured.
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    console.print("\nCtrl-C stops all of it. The log follows on standard error.")


def _commands(layout: Layout, ports: tuple[int, int, int], login: ClientLogin) -> dict[str, list[str]]:
    swaks = (
        f"--auth-user {login.username} --auth-password {login.password} "
        f"--from alice@{DOMAIN} --to bob@example.org --tls-verify --tls-ca-path {_short(layout.ca_file)}"
    )
    curl = (
        f"--cacert {_short(layout.ca_file)} --user {login.username}:{login.password} "
        f"--mail-from alice@{DOMAIN} --mail-rcpt bob@example.org --upload-file message.eml"
    )
    first, second, third = ports
    return {
        "Send with swaks": [
            f"swaks --server {HOST} --port {first} --tls --auth PLAIN {swaks}",
            f"swaks --server {HOST} --port {second} --tls --auth LOGIN {swaks}",
            f"swaks --server {HOST} --port {third} --tls-on-connect --auth PLAIN {swaks}",
        ],
        "Send a file with curl": [
            f"curl --url smtp://{HOST}:{second} --ssl-reqd {curl}",
            f"curl --url smtps://{HOST}:{third} {curl}",
        ],
        "Look and change with the gatepost command": [
            "script/gatepost message list",
            f"script/gatepost credential disable {login.username}",
            "script/gatepost doctor",
        ],
    }


def _short(path: Path) -> str:
    """Return a path relative to the working directory when it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
