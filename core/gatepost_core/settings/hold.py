"""Section of held messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gatepost_core.settings.base import Listen, Section


class HoldSettings(Section):
    """Held messages: who releases and drops them."""

    listen: Listen = Field(
        default="unix:/run/gatepost-hold/orders",
        description="Where gatepost-hold listens, who has Postfix release and drop held messages when "
        "gatepost-events says so.",
    )
    hours_ahead: Annotated[float, Field(gt=0, le=24 * 365)] = Field(
        default=60.0,
        description="How far ahead X-Gatepost-Send-At may be, in hours. At most half of Postfix's "
        "maximal_queue_lifetime (five days): a message's time in the queue counts from when it came, and the "
        "other half is for attempts to deliver it.",
    )
    new_credential_hours: Annotated[float, Field(ge=0, le=24 * 365)] = Field(
        default=0.0,
        description="How many hours after it was made a credential is new: its messages are held until "
        "somebody releases them; 0: none is.",
    )
