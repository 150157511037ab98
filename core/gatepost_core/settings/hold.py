"""Section of held messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

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
    country_database: str = Field(
        default="",
        description="MaxMind DB file that tells the country of a client's address, for 'gatepost credential "
        "set --hold-new-places country': a file of countries or cities, such as "
        "/var/lib/GeoIP/GeoLite2-Country.mmdb. gatepost-milter reads it, and notices when it is replaced.",
    )
    network_database: str = Field(
        default="",
        description="MaxMind DB file that tells the network of a client's address by its number, for "
        "--hold-new-places network, such as /var/lib/GeoIP/GeoLite2-ASN.mmdb.",
    )

    @property
    def place_databases(self) -> dict[str, str]:
        """The files by the kind of place that they tell, '' for none."""
        return {"country": self.country_database, "network": self.network_database}

    @field_validator("country_database", "network_database")
    @classmethod
    def _whole(cls, text: str) -> str:
        if text and not Path(text).is_absolute():
            raise ValueError(f"expected the whole path of a file, such as /var/lib/GeoIP/{text}")
        return text
