"""css_inline asked which elements of a copy which selectors match; and that in a process of its own.

css_inline holds Python's lock while it computes, and a stack overflow of its would end the process. So what
is not known to be short is computed by ``python -m gatepost_milter.css.calculator``, which reads requests on
standard input and answers on standard output until its parent closes them: lengths of document and sheet (32
bits each), then both in UTF-8; a length and a document, or FAILED, a length and a text. Its memory is
bounded, and the kernel ends it once it has computed for a second too long.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, TypeAlias

from css_inline import CSSInliner

REQUEST = struct.Struct("!II")
ANSWER = struct.Struct("!I")
FAILED = 1 << 31
# What is within the budget takes a fifth of that, on a machine that does nothing else.
CPU_SECONDS = 1.0
MEMORY = 768 * 1024 * 1024


# Takes a document, a sheet, and the steps that it takes at most; raises CalculatorError.
Compute: TypeAlias = Callable[[str, str, int], str]


class CalculatorError(Exception):
    """css_inline cannot be asked about this part, or failed on it; the text says why."""


def compute(html: str, css: str) -> str:
    """Return css_inline's version of a copy with this sheet. Raises CalculatorError."""
    try:
        inliner = CSSInliner(
            extra_css=css,
            inline_style_tags=False,
            keep_style_tags=False,
            keep_link_tags=False,
            load_remote_stylesheets=False,
        )
        return inliner.inline(html)
    except Exception as error:
        raise CalculatorError(f"css_inline: {error}") from error
    except BaseException as error:
        # A panic in Rust is a BaseException of a module that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise CalculatorError("css_inline panicked") from error


def at_once(html: str, css: str, steps: int) -> str:
    """Calculate in this process, however long it takes: for whoever works on one message alone."""
    del steps
    return compute(html, css)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        html_size, css_size = REQUEST.unpack(head)
        html, css = requests.read(html_size).decode(), requests.read(css_size).decode()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            answer, flag = compute(html, css), 0
        except CalculatorError as error:
            answer, flag = str(error), FAILED
        signal.setitimer(signal.ITIMER_PROF, 0)
        data = answer.encode()
        answers.write(ANSWER.pack(len(data) | flag) + data)
        answers.flush()


def main() -> None:
    """Be a calculator: under default signals, below the mail that others wait for, with bounded memory."""
    for number in (signal.SIGPROF, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # A unit may forbid these calls (SystemCallFilter=~@resources); its own limits hold then.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        os.nice(5)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
