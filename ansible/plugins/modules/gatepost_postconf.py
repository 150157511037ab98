#!/usr/bin/python
# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apply parameters and services to a Postfix configuration directory, and take them back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gatepost_postconf
short_description: Set named parameters and services of a Postfix, and take them back
version_added: 0.1.0
author: The Gatepost authors
description:
  - Sets the main.cf parameters and master.cf services that C(gatepost postfix-settings --json) prints, and
    others in the same form. What is not named stays byte for byte as it was.
  - Each is compared first, as Postfix reads it; a file is written only when something differs.
  - What was there before is kept in O(state_file); O(state=absent) puts it back, and so does a later run
    that no
    longer names a parameter. What somebody else changed since is left alone.
  - The new files are read by postconf(1) before they land and held to C(postfix check) after; a remark
    that was not
    made before, such as a misspelt parameter, fails the task, and the files are as they were.
  - Nothing is reloaded; RV(reload) and RV(restart) say what Postfix needs.
options:
  state:
    description:
      - Whether the parameters and services are to be there, or what was there before.
      - V(checked) only looks whether O(ports) are free, also where no Postfix is installed.
    type: str
    choices: [present, absent, checked]
    default: present
  settings:
    description: What C(gatepost postfix-settings --json) printed; O(parameters) and O(services) come
      beside it.
    type: dict
    default: {}
  parameters:
    description: Parameters of main.cf.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The parameter.
        type: str
        required: true
      value:
        description: Its value; empty is a value.
        type: str
        required: true
      match:
        description:
          - V(equal) sets the parameter.
          - V(include) adds the value to the end of a list (of domains, or of tables) that others are in
            charge of too.
          - V(unless_set) sets the parameter when main.cf says nothing of it.
        type: str
        choices: [equal, include, unless_set]
        default: equal
  services:
    description: Services of master.cf.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The service, as V(submission) or V(2525).
        type: str
        required: true
      type:
        description: Its type.
        type: str
        choices: [inet, unix]
        required: true
      entry:
        description: The whole entry, as it stands in master.cf.
        type: str
        required: true
  ports:
    description: The ports to look at with O(state=checked).
    type: list
    elements: int
    default: []
  ports_from:
    description: The variable that the ports come from, named when one of them is taken.
    type: str
    default: services
  config_directory:
    description: The configuration directory of Postfix.
    type: path
    default: /etc/postfix
  state_file:
    description: Where what was there before is kept, as JSON.
    type: path
    required: true
attributes:
  check_mode:
    description: Says what would change, postconf's remarks included, and changes nothing.
    support: full
  diff_mode:
    description: Shows both files before and after.
    support: full
notes:
  - A port of a service that is already in master.cf, made by hand, stops the task before any change.
    Port 25 as the
    package has it, without options, is replaced when port 25 is wanted.
  - So does a port on which another program listens.
"""

EXAMPLES = r"""
- name: Read what Gatepost needs
  ansible.builtin.command: gatepost postfix-settings --json
  register: wanted
  changed_when: false
  check_mode: false

- name: Tell Postfix
  gatepost.gatepost.gatepost_postconf:
    settings: "{{ wanted.stdout | from_json }}"
    parameters:
      - name: smtp_tls_security_level
        value: dane
    state_file: /var/lib/gatepost-deploy/postfix.json
  notify: Reload Postfix

- name: Take it back
  gatepost.gatepost.gatepost_postconf:
    state: absent
    state_file: /var/lib/gatepost-deploy/postfix.json
  notify: Reload Postfix
"""

RETURN = r"""
names:
  description: Parameters and services that changed.
  type: list
  elements: str
  returned: always
  sample: [smtp_tls_security_level, submission/inet]
kept:
  description: Parameters and services that somebody else changed since, and that were left alone.
  type: list
  elements: str
  returned: always
restart:
  description: Whether Postfix has to be restarted for what changed.
  type: bool
  returned: always
reload:
  description: Whether a reload is enough.
  type: bool
  returned: always
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.gatepost.gatepost.plugins.module_utils.cf_carry import (
    Carrier,
    CarryError,
    check_listeners,
)
from ansible_collections.gatepost.gatepost.plugins.module_utils.cf_plan import (
    ConflictError,
    Plan,
    TakenError,
)

# Beside the state file, what 'gatepost postfix-settings --apply' remembers: a play takes it over.
_BY_HAND = "by-hand.json"


