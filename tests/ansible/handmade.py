"""A Postfix that somebody set up by hand before Gatepost came: mailboxes, comments, habits of its own."""

from __future__ import annotations

from tests.ansible.hosts import Host

FILES = ("/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/aliases")
_MAIN_CF = """# Set up by hand; please keep the comments.
compatibility_level = 3.6
myhostname = {name}
mydestination = $myhostname, local.test,
    localhost
home_mailbox   =   Maildir/
inet_interfaces = all
inet_protocols = ipv4
message_size_limit = 33000000
mailbox_size_limit = 0
smtpd_banner = $myhostname ESMTP by hand
# A limit that Gatepost has no opinion on:
default_process_limit = 55

smtpd_helo_required = yes
"""
_SERVICE = """
# An entry of our own.
127.0.0.1:10026 inet n - n - 3 smtpd
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
"""


def postfix(host: Host) -> dict[str, str]:
    """Install Debian's Postfix on a bare host and change it by hand; returns its files (path -> content)."""
    install = "apt-get install -y -q --no-install-recommends postfix"
    host.run(f"export DEBIAN_FRONTEND=noninteractive; {install} || {{ apt-get update -q && {install}; }}")
    host.run("useradd -m bob")
    host.put("/etc/postfix/main.cf", _MAIN_CF.format(name=host.full_name))
    host.put("/etc/postfix/master.cf", host.get("/etc/postfix/master.cf") + _SERVICE)
    host.run("newaliases; postfix check && systemctl restart postfix")
    return {path: host.get(path) for path in FILES}


def parameters(host: Host) -> dict[str, str]:
    """The parameters of main.cf: name -> value."""
    lines = host.run("postconf -n").out.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
