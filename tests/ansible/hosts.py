"""Systemd hosts in containers on a private network, as testcontainers starts them, and a helper by hand.

Each host has an address that it keeps over a reboot, takes root by SSH with the tests' key, and resolves
names by the network's own DNS (the other hosts' names; everything else by `dns`, if given). By hand:

    python -m tests.ansible.hosts up NAME [--release bookworm|trixie] [--dns ADDRESS]
    python -m tests.ansible.hosts down NAME... | --all
    python -m tests.ansible.hosts list
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import docker
import docker.errors
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig, IPAMConfig, IPAMPool
from testcontainers.core.container import DockerContainer

from tests.ansible import engine, images
from tests.ansible.engine import BY_HAND, LABEL

BOOT_SECONDS = 60.0
SUBNETS = ipaddress.ip_network("172.30.0.0/16")  # those that are taken are passed over
# Of a machine's root, what containers are not given by default; gatepost-hold reads queue files by the last.
CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "DAC_READ_SEARCH"]
TMPFS = {"/run": "exec", "/run/lock": "", "/tmp": "exec"}  # noqa: S108 (inside the container)


class HostFailedError(AssertionError):
    """A command on a host failed, or the host did not boot; the text has what it printed."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command: its exit status, and what it wrote to standard output and standard error."""

    status: int
    out: str
    err: str


@dataclass(slots=True)
class PrivateNetwork:
    """A bridge of its own with fixed addresses; `with` removes it and every host on it."""

    client: docker.DockerClient
    name: str
    network: Network
    subnet: ipaddress.IPv4Network
    hosts: list[Host] = field(default_factory=list)

    @classmethod
    def make(cls, client: docker.DockerClient, name: str) -> PrivateNetwork:
        """A network on the first subnet that nothing else uses."""
        for subnet in SUBNETS.subnets(new_prefix=24):
            if not isinstance(subnet, ipaddress.IPv4Network):
                continue
            pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
            with contextlib.suppress(docker.errors.APIError):
                ipam = IPAMConfig(pool_configs=[pool])
                made = client.networks.create(name, driver="bridge", ipam=ipam, labels=engine.labels(name))
                return cls(client, name, made, subnet)
        raise engine.EngineMissingError(
            f"no free network in {SUBNETS}: remove old ones (docker network prune)"
        )

    @classmethod
    def found(cls, client: docker.DockerClient, name: str) -> PrivateNetwork:
        """The network of that name, made when it is not there."""
        for network in client.networks.list(names=[name]):
            pool = network.attrs["IPAM"]["Config"][0]
            return cls(client, name, network, ipaddress.IPv4Network(pool["Subnet"]))
        return cls.make(client, name)

    def __enter__(self) -> PrivateNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts:
            host.remove()
        self.network.remove()

    def host(
        self,
        name: str,
        release: str,
        *,
        domain: str = "example.test",
        dns: list[str] | None = None,
        packages: Sequence[str] = (),
    ) -> Host:
        """Start a host `name` (its full name is name.domain), bare but for `packages`; it boots meanwhile."""
        address, names = self._free_address(), [name, f"{name}.{domain}"]
        endpoint = EndpointConfig(self.client.api._version, aliases=names, ipv4_address=address)
        machine = (
            DockerContainer(images.image(self.client, release, packages))
            .with_name(f"{self.name}-{name}")
            .with_command("/sbin/init")
            .with_env("container", "docker")
            .with_volume_mapping(_cgroups(), "/sys/fs/cgroup", "rw")
            .with_kwargs(
                hostname=f"{name}.{domain}", network=self.name, networking_config={self.name: endpoint},
                cap_add=CAPABILITIES, security_opt=["seccomp=unconfined", "apparmor=unconfined"],
                cgroupns="host", stop_signal="SIGRTMIN+3", dns=dns or [], labels=engine.labels(self.name),
            )
        )  # fmt: skip
        for path, options in TMPFS.items():
            machine.with_tmpfs_mount(path, options)
        machine.start()
        machine.get_docker_client().client.close()
        container = self.client.containers.get(machine.get_container_id())
        made = Host(name, f"{name}.{domain}", release, address, container)
        self.hosts.append(made)
        return made

    def _free_address(self) -> str:
        self.network.reload()
        taken = {entry["IPv4Address"].split("/")[0] for entry in self.network.attrs["Containers"].values()}
        taken |= {host.address for host in self.hosts}
        return next(str(one) for one in list(self.subnet.hosts())[9:] if str(one) not in taken)


