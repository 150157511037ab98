#!/usr/bin/python
# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send a test message by the local Postfix, and wait until the gateway has answered."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gatepost_test_message
short_description: Send a test message through a gateway, and wait for its answer
version_added: 0.1.0
author: The Gatepost authors
description:
  - Hands a message from root to the local Postfix as programs do, by sendmail(1), and follows it in the log
    until the gateway has taken it or not.
  - Fails with the reply, and with what to do about it. A test message that would wait in the queue is
    removed from it.
options:
  recipient:
    description: Who gets the message.
    type: str
    required: true
  relay:
    description: The gateway's name, as the host's route has it.
    type: str
    required: true
  port:
    description: Its port, for what is said when it does not answer.
    type: int
    default: 587
  seconds:
    description: How long to wait for the answer.
    type: int
    default: 60
attributes:
  check_mode:
    description: Sends nothing.
    support: full
  diff_mode:
    description: Nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: See whether mail goes out
  gatepost.gatepost.gatepost_test_message:
    recipient: postmaster@mail.example.org
    relay: mail.example.org
"""

RETURN = r"""
reply:
  description: What the gateway said, as Postfix logs it.
  type: str
  returned: success
  sample: "250 2.0.0 Ok: queued as 4cZ1Yk3Xv2z1"
"""

import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.gatepost.gatepost.plugins.module_utils.postfix_log import Follower, advice

_STEP = 0.25  # seconds between two looks at the log
_TEXT = """\
To: {recipient}
Subject: {host} sends through {relay}
Message-ID: {message_id}
Auto-Submitted: auto-generated

This host's mail goes through {relay} from now on. This message shows that it arrives; nothing is to be done.
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "recipient": {"type": "str", "required": True},
            "relay": {"type": "str", "required": True},
            "port": {"type": "int", "default": 587},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, reply="")
    Test(module).run()


class Test:
    """One message, and the log that tells of it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        host = socket.getfqdn()
        self.message_id = f"<gatepost-test-{secrets.token_hex(8)}@{host}>"
        self.follower = Follower(self.message_id, module.params["relay"])
        self.text = _TEXT.format(host=host, message_id=self.message_id, **module.params)

    def run(self) -> None:
        """Send it, wait, and say how it went."""
        read = self._log()
        code, out, said = self.module.run_command(
            ["sendmail", "-i", "--", self.module.params["recipient"]], data=self.text, binary_data=True
        )
        if code:
            self.module.fail_json(msg=f"sendmail takes no message: {said or out}")
        deadline = time.monotonic() + self.module.params["seconds"]
        while not self.follower.status and time.monotonic() < deadline:
            time.sleep(_STEP)
            self.follower.read(read())
        if self.follower.status != "sent":
            self._failed()
        self.module.exit_json(changed=False, reply=self.follower.reply)

    def _failed(self) -> None:
        status, reply = self.follower.status, self.follower.reply
        where = f"{self.module.params['relay']} port {self.module.params['port']}"
        for queue_id in self.follower.known:
            self.module.run_command(["postsuper", "-d", queue_id])
        if not status:
            what = f"the log has no result after {self.module.params['seconds']} s"
            mend = "'mailq' and 'journalctl -t postfix/smtp' say what it waits for; is Postfix running?"
        elif status == "elsewhere":
            what = f"it took another way: {reply}"
            mend = (
                "a route of this host's own (transport_maps, sender_dependent_default_transport_maps, an "
                "alias) wins for this recipient; set smarthost_client_test_recipient to one in the world"
            )
        else:
            what, mend = f"{status}: {reply}", advice(reply)
        self.module.fail_json(
            msg=f"The host is set up, but a test message to {self.module.params['recipient']} did not get "
            f"through {where}. {what}. What to do: {mend}",
            reply=reply,
        )

    def _log(self) -> Callable[[], list[str]]:
        """Return a function that reads what the log has since now."""
        _, out, _ = self.module.run_command(["postconf", "-xh", "maillog_file"])
        named = Path(out.strip() or "/var/log/mail.log")
        if not out.strip() and self.module.get_bin_path("journalctl"):
            since = ["--since", f"@{int(time.time())}", "SYSLOG_FACILITY=2"]  # 2: mail, syslog(3)
            command = ["journalctl", "--no-pager", "--quiet", "-o", "cat", *since]
            return lambda: str(self.module.run_command(command)[1]).splitlines()
        before = named.stat().st_size if named.is_file() else 0

        def tail() -> list[str]:
            if not named.is_file():
                return []
            with named.open("rb") as file:
                file.seek(before)
                return file.read().decode("utf-8", "replace").splitlines()

        return tail


if __name__ == "__main__":
    main()
