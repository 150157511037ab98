"""Base images of bare Debian hosts with systemd and sshd, as an administrator meets them.

As root they come from debootstrap (the tree is kept as a tar in the cache directory); elsewhere from the
official image. One layer on top hands in what the control host has and the image cannot know: the Debian
mirror, apt's Acquire settings, local certificate authorities, and the tests' SSH key. That layer is of
today, so that its package lists are.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import docker
import docker.errors
from docker.models.containers import Container

from tests.ansible.engine import CACHE, EngineMissingError, labels, locked

RELEASES = ("bookworm", "trixie")
REPOSITORY = "gatepost-test-host"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "python3-apt", "ca-certificates", "iproute2",
    "openssh-server",
)  # fmt: skip
# What the MX and a mail server made by hand have; installed once, and each enables what it needs.
MAIL_RELEASE = "bookworm"
MAIL = (
    "postfix", "libsasl2-modules", "postsrsd", "opendkim", "opendkim-tools", "dnsmasq", "sasl2-bin",
)  # fmt: skip
TREE_DAYS = 30
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SSH_KEY = CACHE / "ssh" / "id_ed25519"
KNOWN_HOSTS = CACHE / "ssh" / "known_hosts"

SETUP = f"""set -e
export DEBIAN_FRONTEND=noninteractive
rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/docker-* /etc/apt/sources.list.d/debian.sources
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test-host
apt-get update -q
apt-get install -y -q --no-install-recommends {" ".join(PACKAGES)}
update-ca-certificates
systemctl enable ssh.service
systemctl mask getty.target console-getty.service
chmod 700 /root/.ssh
: >/etc/machine-id
"""
_MORE = """set -e
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get install -y -q --no-install-recommends {packages}
rm /usr/sbin/policy-rc.d
systemctl disable opendkim postsrsd dnsmasq saslauthd
"""


def image(client: docker.DockerClient, release: str, packages: Sequence[str] = ()) -> str:
    """The image's name for `release`, with `packages`; made if it is not there yet (a minute or two)."""
    if release not in RELEASES:
        raise ValueError(f"release {release!r}: expected one of {', '.join(RELEASES)}")
    with locked(f"image-{release}"):
        with locked("ssh"):
            _ensure_key()
        files = dict(_control_host_files(release))
        tag = f"{REPOSITORY}:{release}-{_digest(files)}"
        try:
            client.images.get(tag)
        except docker.errors.ImageNotFound:
            _configure(client, _base(client, release), files, tag, SETUP, _remember_host_key)
            _remove_older(client, release, tag)
        return _with(client, tag, packages) if packages else tag


def _with(client: docker.DockerClient, base: str, packages: Sequence[str]) -> str:
    script = _MORE.format(packages=" ".join(packages))
    tag = f"{base}-{hashlib.sha256(script.encode()).hexdigest()[:12]}"
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        _configure(client, base, {}, tag, script, lambda _: None)
    return tag


def _ensure_key() -> None:
    if not SSH_KEY.exists():
        SSH_KEY.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", SSH_KEY)


def _control_host_files(release: str) -> Iterator[tuple[str, bytes]]:
    mirror, security = _mirrors()
    lines = [
        f"deb {mirror} {release} main",
        f"deb {mirror} {release}-updates main",
        f"deb {security} {release}-security main",
    ]
    yield "etc/apt/sources.list", "\n".join([*lines, ""]).encode()
    yield "etc/apt/apt.conf.d/90control-host", _apt_settings()
    for authority in sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt")):
        yield str(authority).removeprefix("/"), authority.read_bytes()
    yield "root/.ssh/authorized_keys", SSH_KEY.with_suffix(".pub").read_bytes()


def _mirrors() -> tuple[str, str]:
    """The addresses this host's own apt uses for Debian and for its security updates."""
    listed = _output("apt-get", "indextargets", "--format", "$(REPO_URI)")
    addresses = [line.rstrip("/") for line in listed.splitlines()]
    debian = next((address for address in addresses if address.endswith("/debian")), None)
    if debian is None:
        raise EngineMissingError("apt has no Debian mirror here: expected a source that ends in /debian")
    security = next((address for address in addresses if address.endswith("/debian-security")), None)
    return debian, security or f"{debian}-security"


