"""How to send with a new credential, filled in: programs, languages, a local Postfix, a mail program. Pure.

The recipes are those of docs/clients.md, which the tests run as they stand. What is filled in is quoted for
the language that it stands in: a sender is what somebody typed.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from gatepost_core.postfix.connecting import Gateway
from gatepost_core.postfix.parts import role_of

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_LINK = "https://example.org/"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to send: ``title`` as people call it, ``text`` to copy, ``note`` what to know about it."""

    name: str
    title: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """What is filled in. ``sender`` gets the message as well; ``account`` is the credential's."""

    gateway: Gateway
    username: str
    password: str
    sender: str
    account: str = ""

    @property
    def wrapped(self) -> bool:
        """Whether the session begins with TLS, as on port 465."""
        return role_of(self.gateway.port) == "submissions"

    @property
    def authorities(self) -> str:
        """The file with what the certificate is verified with."""
        return self.gateway.ca_file or _AUTHORITIES


def snippets(filled: Filled) -> list[Snippet]:
    """Return all ways to send."""
    gateway = filled.gateway
    swaks = gateway.swaks(filled.username, filled.password, filled.sender)
    return [
        Snippet("swaks", "swaks", swaks, "Prints the whole session: the best way to see a refusal."),
        Snippet("curl", "curl", _curl(filled)),
        Snippet("python", "Python", _python(filled)),
        Snippet("php", "PHP", _php(filled), "With PHPMailer."),
        Snippet("node", "Node", _node(filled), "With Nodemailer."),
        Snippet("postfix", "Postfix", _postfix(filled), "As root, on a server that is to relay here."),
        Snippet("thunderbird", "Thunderbird", _thunderbird(filled)),
        Snippet("ansible", "Ansible", _ansible(filled), "A server with a local Postfix; the play makes a "
                "credential for each host, and does not use this one."),
    ]  # fmt: skip


def _curl(filled: Filled) -> str:
    gateway, sender = filled.gateway, filled.sender
    scheme = "smtps" if filled.wrapped else "smtp"
    mail = f"From: {sender}\\r\\nTo: {sender}\\r\\nSubject: Hello\\r\\n\\r\\nHello.\\r\\n"
    words = ["curl", "--url", f"{scheme}://{gateway.host}:{gateway.port}", "--ssl-reqd"]
    words += ["--cacert", gateway.ca_file] if gateway.ca_file else []
    words += ["--user", f"{filled.username}:{filled.password}"]
    words += ["--mail-from", sender, "--mail-rcpt", sender, "--upload-file", "-"]
    return f"printf {shlex.quote(mail.replace('%', '%%'))} |\n  {shlex.join(words)}"


def _python(filled: Filled) -> str:
    host, port, sender = _json(filled.gateway.host), filled.gateway.port, _json(filled.sender)
    file = f"cafile={_json(filled.gateway.ca_file)}" if filled.gateway.ca_file else ""
    session = f"smtplib.SMTP({host}, {port})"
    starting = "    server.starttls(context=context)\n"
    if filled.wrapped:
        session, starting = f"smtplib.SMTP_SSL({host}, {port}, context=context)", ""
    return f"""import smtplib
import ssl
from email.message import EmailMessage

message = EmailMessage()
message["From"] = {sender}
message["To"] = {sender}
message["Subject"] = "Hello"
message.set_content("Hello.\\n")
message.add_alternative('<p>Hello. <a href="{_LINK}">A link</a></p>', subtype="html")

context = ssl.create_default_context({file})
with {session} as server:
{starting}    server.login({_json(filled.username)}, {_json(filled.password)})
    server.send_message(message)
"""


def _php(filled: Filled) -> str:
    way = "ENCRYPTION_SMTPS" if filled.wrapped else "ENCRYPTION_STARTTLS"
    trusted = f"$mail->SMTPOptions = ['ssl' => ['cafile' => {_single(filled.gateway.ca_file)}]];\n"
    return f"""<?php
require 'vendor/autoload.php';

$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->isSMTP();
$mail->Host = {_single(filled.gateway.host)};
$mail->Port = {filled.gateway.port};
$mail->SMTPSecure = PHPMailer\\PHPMailer\\PHPMailer::{way};
{trusted if filled.gateway.ca_file else ""}$mail->SMTPAuth = true;
$mail->Username = {_single(filled.username)};
$mail->Password = {_single(filled.password)};
$mail->CharSet = 'utf-8';
$mail->setFrom({_single(filled.sender)});
$mail->addAddress({_single(filled.sender)});
$mail->Subject = 'Hello';
$mail->isHTML(true);
$mail->Body = '<p>Hello. <a href="{_LINK}">A link</a></p>';
$mail->AltBody = 'Hello.';
$mail->send();
"""


def _node(filled: Filled) -> str:
    way = "secure: true" if filled.wrapped else "requireTLS: true"
    trusted = f"  tls: {{ ca: require('fs').readFileSync({_json(filled.gateway.ca_file)}) }},\n"
    return f"""const nodemailer = require('nodemailer');

const transport = nodemailer.createTransport({{
  host: {_json(filled.gateway.host)},
  port: {filled.gateway.port},
  {way},
{trusted if filled.gateway.ca_file else ""}  auth: {{
    user: {_json(filled.username)},
    pass: {_json(filled.password)},
  }},
}});

transport.sendMail({{
  from: {_json(filled.sender)},
  to: {_json(filled.sender)},
  subject: 'Hello',
  text: 'Hello.',
  html: '<p>Hello. <a href="{_LINK}">A link</a></p>',
}}).catch((error) => {{ console.error(error); process.exitCode = 1; }});
"""


def _postfix(filled: Filled) -> str:
    place = f"[{filled.gateway.host}]:{filled.gateway.port}"
    wrapped = " \\\n    smtp_tls_wrappermode=yes" if filled.wrapped else ""
    return f"""install -m 0600 /dev/null /etc/postfix/gatepost_login
echo {shlex.quote(f"{place} {filled.username}:{filled.password}")} >/etc/postfix/gatepost_login
postmap /etc/postfix/gatepost_login
postconf -e {shlex.quote(f"relayhost={place}")} \\
    smtp_sasl_auth_enable=yes smtp_sasl_password_maps=hash:/etc/postfix/gatepost_login \\
    smtp_sasl_security_options=noanonymous smtp_tls_security_level=secure \\
    {shlex.quote(f"smtp_tls_CAfile={filled.authorities}")}{wrapped}
postfix reload
"""


def _thunderbird(filled: Filled) -> str:
    return f"""Account Settings → Outgoing Server (SMTP) → Add
Server Name: {filled.gateway.host}
Port: {filled.gateway.port}
Connection security: {"SSL/TLS" if filled.wrapped else "STARTTLS"}
Authentication method: Normal password
User Name: {filled.username}
Password: {filled.password}
"""


def _ansible(filled: Filled) -> str:
    return f"""- name: Relay this host's mail through Gatepost
  hosts: gatepost_clients
  roles:
    - role: gatepost.gatepost.smarthost_client
      smarthost_client_gateway: {_json(filled.gateway.host)}
      smarthost_client_port: {filled.gateway.port}
      smarthost_client_account: {_json(filled.account)}
"""


def _json(text: str) -> str:
    """Return a text as a literal of Python, JavaScript and YAML: JSON's is one of all three."""
    return json.dumps(text)


def _single(text: str) -> str:
    """Return a text as a literal of PHP in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
