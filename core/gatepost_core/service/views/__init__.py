"""Objects as plain values, the same in the command's JSON, the API and the audit log: never a secret."""

from gatepost_core.service.views.accounts import account_data
from gatepost_core.service.views.credentials import (
    credential_data,
    options_data,
    own_use,
    rules_data,
    suspension_data,
)
from gatepost_core.service.views.tokens import token_data

__all__ = [
    "account_data",
    "credential_data",
    "options_data",
    "own_use",
    "rules_data",
    "suspension_data",
    "token_data",
]
