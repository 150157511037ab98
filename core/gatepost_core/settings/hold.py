"""Section of held messages."""

from __future__ import annotations

from pydantic import Field

from gatepost_core.settings.base import Listen, Section


class HoldSettings(Section):
    """Held messages: who releases and drops them."""

    listen: Listen = Field(
        default="unix:/run/gatepost-hold/orders",
        description="Where gatepost-hold listens, who has Postfix release and drop held messages when "
        "gatepost-events says so.",
    )
