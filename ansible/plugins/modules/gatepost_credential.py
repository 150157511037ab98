#!/usr/bin/python
# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make, change, rotate and remove a credential of a gateway, by the gateway's own command."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gatepost_credential
short_description: Make, change, rotate and remove a credential on a gateway
version_added: 0.1.0
author: The Gatepost authors
description:
  - Runs the C(gatepost) command on the gateway, so a task for another host delegates it there.
  - A credential is known by its account and label. User name and password are generated. The password is
    returned when
    it was made, and never again; with O(rotate=true) there is a new one.
  - What is not given stays as it is. A list that is given is the whole list.
options:
  state:
    description: Whether there is such a credential.
    type: str
    choices: [present, absent]
    default: present
  account:
    description: The account that owns it.
    type: str
    required: true
  account_create:
    description: Make the account when there is none.
    type: bool
    default: false
  label:
    description: What it is for, such as the name of the host that uses it. Only one credential of the
      account may have it.
    type: str
    required: true
  features:
    description:
      - Features that are on, as C(NAME) or C(NAME=VALUE); all others are off.
    type: list
    elements: str
  senders:
    description: Addresses, domains or C(*.domain) that may stand in envelope and From; V([]) lifts the
      restriction.
    type: list
    elements: str
  networks:
    description: Networks to log in from, such as V(192.0.2.0/24); V([]) lifts the restriction.
    type: list
    elements: str
  recipients:
    description: Addresses, domains or C(*.domain) that may be sent to, and nobody else; V([]) lifts the
      restriction.
    type: list
    elements: str
  denied_recipients:
    description: Addresses, domains or C(*.domain) that may not be sent to, whatever O(recipients) says; V([])
      lifts the restriction.
    type: list
    elements: str
  max_recipients:
    description: How many recipients a message may have; V(none) lifts the rule.
    type: str
  max_size:
    description: How large a message may be, such as V(20M); V(none) lifts the rule.
    type: str
  min_tls:
    description: The oldest version of TLS that a session may have; V(none) lifts the rule.
    type: str
    choices: ['1.2', '1.3', none]
  hours:
    description: When it may send, such as V(Mon-Fri 08:00-18:00), in its account's time zone; V([]) lifts the
      rule.
    type: list
    elements: str
  hold_places:
    description: What comes from a new one of these is held, V(country) or V(network), for which the gateway's
      settings need a database; V([]) lifts the rule.
    type: list
    elements: str
    choices: [country, network]
  limits:
    description: How much it may send, as V(500/hour), V(recipients=10000/day), V(bytes=1G/month:sliding);
      V([]) for as much as it likes, V([default]) for what the gateway's settings say.
    type: list
    elements: str
  mode:
    description: V(hold) has messages wait to be released, V(sandbox) records them and delivers none.
    type: str
    choices: [live, hold, sandbox]
  expires:
    description: When it ends, as V(2027-01-31), V(2027-01-31T18:00) (UTC) or V(never).
    type: str
  overrides:
    description: Whether header fields of a message may change its features.
    type: str
    choices: [allowed, ignored]
  edit_signed:
    description: Whether mail that carries its author's DKIM signature is edited.
    type: bool
  unsubscribe_scope:
    description: Whether who unsubscribes gets no more of its mail, or none with the tags of that message.
    type: str
    choices: [credential, tag]
  route:
    description: The way out that its mail takes, a section V(routes.NAME) of the settings; V(none) for that
      of all other mail, V(default) for its account's.
    type: str
  transactional:
    description: Whether it is mail that its recipient asked for, which bounces and complaints alone suppress.
    type: bool
  header_add:
    description: Header fields to add to each message, as V(Name:value) with or without a blank after the
      colon.
    type: list
    elements: str
  header_drop:
    description: Names of header fields to remove from each message.
    type: list
    elements: str
  enabled:
    description: Whether it may be used. One that Gatepost has suspended stays so, with a warning.
    type: bool
  rotate:
    description: Make a new password for a credential that is there already.
    type: bool
    default: false
  overlap:
    description: How long the password until now stays valid beside a new one, such as V(24h); V(0h) ends
      it at once.
    type: str
    default: 24h
  executable:
    description: The command on the gateway.
    type: path
    default: /usr/local/bin/gatepost
  config:
    description: Its settings file, if not the usual one.
    type: path
