"""A server made by hand becomes a smart host client: only mail to the world goes through the gateway."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack.provision import DOMAIN, ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient

from .conftest import House, Run
from .handmade import LOGIN, NAME, Elsewhere, HandMade

pytestmark = pytest.mark.integration

Shared = Callable[[str], Any]
PAGE = (Path(__file__).parents[2] / "docs/deploy/smart-host.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Stack(tmp_path_factory.mktemp("gateway")) as stack:
        yield Gateway(stack)


class Client:
    """What the role does to a server, and takes back."""

    def __init__(
        self, gateway: Gateway, run: Run, shared: Shared, server: HandMade, login: ClientLogin
    ) -> None:
        self.gateway, self.run, self.shared, self.server = gateway, run, shared, server
        self.hop = f"[localhost]:{gateway.port('submission')}"
        self.login = login
        self.places = {"config_directory": str(server.place.postfix), "state_file": str(server.state)}

    def configure(self, **values: Any) -> dict[str, Any]:
        """Write the login and tables, set parameters and the service, reload."""
        server = self.server
        found = server.command("postconf", "sender_dependent_relayhost_maps", "smtp_generic_maps")
        given = {
            "hop": self.hop,
            "folder": str(server.tables),
            "ca_file": self.gateway.ca_file,
            "found": found,
        }
        wanted = self.shared("postfix_smarthost").smarthost({**given, **values})
        key = values.get("hop", self.hop)
        (server.tables / "login").write_text(f"{key} {self.login.username}:{self.login.password}\n")
        for table in wanted["tables"]:
            (server.tables / table["name"]).write_text(table["text"])
        rows = {"parameters": wanted["parameters"], "services": wanted["services"]}
        result = self.run("gatepost_postconf", **rows, **self.places)
        assert "names" in result, result
        server.reload()
        return result

    def undo(self) -> None:
        self.run("gatepost_postconf", state="absent", **self.places)
        self.server.reload()

    def test_message(self, recipient: str) -> dict[str, Any]:
        """Send the play's test message."""
        port = self.gateway.port("submission")
        given = {"recipient": recipient, "relay": "localhost", "port": port, "seconds": 30}
        return self.run(
            "gatepost_test_message", environ={"MAIL_CONFIG": str(self.server.place.postfix)}, **given
        )


@pytest.fixture
def client(
    gateway: Gateway, run: Run, shared: Shared, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Client]:
    """A running server; `param`: lines for its main.cf, and the senders that its credential is held to."""
    main, senders = getattr(request, "param", ("", ()))
    login = gateway.stack.provision.credential(senders=senders)
    with HandMade(tmp_path / "server", main) as server:
        yield Client(gateway, run, shared, server, login)


def test_other_relays_routes_logins_and_the_mailbox_stay_and_all_else_goes_through_the_gateway(
    gateway: Gateway, run: Run, shared: Shared, tmp_path: Path
) -> None:
    with ExitStack() as exits:
        inner, other, sister = Elsewhere(), Elsewhere(login=True), Elsewhere()
        hops = [exits.enter_context(one.running()) for one in (inner, other, sister)]
        main = (
            f"transport_maps = inline:{{ inside.test=smtp:{hops[0]} }}\n"
            f"relay_domains = sister.test\nrelay_transport = relay:{hops[2]}\n"
            f"sender_dependent_relayhost_maps = inline:{{@other.test={hops[1]}, quiet@other.test=DUNNO}}\n"
            f"smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\n"
            f"smtp_sasl_password_maps = inline:{{{{{hops[1]} = {LOGIN[0]}:{LOGIN[1]}}}}}\n"
            "smtp_generic_maps = inline:{old@house.test=new@house.test}\n"
            "smtp_fallback_relay = [127.0.0.1]:9\n"
        )
        server = exits.enter_context(HandMade(tmp_path / "server", main))
        client = Client(gateway, run, shared, server, gateway.stack.provision.credential())
        for state in ("with", "undone"):
            if state == "with":
                client.configure(generic={"cron@house.test": "cron@example.test"})
                assert client.run("gatepost_postconf", state="checked", **client.places)
            else:
                client.undo()
                assert server.files == server.before
            server.send(f"{state}@inside.test")
            inner.got(f"{state}@inside.test")
            server.send(f"{state}@sister.test", "old@house.test")
            assert sister.got(f"{state}@sister.test")[0] == "new@house.test"
            server.send(f"{state}@world.test", "carol@other.test")
            other.got(f"{state}@world.test")
            server.send(f"{state}@{NAME}")
            server.mailbox(f"{state}@{NAME}")
        assert set(other.users) == {LOGIN[0]}

        client.configure(generic={"cron@house.test": "cron@example.test"})
        for sender, seen in (
            ("old@house.test", "new@house.test"),
            ("cron@house.test", "cron@example.test"),
            ("quiet@other.test", "quiet@other.test"),
        ):
            recipient = fresh_recipient()
            server.send(recipient, sender)
            assert gateway.delivered(recipient).sender == seen
        assert "Verified TLS connection established to localhost" in server.log


