"""The manual page ``gatepost(1)``, generated from the commands themselves (man(7), roff)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

_HEAD = r"""
.TH GATEPOST 1 "" Gatepost "Gatepost"
.SH NAME
gatepost \- manage Gatepost, the plug-ins that turn Postfix into an SMTP gateway
.SH SYNOPSIS
.B gatepost
[\fB\-\-config\fR \fIFILE\fR] [\fB\-\-set\fR \fISECTION.FIELD=VALUE\fR]...
\fINOUN\fR [\fIVERB\fR] [\fIOPTION\fR]...
.SH DESCRIPTION
Called alone, it shows the way to the first message, and the next step of it.
What a command changes holds at once, also in SMTP sessions that are open.
Tables are for people; piped, their columns are parted by tabs; \fB\-\-json\fR prints one JSON document.
Run by root, it uses databases and keys as the user who owns them.
.SH COMMANDS
"""
_TAIL = r"""
.SH EXIT STATUS
.TP
0
done
.TP
1
failed; explain: the message would be refused
.TP
2
usage
.TP
3
not found
.TP
4
bad configuration
.TP
5
a check found faults
.SH FILES
.TP
.I /etc/gatepost/gatepost.toml
settings, with those of
.I gatepost.d/*.toml
beside it;
.B GATEPOST_CONFIG
names another file
.TP
.I /var/lib/gatepost
databases, keys, hosted images
.SH SEE ALSO
.BR postfix (1),
.BR postconf (1),
.BR milter (7)
"""


def page(commands: Iterable[tuple[str, click.Command]]) -> str:
    """Return the page for ``commands``, given with their words."""
    lines = [line for words, command in commands for line in _command(words, command)]
    return "\n".join([_HEAD.strip(), *lines, _TAIL.strip()]) + "\n"


def _command(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"gatepost {words}")
    yield f".SS {_text(' '.join([words, *command.collect_usage_pieces(context)]))}"
    yield _text(" ".join((command.help or "").split()))
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield ".TP"
            yield rf"\fB{_text(record[0])}\fR"
            yield _text(record[1])


def _text(text: str) -> str:
    """Return a text as roff has it: a backslash and a hyphen are signs, and no line begins with a control."""
    plain = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{plain}" if plain[:1] in (".", "'") else plain