attributes:
  check_mode:
    description: Says what would change; no password is made.
    support: full
  diff_mode:
    description: Shows the credential before and after, never a password.
    support: full
"""

EXAMPLES = r"""
- name: A credential for this host, made on the gateway
  gatepost.gatepost.gatepost_credential:
    account: acme
    label: "{{ inventory_hostname }}"
    features: [inlinecss, dkim, tags=web]
    senders: [acme.example]
  delegate_to: mail.acme.example
  no_log: true
  register: credential

- name: A new password; the one until now is valid for an hour
  gatepost.gatepost.gatepost_credential:
    account: acme
    label: web1
    rotate: true
    overlap: 1h
  delegate_to: mail.acme.example
  no_log: true
  register: credential
"""

RETURN = r"""
username:
  description: The user name.
  type: str
  returned: when there is a credential
password:
  description: The password. Keep it out of logs with C(no_log).
  type: str
  returned: when it was made in this run
created:
  description: Whether the credential was made in this run.
  type: bool
  returned: always
rotated:
  description: Whether the password was changed in this run.
  type: bool
  returned: always
credential:
  description: The credential as C(gatepost credential show --json) prints it.
  type: dict
  returned: when there is a credential
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.gatepost.gatepost.plugins.module_utils.credential_options import moment, options


def main() -> None:
    """Run the module."""
    texts = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "account": {"type": "str", "required": True},
            "account_create": {"type": "bool", "default": False},
            "label": {"type": "str", "required": True},
            "features": texts,
            "senders": texts,
            "networks": texts,
            "recipients": texts,
            "denied_recipients": texts,
            "max_recipients": {"type": "str"},
            "max_size": {"type": "str"},
            "min_tls": {"type": "str", "choices": ["1.2", "1.3", "none"]},
            "hours": texts,
            "hold_places": {**texts, "choices": ["country", "network"]},
            "limits": texts,
            "mode": {"type": "str", "choices": ["live", "hold", "sandbox"]},
            "expires": {"type": "str"},
            "overrides": {"type": "str", "choices": ["allowed", "ignored"]},
            "edit_signed": {"type": "bool"},
            "unsubscribe_scope": {"type": "str", "choices": ["credential", "tag"]},
            "transactional": {"type": "bool"},
            "route": {"type": "str"},
            "header_add": texts,
            "header_drop": texts,
            "enabled": {"type": "bool"},
            "rotate": {"type": "bool", "default": False},
            "overlap": {"type": "str", "default": "24h"},
            "executable": {"type": "path", "default": "/usr/local/bin/gatepost"},
            "config": {"type": "path"},
        },
        supports_check_mode=True,
    )
    Run(module).run()


