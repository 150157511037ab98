"""What the shell is offered for a name: accounts, credentials, domains, webhooks, tokens, features.

Completion must never disturb: whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from gatepost_cli.session import CliSession
from gatepost_core.domain import CATALOGUE
from gatepost_core.domain.features import SETTABLE

_MOST = 200


def account_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the accounts."""
    return _offer(((row.name, "") for row in _rows(ctx, "accounts")), incomplete)


def credential_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the user names, with their labels as help."""
    return _offer(((row.username, row.label) for row in _rows(ctx, "credentials")), incomplete)


def domain_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the sender domains."""
    return _offer(((row.name, "") for row in _rows(ctx, "domains")), incomplete)


def webhook_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the webhooks, with their URLs as help."""
    return _offer(((row.handle, row.url) for row in _rows(ctx, "webhooks.endpoints")), incomplete)


def token_ids(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the API tokens, with their names as help."""
    return _offer(((row.id, row.name) for row in _rows(ctx, "access.tokens")), incomplete)


def feature_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the features; one that takes a value ends in ``=``."""
    features = [CATALOGUE[name] for name in SETTABLE]
    pairs = ((f.name if f.kind == "flag" else f"{f.name}=", f.help) for f in features)
    return _offer(pairs, incomplete)


def _rows(ctx: click.Context, table: str) -> Iterable[Any]:
    # The root's callback does not run for a completion, so its parameters are read here.
    options = ctx.find_root().params
    session = CliSession(options.get("config"), options.get("overrides") or {})
    with suppress(Exception):
        module = importlib.import_module(f"gatepost_core.store.{table}")
        with session.directory() as connection:
            return list(module.list_all(connection))
    return []


def _offer(pairs: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    fitting = [CompletionItem(name, help=text or None) for name, text in pairs if name.startswith(incomplete)]
    return fitting[:_MOST]
