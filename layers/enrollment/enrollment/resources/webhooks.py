"""Webhooks: requests and answers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import Request, Response
from enrollment.resources.event_types import KNOWN
from enrollment.resources.fields import Uuid

_LONGEST_URL = 1000
_MOST_EVENT_TYPES = 200
_ALL = "*"


def _known_type(value: str) -> str:
    # A mistyped name would never get an event, and nobody would see why.
    if value != _ALL and value not in KNOWN:
        raise PydanticCustomError("event_type", "Invalid event type")
    return value


_EventType = Annotated[
    StrictStr, AfterValidator(_known_type), WithJsonSchema({"type": "string", "enum": [_ALL, *sorted(KNOWN)]})
]
_EventTypes = Annotated[list[_EventType], Field(min_length=1, max_length=_MOST_EVENT_TYPES)]


class WebhookRequest(Request):
    """The parameters of routes that are about one webhook."""

    webhook_id: Annotated[Uuid, Field(description="ID of the webhook.")]


class CreateWebhookRequest(Request):
    """The parameters of ``/webhooks/create``."""

    url: Annotated[
        StrictStr,
        Field(
            min_length=1,
            max_length=_LONGEST_URL,
            description="Where events are sent: an https URL that leads to no private, loopback or link-local address.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    event_types: Annotated[
        _EventTypes, Field(default=[_ALL], description="Types of the events to send; `*` is all of them.")
    ]


class ListWebhooksRequest(Request):
    """The parameters of ``/webhooks/list``: none."""


class UpdateWebhookRequest(Request):
    """The parameters of ``/webhooks/update``."""

    webhook_id: Annotated[Uuid, Field(description="ID of the webhook.")]
    event_types: Annotated[_EventTypes, Field(description="Types of the events to send; `*` is all of them.")]


class Webhook(Response):
    """A webhook: events are sent to its URL, signed with its secret."""

    webhook_id: Annotated[str, Field(description="ID of the webhook.", json_schema_extra={"format": "uuid"})]
    url: Annotated[str, Field(description="Where events are sent.")]
    event_types: Annotated[list[str], Field(description="Types of the events that are sent; `*` is all of them.")]
    secret: Annotated[str, Field(description="Verifies what arrives: `SeamWebhook(secret)` of the SDKs.")]


class WebhookResponse(Response):
    """An answer with one webhook."""

    webhook: Webhook
    ok: Literal[True] = True


class WebhooksResponse(Response):
    """An answer with webhooks."""

    webhooks: list[Webhook]
    ok: Literal[True] = True
