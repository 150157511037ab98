"""What Gatepost is about, as values and pure functions: nothing here opens, reads or writes anything.

``model`` has accounts, credentials, domains and messages; ``features`` the catalogue, ``options`` what a
credential sets beside it; ``rules``, ``walls`` and ``logins`` decide, and answer with a ``decision``;
``walls.registering`` says which domain names an account may have, ``limits`` how much it may send, ``access``
who may see and change what; ``errors`` are what a store raises; ``decision.refusals`` gives refusals their
references; ``ids``, ``images`` and ``texts`` are how things are named and written; ``memo`` is how results
are remembered. The values that everybody uses are offered here; functions are in their modules.
"""

from gatepost_core.domain.decision import AUTHENTICATION_REQUIRED, Decision, Defer, Pass, Reject
from gatepost_core.domain.errors import (
    BadValue,
    Conflict,
    Forbidden,
    NotFound,
    RuleError,
    StoreError,
    StoreUnavailable,
    shown,
)
from gatepost_core.domain.features import CATALOGUE, FeatureError, FeatureValue, FeatureValues, in_force
from gatepost_core.domain.model import (
    Account,
    Bounces,
    Claim,
    Credential,
    Derived,
    DkimKey,
    Grant,
    ImportedSecret,
    MessageRecord,
    Mode,
    Secret,
    SenderDomain,
    Source,
    State,
    WallMode,
)
from gatepost_core.domain.options import Options, OptionsError
from gatepost_core.domain.rules.values import Rules
from gatepost_core.domain.texts import stamp, utc_now

__all__ = [
    "AUTHENTICATION_REQUIRED",
    "CATALOGUE",
    "Account",
    "BadValue",
    "Bounces",
    "Claim",
    "Conflict",
    "Credential",
    "Decision",
    "Defer",
    "Derived",
    "DkimKey",
    "FeatureError",
    "FeatureValue",
    "FeatureValues",
    "Forbidden",
    "Grant",
    "ImportedSecret",
    "MessageRecord",
    "Mode",
    "NotFound",
    "Options",
    "OptionsError",
    "Pass",
    "Reject",
    "RuleError",
    "Rules",
    "Secret",
    "SenderDomain",
    "Source",
    "State",
    "StoreError",
    "StoreUnavailable",
    "WallMode",
    "in_force",
    "shown",
    "stamp",
    "utc_now",
]