@pytest.mark.parametrize(
    "client", [("default_transport = error\nrelay_transport = error\n", ())], indirect=True
)
def test_a_server_for_local_mail_only_sends_into_the_world_and_no_longer_when_it_is_undone(
    client: Client,
) -> None:
    recipient = fresh_recipient()
    client.configure()
    client.server.send(recipient)
    client.gateway.delivered(recipient)
    client.undo()
    assert client.server.files == client.server.before


@pytest.mark.parametrize("client", [("", (DOMAIN, NAME))], indirect=True)
def test_mail_of_root_and_the_server_s_own_bounces_pass_where_its_name_is_among_the_senders(
    client: Client,
) -> None:
    client.configure()
    recipient = fresh_recipient()
    client.server.send(recipient, f"root@{NAME}")
    client.gateway.delivered(recipient)
    # The gateway refuses a stranger's address, and the bounce to it goes through the gateway.
    client.server.send(fresh_recipient(), "stranger@elsewhere.test")
    client.server.logged("status=bounced", "<stranger@elsewhere.test> is not allowed for credential")
    notice = client.gateway.delivered("stranger@elsewhere.test")
    assert notice.sender == ""
    assert f"MAILER-DAEMON@{NAME}".encode() in notice.message


def test_without_its_name_the_bounce_is_refused_by_its_from(client: Client) -> None:
    """What the documentation warns of: nobody in the envelope passes, From counts all the same."""
    held = client.gateway.stack.provision.credential(senders=(DOMAIN,))
    client.login = held
    client.configure()
    client.server.send(fresh_recipient(), f"root@{NAME}")
    line = client.server.logged("status=bounced", f"<root@{NAME}> is not allowed")
    assert "550 5.7.1" in line
    result = client.test_message(fresh_recipient())
    assert f"<root@{NAME}> is not allowed" in result["msg"]
    assert "smarthost_client_senders" in result["msg"]


def test_authorities_that_the_server_trusts_besides_are_not_trusted_for_the_gateway(client: Client) -> None:
    """The file names the only authority: neither a folder of others nor OpenSSL's own counts."""
    folder = client.server.place.runtime / "authorities"
    folder.mkdir()
    (folder / "ca.pem").write_text(Path(client.gateway.ca_file).read_text())
    subprocess.run(["openssl", "rehash", str(folder)], check=True)
    others = next(Path("/etc/ssl/certs").glob("*.pem"))
    main, _ = client.server.files
    client.server.write("main.cf", f"{main}smtp_tls_CApath = {folder}\n")
    client.configure(ca_file=str(others))
    result = client.test_message(fresh_recipient())
    assert "certificate" in result["msg"]
    assert "smarthost_client_ca_file" in result["msg"]
    assert "Mail queue is empty" in client.server.command("postqueue", "-p")
    assert client.login.username not in client.gateway.log("sasl")


def test_port_465_speaks_tls_from_the_first_byte_and_the_server_s_other_routes_do_not(client: Client) -> None:
    inner = Elsewhere()
    with inner.running() as hop:
        main, _ = client.server.files
        client.server.write("main.cf", f"{main}transport_maps = inline:{{inside.test=smtp:{hop}}}\n")
        client.configure(hop=f"[localhost]:{client.gateway.port('submissions')}", wrapped=True)
        recipient = fresh_recipient()
        client.server.send(recipient, SENDER)
        client.gateway.delivered(recipient)
        client.server.send("wrapped@inside.test")
        inner.got("wrapped@inside.test")


def test_the_test_message_tells_the_gateway_s_reply_and_waits_in_no_queue(client: Client) -> None:
    client.configure()
    recipient = fresh_recipient()
    assert client.test_message(recipient)["reply"].startswith("250 2.0.0 Ok")
    client.gateway.delivered(recipient)
    client.login = ClientLogin(client.login.username, "wrong")
    client.configure()
    result = client.test_message(fresh_recipient())
    assert "535 5.7.8" in result["msg"]
    assert "tag rotate" in result["msg"]
    assert "took another way" in client.test_message(f"somebody@{NAME}")["msg"]
    assert "Mail queue is empty" in client.server.command("postqueue", "-p")