class Run:
    """One run of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.given: dict[str, Any] = module.params
        self.result: dict[str, Any] = {"changed": False, "created": False, "rotated": False}

    def run(self) -> None:
        """Find the credential, bring it to what is wanted, say what changed."""
        self._check_values()
        if not Path(self.given["executable"]).exists():
            self._without_command()
        before = self._find()
        if self.given["state"] == "absent":
            after = self._remove(before)
        elif before is None:
            after = self._add()
        else:
            after = self._rotate(self._enable(self._change(before)))
        if after is not None:
            self.result.update(username=after["username"], credential=after)
        self.result["diff"] = {"before": shown(before), "after": shown(after)}
        self.module.exit_json(**self.result)

    def _check_values(self) -> None:
        expires = self.given["expires"]
        if expires not in (None, "never") and moment(expires) is None:
            self.module.fail_json(msg=f"expires: {expires!r}; expected 2027-01-31, 2027-01-31T18:00 or never")
        if not self.given["label"].strip():
            self.module.fail_json(msg="label: expected what the credential is known by, not an empty text")

    def _without_command(self) -> None:
        present = self.given["state"] == "present"
        if present and not self.module.check_mode:
            self.module.fail_json(
                msg=f"{self.given['executable']} is missing; delegate this task to a gateway, which the role "
                "gatepost.gatepost.gateway sets up"
            )
        self.result["changed"] = present
        self.module.exit_json(**self.result)

    def _find(self) -> dict[str, Any] | None:
        account, label = self.given["account"], self.given["label"]
        accounts = [one["name"] for one in self._command(["account", "list"])]
        if account not in accounts:
            if self.given["state"] == "absent":
                return None
            if not self.given["account_create"]:
                self.module.fail_json(
                    msg=f"account: there is no account {account!r} on the gateway; there are: "
                    f"{', '.join(accounts) or 'none'}. Make it there, or set account_create"
                )
            return None
        every = self._command(["credential", "list", "--account", account])
        found = [one for one in every if one["label"] == label]
        if len(found) > 1:
            names = ", ".join(one["username"] for one in found)
            self.module.fail_json(
                msg=f"label: {len(found)} credentials of {account} are labelled {label!r}: {names}"
            )
        return found[0] if found else None

    def _add(self) -> dict[str, Any] | None:
        self.result.update(changed=True, created=True)
        if self.module.check_mode:
            return None
        account, label = self.given["account"], self.given["label"]
        if self.given["account_create"] and account not in [
            one["name"] for one in self._command(["account", "list"])
        ]:
            self._command(["account", "add", account])
        made = self._command(
            ["credential", "add", "--account", account, "--label", label, *options(self.given, None)]
        )
        self.result["password"] = made["password"]
        credential: dict[str, Any] = self._command(["credential", "show", made["username"]])
        return self._enable(credential)

    def _change(self, before: dict[str, Any]) -> dict[str, Any]:
        words = options(self.given, before)
        if not words:
            return before
        self.result["changed"] = True
        if self.module.check_mode:
            return before
        after: dict[str, Any] = self._command(["credential", "set", before["username"], *words])
        # The command writes values in its own way; what means the same is no change.
        self.result["changed"] = after != before
        return after

    def _enable(self, credential: dict[str, Any]) -> dict[str, Any]:
        if self.given["enabled"] and credential.get("suspension"):
            why = credential["suspension"]["why"]
            self.module.warn(f"{credential['username']} is suspended, and stays so: {why}")
            return credential
        wanted = {True: "active", False: "disabled", None: credential["state"]}[self.given["enabled"]]
        if wanted == credential["state"]:
            return credential
        self.result["changed"] = True
        if not self.module.check_mode:
            verb = "enable" if self.given["enabled"] else "disable"
            self._command(["credential", verb, credential["username"]])
        return {**credential, "state": wanted}

    def _rotate(self, credential: dict[str, Any]) -> dict[str, Any]:
        if self.given["rotate"]:
            self.result.update(changed=True, rotated=True)
            if not self.module.check_mode:
                words = ["credential", "rotate", credential["username"], "--overlap", self.given["overlap"]]
                self.result["password"] = self._command(words)["password"]
        return credential

    def _remove(self, before: dict[str, Any] | None) -> None:
        if before is not None:
            self.result["changed"] = True
            if not self.module.check_mode:
                self._command(["credential", "remove", before["username"]])

    def _command(self, words: list[str]) -> Any:
        config = ["--config", self.given["config"]] if self.given["config"] else []
        command = [self.given["executable"], *config, *words, "--json"]
        code, out, said = self.module.run_command(command)
        if code:
            self.module.fail_json(msg=f"gatepost {' '.join(words[:2])}: {reason(said)}", rc=code)
        return json.loads(out)


def shown(credential: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a diff shows."""
    return (
        {} if credential is None else {k: v for k, v in credential.items() if not k.startswith("last_used")}
    )


def reason(said: str) -> str:
    """Return the command's own words: with --json they are JSON on standard error."""
    for line in reversed(said.strip().splitlines()):
        try:
            return str(json.loads(line)["error"])
        except (ValueError, KeyError, TypeError):
            continue
    return said.strip() or "it failed without a word"


if __name__ == "__main__":
    main()