def main() -> None:
    """Run the module."""
    parameter = {
        "name": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
        "match": {"type": "str", "choices": ["equal", "include", "unless_set"], "default": "equal"},
    }
    service = {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "choices": ["inet", "unix"], "required": True},
        "entry": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent", "checked"], "default": "present"},
            "parameters": {"type": "list", "elements": "dict", "options": parameter, "default": []},
            "settings": {"type": "dict", "default": {}},
            "services": {"type": "list", "elements": "dict", "options": service, "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "ports_from": {"type": "str", "default": "services"},
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "state_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
        # The invocation would be pages in the host's log; what changed is logged below.
        no_log=True,
    )
    Run(module).run()


class Run:
    """One run of the module against one configuration directory."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        state_file = Path(module.params["state_file"])
        self.carrier = Carrier(
            Path(module.params["config_directory"]),
            state_file,
            run=module.run_command,
            write=self._write,
            scratch=module.tmpdir,
            taken_over=state_file.with_name(_BY_HAND),
        )

    def run(self) -> None:
        """Plan, check, land, say what changed."""
        try:
            self._run()
        except TakenError as conflict:
            self._refuse(f"{conflict}. Nothing was changed; name another port, or remove that service")
        except ConflictError as conflict:
            self._refuse(f"{conflict}. Nothing was changed")
        except CarryError as error:
            self.module.fail_json(msg=str(error), remarks=error.remarks)

    def _run(self) -> None:
        if self.module.params["state"] == "checked":
            self._check_ports()
        if not shutil.which("postconf", path="/usr/sbin:/usr/bin"):
            self._without_postfix()
        # In check mode, nobody has made the files that the role makes where they are missing.
        before = self.carrier.read(lacking=self.module.check_mode)
        plan = self._plan(before)
        after = {"main.cf": plan.main.text, "master.cf": plan.master.text}
        if plan.changed:
            self.carrier.check_remarks(before, after)
        if not self.module.check_mode:
            self.carrier.land(before, after)
            self.carrier.remember(plan.state)
            changed = ", ".join(plan.changed) or "nothing"
            self.module.log(f"{self.carrier.directory}: changed {changed}")
        for name in plan.kept:
            self.module.warn(f"{name} was changed since by somebody else, and stays as it is")
        self.module.exit_json(
            changed=bool(plan.changed),
            names=sorted(set(plan.changed)),
            kept=plan.kept,
            restart=plan.restart,
            reload=bool(plan.changed) and not plan.restart,
            diff=[
                {"before_header": name, "after_header": name, "before": before[name], "after": after[name]}
                for name in after
                if before[name] != after[name]
            ],
        )

    def _check_ports(self) -> NoReturn:
        """End after a look at the ports, also where no Postfix is installed yet."""
        plan = self.carrier.plan(self.carrier.read(lacking=True))
        ports = [{"name": str(port), "type": "inet", "entry": ""} for port in self.module.params["ports"]]
        check_listeners(plan, ports)
        plan.check_ports(ports)
        self._done(changed=False)

    def _done(self, *, changed: bool) -> NoReturn:
        self.module.exit_json(changed=changed, names=[], kept=[], restart=False, reload=False)
        raise AssertionError

    def _refuse(self, text: str) -> None:
        self.module.fail_json(msg=f"{self.module.params['ports_from']}: {text}")

    def _without_postfix(self) -> NoReturn:
        """End where no Postfix is installed: nothing to take back, or a host that check mode looks at."""
        present = self.module.params["state"] == "present"
        if present and not self.module.check_mode:
            raise CarryError("postconf was not found; install the package postfix first")
        self._done(changed=present)

    def _plan(self, before: dict[str, str]) -> Plan:
        plan = self.carrier.plan(before)
        if self.module.params["state"] == "absent":
            plan.restore()
            return plan
        given = self.module.params
        parameters = [*self._rows("main_cf", {"name", "value"}), *given["parameters"]]
        services = [*self._rows("master_cf", {"name", "type", "entry"}), *given["services"]]
        check_listeners(plan, services)
        plan.apply(parameters, services, self.carrier.default)
        return plan

    def _rows(self, name: str, needed: set[str]) -> list[dict[str, Any]]:
        """Return a part of the settings; a release may print more of each row than is used here."""
        rows = self.module.params["settings"].get(name, [])
        if not all(isinstance(row, dict) and needed <= row.keys() for row in rows):
            raise CarryError(
                f"settings: {name} is not a list of rows with {', '.join(sorted(needed))}; expected what "
                "'gatepost postfix-settings --json' prints"
            )
        return list(rows)

    def _write(self, path: Path, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        self.module.atomic_move(name, str(path))


if __name__ == "__main__":
    main()