def test_by_hand_every_step_as_the_page_has_it_and_back(client: Client) -> None:
    """ "Without Ansible" on a server for local mail only, with a relay of its own for one sender domain."""
    server, other = client.server, Elsewhere(login=True)
    with other.running() as hop:
        main, master = server.files
        own = (
            "default_transport = error\nrelay_transport = error\n"
            f"sender_dependent_relayhost_maps = inline:{{@other.test={hop}}}\n"
        )
        server.write("main.cf", main + own)
        before = server.files
        steps(client, "gatepost-client unix")
        steps(client, "pipemap:")
        recipient = fresh_recipient()
        server.send(recipient)
        client.gateway.delivered(recipient)
        server.send("hand@world.test", "carol@other.test")
        other.got("hand@world.test")
        server.send(f"hand@{NAME}")
        server.mailbox(f"hand@{NAME}")
        steps(client, "mv /etc/postfix/main.cf.before")
        assert server.files == before
        assert master == before[1]


def steps(client: Client, first: str) -> None:
    """Run the block of the page that has a text, with this server's folder, gateway and login in it."""
    (code,) = (code for code in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if first in code)
    for written, here in (
        ("apt-get install", "true"),
        ("[mail.example.org]:587", client.hop),
        ("USER:PASSWORD", f"{client.login.username}:{client.login.password}"),
        ("/etc/ssl/certs/ca-certificates.crt", client.gateway.ca_file),
        ("/etc/postfix", str(client.server.place.postfix)),
    ):
        code = code.replace(written, here)
    # Postfix's programs wait for a file to settle that has just been changed.
    settled = code.replace(
        "postfix reload", f"touch -d '-1 min' {client.server.place.postfix}/*.cf; postfix reload"
    )
    client.server.shell(settled)


def test_a_list_of_tables_keeps_what_its_braces_hold(shared: Shared) -> None:
    files = shared("cf_files")
    listed = "inline:{ a=b, {c = d} }, hash:/x   pipemap:{hash:/y,regexp:/z}"
    assert files.items(listed) == ["inline:{ a=b, {c = d} }", "hash:/x", "pipemap:{hash:/y,regexp:/z}"]
    for item in files.items(listed):
        assert not files.includes(files.without_item(listed, item), item)
    assert files.without_item(files.with_item(listed, "hash:/n"), "hash:/n") == listed
    assert files.items("{" * 5 + "a, b") == ["{" * 5 + "a, b"]
    assert files.items("}a, b") == ["}a", "b"]


def test_the_role_s_parameters_stand_last(run: Run, house: House, tmp_path: Path, shared: Shared) -> None:
    values = {"hop": "[mail.example]:587", "folder": str(tmp_path), "loopback_only": True}
    more = {"local_mail": False, "parameters": {"biff": False, "inet_interfaces": "127.0.0.1"}}
    found = shared("postfix_smarthost").smarthost({**values, **more})
    places = {"config_directory": str(house.folder), "state_file": str(house.state)}
    result = run("gatepost_postconf", parameters=found["parameters"], services=found["services"], **places)
    assert "names" in result, result
    for parameter, value in {
        "default_transport": "gatepost-client:[mail.example]:587",
        "inet_interfaces": "127.0.0.1",
        "mydestination": "",
        "biff": "no",
        "smtp_tls_security_level": "",
    }.items():
        assert house.postconf("-h", parameter) == value


def test_a_message_is_followed_through_a_content_filter_and_its_reply_read_in_linear_time(
    shared: Shared,
) -> None:
    log = shared("postfix_log")
    lines = [
        "4A1Zy1xxxx: message-id=<t@h>",
        "4A1Zy1xxxx: to=<a@b>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, status=sent (250 as 4A1Zy2xxxx)",
        "Nov 27 07:00:00 h postfix/cleanup[7]: 4A1Zy2xxxx: message-id=<t@h>",
        "4A1Zy1xxxx: removed",
        "9B9999999: to=<a@b>, relay=none, delay=1, status=deferred (somebody else's)",
        "4A1Zy2xxxx: to=<a@b>, relay=Mail.Example[192.0.2.1]:587, delay=1, status=sent (250 Ok (really))",
    ]
    follower = log.Follower("<t@h>", "mail.example")
    lines.sort(key=lambda line: "4A1Zy1xxxx: to=" in line)  # the filter answers when it has handed it back
    for line in lines:
        follower.read([line])
    assert (follower.status, follower.reply) == ("sent", "250 Ok (really)")
    hostile = log.Follower("<t@h>", "mail.example")
    hostile.read(["4A1Zy1xxxx: message-id=<t@h>", "4A1Zy1xxxx: to=" + ", relay=, status=x (" * 100_000])
    assert hostile.status == "x"
