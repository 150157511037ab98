"""One deployment to test: gateway, client and receiving MX on a private network, and the control node.

`World.converge` does what an administrator does, in that order, and keeps what each run printed: check mode
on the bare hosts, site.yml, the DNS records published, smarthost.yml, both again, both in check mode. One of
the hosts is not bare: a mail server with work of its own, which goes on all the while.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from tests.ansible import hosts, images, releases
from tests.ansible.certificates import Authority
from tests.ansible.hosts import Host
from tests.ansible.house import House
from tests.ansible.play import Control, Played
from tests.ansible.receiving import Receiver

SENDER_DOMAIN = "shop.test"
CLICK_DOMAIN = f"click.{SENDER_DOMAIN}"
ACCOUNT = "shop"
# May use the shop's domain.
AGENCY = "agency"
FEATURES = ["inlinecss", "feedbackid", "dkim"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which Debian release each host runs, and which of them was a mail server before."""

    gateway: str
    client: str
    house: str

    def __str__(self) -> str:
        return f"gateway-{self.gateway}"


PLANS = (
    Plan(gateway="bookworm", client="trixie", house="gateway"),
    Plan(gateway="trixie", client="bookworm", house="client"),
)


@dataclass(slots=True)
class World:
    """The hosts of one plan, the control node, and the runs that converged them (by name)."""

    plan: Plan
    network: hosts.PrivateNetwork
    receiver: Receiver
    gateway: Host
    client: Host
    control: Control
    authority: Authority
    wheelhouse: Path
    house: House
    runs: dict[str, Played] = field(default_factory=dict)
    left_by_check: str = ""

    def gateway_variables(self, **more: Any) -> dict[str, Any]:
        """The variables of group gatepost_gateways, with `more` on top."""
        key, certificate = self.control.folder / "gateway.key", self.control.folder / "gateway.crt"
        return {
            "gateway_wheelhouse": str(self.wheelhouse),
            "gateway_private_users": False,
            # The engine's own resolver answers for addresses of containers, with names of its choice.
            "gateway_settings": {"doctor": {"skip": ["outgoing"]}},
            "gateway_accounts": [ACCOUNT, AGENCY],
            "gateway_domains": [{"name": SENDER_DOMAIN, "account": ACCOUNT, "grants": [AGENCY]}],
            "postfix_hostname": self.gateway.full_name,
            "postfix_tls_mode": "files",
            "postfix_tls_key_file": str(key),
            "postfix_tls_cert_file": str(certificate),
            # A server with other work has partners without certificates, and keeps its own level.
            "postfix_outbound_tls": "" if self.plan.house == "gateway" else "verify",
            **self._web_variables(),
            **more,
        }

    def _web_variables(self) -> dict[str, Any]:
        """Caddy on one plan's gateway, nginx on the other's."""
        if self.plan.house == "gateway":
            return {"web_server": "caddy", "web_tls_mode": "internal"}
        return self.nginx_variables()

    def nginx_variables(self) -> dict[str, Any]:
        """Variables for nginx with a certificate of the test authority for the click domain."""
        files = {f"{name}_file": str(self.control.folder / f"click.{name}") for name in ("key", "cert")}
        return {"web_server": "nginx", "web_certificates": [{"names": [CLICK_DOMAIN], **files}]}

    def client_variables(self, **more: Any) -> dict[str, Any]:
        """The variables of group gatepost_clients, with `more` on top."""
        return {
            "smarthost_client_gateway": self.gateway.full_name,
            # A path as the documentation has it, which begins where the inventory is.
            "smarthost_client_ca_file": "authority.crt",
            "smarthost_client_account": ACCOUNT,
            "smarthost_client_features": FEATURES,
            **more,
        }

    def write_variables(self) -> None:
        """Write both groups' variables, and the files they name on the control node."""
        key, certificate = self.authority.issue(self.gateway.full_name)
        (self.control.folder / "gateway.key").write_text(key)
        (self.control.folder / "gateway.crt").write_text(certificate)
        (self.control.folder / "authority.crt").write_text(self.authority.pem)
        for name, text in zip(("key", "cert"), self.authority.issue(CLICK_DOMAIN), strict=True):
            (self.control.folder / f"click.{name}").write_text(text)
        self.control.variables("gatepost_gateways", self.gateway_variables())
        self.control.variables("gatepost_clients", self.client_variables())

    def converge(self) -> None:
        """Bring the bare hosts to what the variables say; each run is kept in `runs`."""
        self._both("bare check", "bare client check", check=True)
        paths = "/opt/gatepost /etc/gatepost /var/lib/gatepost /var/lib/gatepost-deploy"
        bare = "/etc/postfix" if self.plan.house != "gateway" else ""
        self.left_by_check = self.gateway.run(f"ls -d {paths} {bare} 2>/dev/null", check=False).out
        # The keys are made here, and their records cannot be published before.
        self.runs["site"] = self._beside_other_mail("site", "gateway")
        self.publish()
        self.runs["smarthost"] = self._beside_other_mail("smarthost", "client")
        self._both("site again", "smarthost again")
        self._both("site check", "smarthost check", check=True)

    def _beside_other_mail(self, playbook: str, name: str) -> Played:
        with self.house.busy() if self.plan.house == name else nullcontext():
            return self.control.play(playbook).passed()

    def _both(self, site: str, smarthost: str, *, check: bool = False) -> None:
        # At once: neither is to change anything, and each waits for its own hosts most of the time.
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(self.control.play, "site", check=check)
            second = pool.submit(self.control.play, "smarthost", check=check)
            self.runs[site], self.runs[smarthost] = first.result(), second.result()

    def gatepost(self, arguments: str) -> Any:
        """What `gatepost ... --json` on the gateway prints, parsed."""
        return json.loads(self.gateway.run(f"gatepost {arguments} --json").out)

    def username(self) -> str:
        """The user name of the credential that the play made for the client."""
        return str(self.gatepost("credential list")[0]["username"])

    def publish(self) -> None:
        """Publish the records that `gatepost domain show` prints for the sender domain."""
        shown = self.gatepost(f"domain show {SENDER_DOMAIN}")
        records = [(one["name"], one["type"], one["value"]) for one in shown["dns"]]
        self.receiver.publish([(self.gateway.full_name, "A", self.gateway.address), *records])


