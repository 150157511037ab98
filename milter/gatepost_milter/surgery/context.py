"""What the features are told about one message: values, and the functions that make its addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from gatepost_core.domain import FeatureValue, FeatureValues, Options
from gatepost_milter.css.calculator import Compute, at_once
from gatepost_milter.css.weight import Allowance

# What a ClickRewriter returns for each link: scheme, authority, path and query.
Many: TypeAlias = Callable[[list[tuple[str, str, str]]], list[str | None]]


class ClickRewriter(Protocol):
    """Makes the click domain's prefix of one URL.

    One with a method ``many`` makes those of a whole message at less cost.
    """

    def __call__(self, scheme: str, authority: str, path_and_query: str, /) -> str | None:
        """Return ``https://click.domain/TOKEN``, to stand for ``scheme://authority``; None: leave it."""
        ...


class Tracked(NamedTuple):
    """What makes the addresses of links, remote images and the 1x1 image, in one tracking mode.

    ``honey``: the address of the link that nobody sees.
    """

    click: ClickRewriter | None = None
    opens: ClickRewriter | None = None
    pixel: str = ""
    honey: str = ""


class ImageHost(Protocol):
    """Keeps an image for good."""

    def __call__(self, data: bytes, content_type: str, /) -> str:
        """Return the image's address, which needs no escaping in HTML or CSS. Raises OSError, QuotaError."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What the surgery needs to know beside the message.

    ``features``: the credential's values for every feature. ``click``, ``opens``: None when the From domain
    has no click domain. ``pixel``: the address of a 1x1 image, ``honey`` of a link that nobody sees. ``host``
    keeps images, none larger than ``image_size_limit`` bytes. ``unsubscribe``: the address for RFC 8058, made
    for the one recipient.
    ``bounce_sender``: the envelope sender for trackbounces. ``feedback``: Feedback-ID after its first field.
    ``complaints``: for cfbl, which message it is and where complaints about it go, with a blank between.
    What is missing is None or empty; of unsubscribe, trackbounces and cfbl ``missing`` has the reason.
    ``edit_size_limit``: a message of more bytes is not edited, for what it would cost.
    ``queue_size_limit``: bytes that a message may have after edits, because Postfix refuses a larger
    one for good. 0 is no limit. ``allowance``: the steps that the message's style sheets may take, over all
    parts and attempts; without one each attempt has its own. ``calculate``: who calculates them. ``owner``:
    whose message it is: it may be read as others of the same owner, and no other's; None: as none.
    ``tracked`` makes ``click``, ``opens``, ``pixel`` and ``honey`` of another tracking mode than the
    credential's; None: they are the same in each. ``now``: when it is decided, in UTC.
    """

    features: FeatureValues
    click: ClickRewriter | None = None
    edit_size_limit: int = 0
    queue_size_limit: int = 0
    opens: ClickRewriter | None = None
    pixel: str = ""
    honey: str = ""
    host: ImageHost | None = None
    image_size_limit: int = 5_000_000
    unsubscribe: str = ""
    bounce_sender: str = ""
    feedback: str = ""
    complaints: str = ""
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Options = field(default_factory=Options)
    allowance: Allowance | None = None
    calculate: Compute = at_once
    owner: object = None
    tracked: Callable[[FeatureValue], Tracked] | None = None
    now: datetime | None = None

    def in_mode(self, features: FeatureValues) -> Context:
        """Return the same in the tracking mode of these values, which a message's header may have set."""
        mode = features["tracking"]
        if self.tracked is None or mode == self.features["tracking"]:
            return self
        click, opens, pixel, honey = self.tracked(mode)
        return replace(self, click=click, opens=opens, pixel=pixel, honey=honey)
