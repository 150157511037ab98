"""What holds for every test: property tests are judged by what they find, not by a busy machine's clock."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("gatepost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatepost")