def _apt_settings() -> bytes:
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Check-")
    kept = [line for line in _output("apt-config", "dump").splitlines() if line.startswith(wanted)]
    return "\n".join([*kept, ""]).encode()


def _output(*command: str | Path) -> str:
    """What a program prints; one that fails means that no image can be made, and its words say why."""
    environment = {**os.environ, "PATH": PATH}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise EngineMissingError(f"{command[0]} failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def _digest(files: dict[str, bytes]) -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    parts = [SETUP.encode(), today.encode(), *(name.encode() + b"\0" + data for name, data in files.items())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _base(client: docker.DockerClient, release: str) -> str:
    if os.geteuid() != 0 or shutil.which("debootstrap", path=PATH) is None:
        return _pulled(client, f"debian:{release}-slim")
    tag = f"{REPOSITORY}:{release}-bare"
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        tar = tree(release)
        client.api.import_image_from_file(str(tar), repository=REPOSITORY, tag=f"{release}-bare")
    return tag


def _pulled(client: docker.DockerClient, name: str) -> str:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        try:
            client.images.pull(name)
        except docker.errors.APIError as error:
            raise EngineMissingError(
                f"{name} cannot be pulled, and debootstrap needs root: {error}"
            ) from error
    return name


def tree(release: str) -> Path:
    """A tar of a debootstrap tree, from the cache when it is not too old."""
    tar = CACHE / f"{release}.tar"
    if tar.exists() and time.time() - tar.stat().st_mtime < TREE_DAYS * 86400:
        return tar
    print(f"\nmaking a bare {release} host image with debootstrap (about a minute, once)", flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder) / "root"
        include = f"--include={','.join(PACKAGES)}"
        _output("debootstrap", "--variant=minbase", include, release, root, _mirrors()[0])
        for archive in (root / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()
        _output("tar", "-C", root, "-cf", Path(folder) / "tree.tar", ".")
        (Path(folder) / "tree.tar").replace(tar)
    return tar


def _configure(
    client: docker.DockerClient,
    base: str,
    files: dict[str, bytes],
    tag: str,
    script: str,
    look: Callable[[Container], None],
) -> None:
    container: Container = client.containers.create(
        base, command=["/bin/sh", "-c", script], labels=labels(tag)
    )
    try:
        container.put_archive("/", archive(files))
        container.start()
        status = container.wait(timeout=600)["StatusCode"]
        if status != 0:
            raise EngineMissingError(
                f"{base}: setting up failed: {container.logs().decode(errors='replace')[-1000:]}"
            )
        look(container)
        repository, _, name = tag.partition(":")
        container.commit(repository, name)
    finally:
        container.remove(force=True)


def _remember_host_key(container: Container) -> None:
    stream, _ = container.get_archive("/etc/ssh/ssh_host_ed25519_key.pub")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        key = member.read().decode().split()[:2] if member else []
    line = " ".join(["*", *key])
    with locked("ssh"):
        known = KNOWN_HOSTS.read_text().splitlines() if KNOWN_HOSTS.exists() else []
        if line not in known:
            KNOWN_HOSTS.write_text("\n".join([*known, line, ""]))


def _remove_older(client: docker.DockerClient, release: str, keep: str) -> None:
    stays = {keep, f"{REPOSITORY}:{release}-bare"}
    names = {name for old in client.images.list(REPOSITORY) for name in old.tags} - stays
    for name in sorted(names):
        if name.startswith(f"{REPOSITORY}:{release}-"):
            with contextlib.suppress(docker.errors.APIError):  # a container of another run still uses it
                client.images.remove(name)


def archive(files: dict[str, bytes], *, mode: int = 0o644) -> bytes:
    """A tar of `files` (path without the leading / -> content), owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def only_file(tar: bytes) -> bytes:
    """The content of a tar's only file."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        (entry,) = opened.getmembers()
        file = opened.extractfile(entry)
        assert file is not None, entry.name
        return file.read()
