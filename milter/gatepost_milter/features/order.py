"""All features, in the order in which a message's are asked, and in which the record names those that acted.

dkim is none of them: it signs what all of these have made.
"""

from __future__ import annotations

from gatepost_milter.features.authorsignature import BrokenSignatures
from gatepost_milter.features.feedbackid import ComplaintAddress, FeedbackId
from gatepost_milter.features.hostedimages import HostedImages
from gatepost_milter.features.inlinecss import InlineCss
from gatepost_milter.features.metadata import Idempotency, Metadata
from gatepost_milter.features.ownfields import AddedFields, RemovedFields
from gatepost_milter.features.preventscam import PreventScam
from gatepost_milter.features.privacy import Privacy
from gatepost_milter.features.sendat import SendAt
from gatepost_milter.features.tags import Tags
from gatepost_milter.features.trackbounces import TrackBounces
from gatepost_milter.features.trackclicks import HoneyLink, TrackClicks
from gatepost_milter.features.trackopens import TrackOpens
from gatepost_milter.features.unsubscribe import Unsubscribe
from gatepost_milter.surgery.feature import Feature

FEATURES: tuple[type[Feature], ...] = (
    InlineCss,  # first: the others rewrite addresses in what it inserts
    TrackClicks,
    TrackOpens,
    HoneyLink,
    PreventScam,
    HostedImages,
    RemovedFields,
    Privacy,
    Unsubscribe,
    FeedbackId,
    ComplaintAddress,
    AddedFields,
    TrackBounces,
    SendAt,
    Tags,
    Metadata,
    Idempotency,
    BrokenSignatures,  # last: it looks at what the others have changed
)