@dataclass(slots=True)
class Host:
    """One systemd host: `run`, `put`, `get`, `wait_running`, `reboot`, and its line for an inventory."""

    name: str
    full_name: str
    release: str
    address: str
    container: Container

    def run(self, command: str, *, check: bool = True, stdin: bytes | None = None) -> Done:
        """Run a shell command as root; `check` raises HostFailedError with its output when it fails."""
        script = command
        if stdin is not None:
            self.put("/var/tmp/stdin", stdin)  # noqa: S108 (inside the container)
            script = f"{{ {command}\n}} </var/tmp/stdin"
        status, (out, err) = self.container.exec_run(["/bin/sh", "-c", script], demux=True)
        done = Done(status, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))
        if check and status:
            raise HostFailedError(f"{self.name}: {command!r} ended with {status}\n{done.out}{done.err}")
        return done

    def put(self, path: str, content: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file as root; not below /run or /tmp, which are mounted inside only."""
        if path.startswith(("/run/", "/tmp/")):  # noqa: S108 (inside the container)
            raise ValueError(f"{path}: expected a path outside /run and /tmp")
        data = content.encode() if isinstance(content, str) else content
        self.container.put_archive("/", images.archive({path.removeprefix("/"): data}, mode=mode))

    def get(self, path: str) -> str:
        """A file's content; not below /run or /tmp. The engine may lose what a command prints, not a copy."""
        try:
            content, found = self.container.get_archive(path)
            if found["linkTarget"]:
                content, _ = self.container.get_archive(found["linkTarget"])
        except docker.errors.NotFound as error:
            raise HostFailedError(f"{self.name}: {path}: no such file") from error
        return images.only_file(b"".join(content)).decode(errors="replace")

    def wait_running(self, seconds: float = BOOT_SECONDS) -> Host:
        """Wait until systemd has started everything; a unit that failed is an error that names it."""
        deadline = time.monotonic() + seconds
        while (state := self._state()) not in {"running", "degraded"}:
            if time.monotonic() > deadline:
                raise HostFailedError(
                    f"{self.name}: systemd says {state!r} after {seconds:.0f} s, expected 'running'"
                )
            time.sleep(0.1)
        if state == "degraded":
            raise HostFailedError(
                f"{self.name}: units failed:\n{self.run('systemctl --failed --no-legend').out}"
            )
        return self

    def _state(self) -> str:
        try:
            return self.run("systemctl is-system-running", check=False).out.strip()
        except docker.errors.APIError:
            return "not up yet"

    def wait_for(self, command: str, what: str, seconds: float = 60.0) -> str:
        """Run `command` until it succeeds; returns what it printed; else HostFailedError says `what`."""
        deadline = time.monotonic() + seconds
        while (done := self.run(command, check=False)).status:
            if time.monotonic() > deadline:
                raise HostFailedError(
                    f"{self.name}: {what}: not within {seconds:.0f} s\n{done.out}{done.err}"
                )
            time.sleep(0.2)
        return done.out

    def stop(self) -> None:
        """Shut down as by the power button; what does not stop in half a minute is killed."""
        self.container.stop(timeout=30)

    def start(self) -> Host:
        """Boot a host that was stopped, and wait until it runs."""
        self.container.start()
        return self.wait_running()

    def reboot(self) -> Host:
        """Shut down, boot and wait until it runs; the address stays."""
        self.stop()
        return self.start()

    def remove(self) -> None:
        """Take the host down for good."""
        with contextlib.suppress(docker.errors.NotFound):
            self.container.remove(force=True, v=True)

    def inventory(self) -> dict[str, str]:
        """The variables by which Ansible reaches this host."""
        options = f"-o UserKnownHostsFile={images.KNOWN_HOSTS} -o GlobalKnownHostsFile=/dev/null"
        return {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(images.SSH_KEY),
            "ansible_ssh_common_args": f"{options} -o IdentitiesOnly=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }


def _cgroups() -> str:
    """The cgroup2 tree: the whole of it, or its part where version 1 is mounted beside it."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if Path(path, "cgroup.procs").exists():
            return path
    raise engine.EngineMissingError(
        "no cgroup2 file system at /sys/fs/cgroup: systemd cannot run in containers here"
    )


def main() -> int:
    """The helper by hand; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m tests.ansible.hosts", description="Test hosts by hand.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a bare host and print its inventory line")
    up.add_argument("name")
    up.add_argument("--release", choices=images.RELEASES, default="bookworm")
    up.add_argument("--dns", action="append", help="address that answers other names")
    down = verbs.add_parser("down", help="remove hosts, and the engine with the last one")
    down.add_argument("name", nargs="*")
    down.add_argument("--all", action="store_true", help="every host made by hand")
    verbs.add_parser("list", help="the inventory lines of all hosts made by hand")
    given = parser.parse_args()
    try:
        client = engine.ensure()
    except engine.EngineMissingError as error:
        print(error, file=sys.stderr)
        return 1
    with contextlib.closing(client):
        network = PrivateNetwork.found(client, BY_HAND)
        if given.verb == "up":
            print(_line(network.host(given.name, given.release, dns=given.dns).wait_running()))
        elif given.verb == "list":
            for host in _by_hand(client):
                print(_line(host))
        else:
            for host in _by_hand(client):
                if given.all or host.name in given.name:
                    host.remove()
        if not _by_hand(client):
            network.network.remove()
    engine.release()
    return 0


def _by_hand(client: docker.DockerClient) -> list[Host]:
    hosts = []
    for container in client.containers.list(all=True, filters={"label": f"{LABEL}={BY_HAND}"}):
        name = (container.name or "").removeprefix(f"{BY_HAND}-")
        address = container.attrs["NetworkSettings"]["Networks"][BY_HAND]["IPAddress"]
        hosts.append(Host(name, container.attrs["Config"]["Hostname"], "", address, container))
    return hosts


def _line(host: Host) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in host.inventory().items())
    return f"{host.name} {variables}"


if __name__ == "__main__":
    sys.exit(main())
