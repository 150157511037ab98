# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter of the role ``postfix``: its variables as parameters, services and tables of Postfix."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postfix_outgoing
short_description: Relays, throttling and outbound TLS as settings of Postfix
version_added: 0.1.0
author: The Gatepost authors
description:
  - Turns variables of the role M(gatepost.gatepost.postfix#role) into parameters and services for
    M(gatepost.gatepost.gatepost_postconf), and into lookup tables.
positional: domains, folder
options:
  _input:
    description: The role's variables, without its prefix.
    type: dict
    required: true
  domains:
    description: What C(gatepost domain list --json) prints.
    type: list
    elements: dict
    required: true
  folder:
    description: Where the tables will be.
    type: path
    required: true
"""

EXAMPLES = r"""
outgoing: "{{ {'relayhost': {'host': 'smtp.example.org'}} | gatepost.gatepost.postfix_outgoing([],
  '/etc/postfix/x') }}"
"""

RETURN = r"""
_value:
  description: C(parameters), C(services) and C(tables).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.gatepost.gatepost.plugins.module_utils.postfix_outgoing import RefusedError, outgoing


def postfix_outgoing(values: dict[str, Any], domains: list[dict[str, Any]], folder: str) -> dict[str, Any]:
    """Return parameters, services and tables; raise AnsibleFilterError naming the variable that is wrong."""
    try:
        return outgoing(values, domains, folder)
    except RefusedError as refused:
        raise AnsibleFilterError(str(refused)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"postfix_outgoing": postfix_outgoing}