@contextmanager
def world(client: docker.DockerClient, plan: Plan, folder: Path) -> Iterator[World]:
    """The three hosts of a plan, bare and booted, and a control node in `folder`; gone afterwards."""
    authority = Authority()
    wheelhouse = releases.make(folder, "0.1.0", images.RELEASES)
    with hosts.PrivateNetwork.make(client, f"gatepost-{plan}-{os.getpid()}") as network:
        machine = network.host("mx", "bookworm", packages=images.MAIL)
        gateway, sender = (
            network.host(
                name, release, dns=[machine.address], packages=images.MAIL if name == plan.house else ()
            )
            for name, release in (("gateway", plan.gateway), ("client", plan.client))
        )
        receiver = Receiver.install(machine, authority)
        trust(gateway.wait_running(), authority)
        sender.wait_running()
        house = House.build(gateway if plan.house == "gateway" else sender, receiver)
        control = Control(folder, {"gatepost_gateways": [gateway], "gatepost_clients": [sender]})
        made = World(plan, network, receiver, gateway, sender, control, authority, wheelhouse, house)
        made.write_variables()
        try:
            yield made
        finally:
            control.close()
    shutil.rmtree(wheelhouse)


def trust(host: Host, authority: Authority) -> None:
    """Have a host trust the test authority, as if it were one of the public ones."""
    host.put("/usr/local/share/ca-certificates/test-authority.crt", authority.pem)
    host.run("update-ca-certificates")
