"""Postfix's hold queue, by Postfix's own commands. Runs as root: what it is asked it believes nothing of.

postcat(1) says where a message is and whether somebody had logged in to send it; only such a message, and
only in the hold queue, is released (postsuper -H, then postqueue -i, or it would wait for the next queue run)
or removed.
"""

from __future__ import annotations

import grp
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gatepost_events.holding.verbs import Answer, Order, Result, Verb

_SECONDS: Final = 30.0
PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
COMMANDS: Final = ("postcat", "postsuper", "postqueue", "postconf")
_HEAD: Final = re.compile(rb"\*\*\* ENVELOPE RECORDS (\w+)/(?:\w/)*(\w+) \*\*\*")
_LOGIN: Final = re.compile(rb"named_attribute: sasl_username=.+")
# What smtpd(8) and cleanup(8) write before they come to that. Anything else may be somebody's own words, with
# a line that looks like a login: the full name of a sender (sendmail -F) may have several lines.
_BEFORE: Final = re.compile(
    rb"(?:message_size|message_arrival_time|create_time|content_filter): .*|"
    rb"named_attribute: (?:log_ident|rewrite_context|sasl_method)=.*"
)
_NO_FILE: Final = re.compile(rb"open queue file .*No such file or directory")
_SAID_MOST: Final = 200
# Of what postcat(1) prints: whether somebody had logged in stands in its first lines, and a message may have
# very many recipients.
_READ_MOST: Final = 65_536
_DIRECTORY_SECONDS: Final = 10.0


class HoldQueue:
    """The hold queue of one instance of Postfix; '' is the one that its commands work with."""

    def __init__(self, config_directory: str = "", programs: str = PATH) -> None:
        self._options = ["-c", config_directory] if config_directory else []
        # Nothing of the caller's environment: MAIL_CONFIG would name another instance.
        self._environ = {"PATH": programs, "LC_ALL": "C"}
        self._directory, self._asked_at = "", 0.0

    def carry_out(self, order: Order) -> Answer:
        """Release or drop a message, or only look whether it is held; or say where the queue is."""
        try:
            if order.verb is Verb.WHERE:
                return self._where()
            refusal = self._refusal(order.queue_id)
            if refusal is not None or order.verb is Verb.LOOK:
                return refusal or Answer(Result.DONE)
            return self._do(order)
        except subprocess.TimeoutExpired as error:
            return Answer(Result.FAILED, f"{error.cmd[0]} did not end within {_SECONDS:g} s")
        except OSError as error:
            return Answer(Result.FAILED, str(error))

    def _where(self) -> Answer:
        now = time.monotonic()
        if not self._directory or now - self._asked_at >= _DIRECTORY_SECONDS:
            done = self._run("postconf", "-xh", "queue_directory")
            if done.returncode:
                return _failed(done)
            self._directory, self._asked_at = os.path.realpath(os.fsdecode(done.stdout.strip())), now
        return Answer(Result.DONE, self._directory)

    def _do(self, order: Order) -> Answer:
        number = order.queue_id
        if order.verb is Verb.DROP:
            done = self._run("postsuper", "-d", number, "hold")
        else:
            done = self._run("postsuper", "-H", number)
        words = b"released from hold" if order.verb is Verb.RELEASE else b"removed"
        if done.returncode:
            return _failed(done)
        if f"{number}: ".encode() + words not in done.stderr:
            return Answer(Result.ABSENT, "it left the hold queue meanwhile")
        if order.verb is Verb.RELEASE:
            asked = self._run("postqueue", "-i", number)
            if asked.returncode:  # it goes with the next queue run
                return Answer(Result.DONE, f"sent with the next queue run: {_said(asked)}")
        return Answer(Result.DONE)

    def _refusal(self, number: str) -> Answer | None:
        """Say why nothing is done to a message; None where it is held, and of somebody who had logged in."""
        looked = self._begun("postcat", "-eq", number)
        if looked.returncode:
            if _NO_FILE.search(looked.stderr):  # anything else, as a file that cannot be read, is no absence
                return Answer(Result.ABSENT, "it is in no queue")
            return _failed(looked)
        lines = looked.stdout.split(b"\n")
        head = _HEAD.fullmatch(lines[0])
        if head is None or head[2] != number.encode():
            return Answer(Result.FAILED, f"postcat says {lines[0][:_SAID_MOST]!a}")
        if head[1] != b"hold":
            return Answer(Result.ABSENT, f"it is in the {head[1].decode()} queue")
        for line in lines[1:]:
            if _LOGIN.fullmatch(line):
                return None
            if not _BEFORE.fullmatch(line):
                break
        return Answer(Result.REFUSED, "nobody had logged in to send it: it is not Gatepost's to decide about")

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._command(program, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env=self._environ,
            cwd="/",
            extra_groups=_groups(),
        )

    def _begun(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program until it has printed so much; what it would print after that is not waited for."""
        command = self._command(program, *words)
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=self._environ,
                cwd="/",
                extra_groups=_groups(),
            ) as process,
        ):
            late = threading.Timer(_SECONDS, process.kill)
            late.start()
            try:
                assert process.stdout is not None  # noqa: S101
                printed = process.stdout.read(_READ_MOST)
                whole = len(printed) < _READ_MOST
                if not whole:
                    process.kill()
                code = process.wait()
            finally:
                process.kill()
                late.cancel()
            if whole and code == -signal.SIGKILL:
                raise subprocess.TimeoutExpired(command, _SECONDS)
            said.seek(0)
            return subprocess.CompletedProcess(command, code if whole else 0, printed, said.read(_READ_MOST))

    def _command(self, program: str, *words: str) -> Sequence[str]:
        return [program, *self._options, *words]


def _groups() -> list[int] | None:
    """Return the group of Postfix's that postqueue(1) needs: its set-group-id bit counts for nothing here.

    Looked up each time, and not by the unit: Postfix may be installed after it has begun.
    """
    with suppress(KeyError):
        return [grp.getgrnam("postdrop").gr_gid] if os.geteuid() == 0 else None
    return None


def _failed(done: subprocess.CompletedProcess[bytes]) -> Answer:
    return Answer(Result.FAILED, f"{done.args[0]} ended with status {done.returncode}: {_said(done)}")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace").strip()[-_SAID_MOST:]
