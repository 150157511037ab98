"""Objects as plain values, the same in the command's JSON, the API and the audit log: never a secret."""

from gatepost_core.service.views.accounts import account_data
from gatepost_core.service.views.credentials import (
    credential_data,
    options_data,
    own_use,
    rules_data,
    suspension_data,
)
from gatepost_core.service.views.domains import domain_data, keys_data
from gatepost_core.service.views.messages import held_data, message_data, order_data, recipient_data
from gatepost_core.service.views.suppressions import suppression_data, suppression_state
from gatepost_core.service.views.tokens import token_data
from gatepost_core.service.views.webhooks import webhook_data

__all__ = [
    "account_data",
    "credential_data",
    "domain_data",
    "held_data",
    "keys_data",
    "message_data",
    "options_data",
    "order_data",
    "own_use",
    "recipient_data",
    "rules_data",
    "suppression_data",
    "suppression_state",
    "suspension_data",
    "token_data",
    "webhook_data",
]
