# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter of the role ``smarthost_client``: its variables as parameters of Postfix."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postfix_smarthost
short_description: A Postfix that hands everything to one server, as its parameters
version_added: 0.1.0
author: The Gatepost authors
description:
  - Turns variables of the role M(gatepost.gatepost.smarthost_client#role) into parameters for
    M(gatepost.gatepost.gatepost_postconf), a service of master.cf, and tables.
options:
  _input:
    description: C(hop), C(wrapped), C(ca_file), C(folder), C(loopback_only), C(local_mail), C(generic),
      C(parameters), and as C(found) what postconf(1) prints of tables that others are in charge of too.
    type: dict
    required: true
"""

EXAMPLES = r"""
wanted: "{{ {'hop': '[mail.example.org]:587', 'folder': '/etc/postfix/x'} |
  gatepost.gatepost.postfix_smarthost }}"
"""

RETURN = r"""
_value:
  description: C(parameters), C(services), and C(tables) with name and text.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.gatepost.gatepost.plugins.module_utils.postfix_smarthost import smarthost


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"postfix_smarthost": smarthost}
