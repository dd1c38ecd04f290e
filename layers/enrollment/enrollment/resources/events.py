"""Events: requests and answers."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Resource, Response
from enrollment.resources.event_types import KNOWN
from enrollment.resources.fields import (
    MOST_IDS,
    AbsentUuid,
    FromQuery,
    KnownUuid,
    Limit,
    Moment,
    OptionalKey,
    OptionalMoment,
    OptionalUuid,
    OptionalUuids,
    Uuid,
    json_schema,
    limit_of,
    refuse_null,
)

_MOST_IN_A_PAGE = 500


def _known_type(value: str) -> str:
    if value not in KNOWN:
        raise PydanticCustomError("event_type", "Invalid event type")
    return value


EventType = Annotated[StrictStr, AfterValidator(_known_type), WithJsonSchema({"type": "string", "enum": sorted(KNOWN)})]
_OptionalEventType = Annotated[EventType | None, refuse_null("string"), json_schema(enum=sorted(KNOWN))]
_OptionalEventTypes = Annotated[
    Annotated[list[EventType], Field(max_length=MOST_IDS)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    json_schema("array", maxItems=MOST_IDS, items={"type": "string", "enum": sorted(KNOWN)}),
]
_Interval = Annotated[
    Annotated[list[Moment], Field(min_length=2, max_length=2)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    json_schema("array", minItems=2, maxItems=2, items={"type": "string", "format": "date-time"}),
]


def _no_offset(value: Any) -> Any:
    # An offset that was ignored would answer the first page again and again.
    if str(value) not in {"0", "0.0"}:
        raise PydanticCustomError("offset", "Must be 0; use page_cursor instead")
    return 0


_NoOffset = Annotated[int, BeforeValidator(_no_offset), json_schema("integer", minimum=0, maximum=0)]


class GetEventRequest(Request):
    """The parameters of ``/events/get``."""

    event_id: Annotated[Uuid, Field(description="ID of the event.")]
    event_type: Annotated[_OptionalEventType, Field(description="The type that it must have.")] = None
    device_id: Annotated[OptionalUuid, Field(description="The phone that it must be about.")] = None


class ListEventsRequest(PagedRequest):
    """The parameters of ``/events/list``."""

    since: Annotated[
        OptionalMoment,
        Field(description="Only those that were created after this moment. `since` or `between` is required."),
    ] = None
    between: Annotated[
        _Interval, Field(description="Only those that were created between these moments, which are excluded.")
    ] = None
    event_ids: Annotated[OptionalUuids, Field(description="Only these.")] = None
    event_type: Annotated[_OptionalEventType, Field(description="Only those of this type.")] = None
    event_types: Annotated[_OptionalEventTypes, Field(description="Only those of one of these types.")] = None
    user_identity_id: Annotated[OptionalUuid, Field(description="Only those of this user identity.")] = None
    acs_system_id: Annotated[OptionalUuid, Field(description="Only those of this access system.")] = None
    acs_system_ids: Annotated[OptionalUuids, Field(description="Only those of one of these access systems.")] = None
    acs_user_id: Annotated[OptionalUuid, Field(description="Only those of this ACS user.")] = None
    acs_credential_id: Annotated[OptionalUuid, Field(description="Only those of this credential.")] = None
    connected_account_id: Annotated[OptionalUuid, Field(description="Only those of this connected account.")] = None
    device_id: Annotated[OptionalUuid, Field(description="Only those of this phone.")] = None
    device_ids: Annotated[OptionalUuids, Field(description="Only those of one of these phones.")] = None
    # What follows is published, but there is no such thing here.  So nothing is found by it.
    access_code_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    access_code_ids: Annotated[OptionalUuids, Field(description="Finds nothing here.")] = None
    access_grant_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    access_grant_ids: Annotated[OptionalUuids, Field(description="Finds nothing here.")] = None
    access_method_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    access_method_ids: Annotated[OptionalUuids, Field(description="Finds nothing here.")] = None
    acs_access_group_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    acs_encoder_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    acs_entrance_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    connect_webview_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    customer_key: Annotated[OptionalKey, Field(description="Finds nothing here.")] = None
    space_id: Annotated[OptionalUuid, Field(description="Finds nothing here.")] = None
    space_ids: Annotated[OptionalUuids, Field(description="Finds nothing here.")] = None
    unstable_offset: Annotated[_NoOffset, Field(description="Only 0. Use `page_cursor` instead.")] = 0
    limit: Annotated[Limit, limit_of(_MOST_IN_A_PAGE)] = _MOST_IN_A_PAGE

    @model_validator(mode="after")
    def _has_a_beginning(self) -> "ListEventsRequest":
        if self.since is None and self.between is None:
            raise PydanticCustomError("since", "Specify since or between")
        return self


class Event(Resource):
    """Something that has happened."""

    ABSENT = frozenset(
        {
            "acs_credential_id",
            "acs_system_id",
            "acs_user_id",
            "client_session_id",
            "connected_account_id",
            "device_id",
            "enrollment_automation_id",
            "user_identity_id",
        }
    )

    event_id: Annotated[KnownUuid, Field(description="ID of the event.")]
    event_type: Annotated[str, Field(description="What has happened.", json_schema_extra={"enum": sorted(KNOWN)})]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace in which it happened.")]
    created_at: Annotated[
        str, Field(description="When it was first listed, in UTC.", json_schema_extra={"format": "date-time"})
    ]
    occurred_at: Annotated[
        str, Field(description="When it happened, in UTC.", json_schema_extra={"format": "date-time"})
    ]
    enrollment_automation_id: Annotated[AbsentUuid, Field(description="ID of the enrollment automation.")] = None
    user_identity_id: Annotated[AbsentUuid, Field(description="ID of the user identity.")] = None
    device_id: Annotated[AbsentUuid, Field(description="ID of the phone.")] = None
    client_session_id: Annotated[AbsentUuid, Field(description="ID of the client session.")] = None
    acs_credential_id: Annotated[AbsentUuid, Field(description="ID of the credential.")] = None
    acs_user_id: Annotated[AbsentUuid, Field(description="ID of the ACS user.")] = None
    acs_system_id: Annotated[AbsentUuid, Field(description="ID of the access system.")] = None
    connected_account_id: Annotated[AbsentUuid, Field(description="ID of the system's connected account.")] = None

    def to_json(self) -> dict[str, Any]:
        """Return the event as ``/events/get`` answers it."""
        return self.model_dump(mode="json")


class EventResponse(Response):
    """An answer with one event."""

    event: Event
    ok: Literal[True] = True


class EventsResponse(Response):
    """A page of events."""

    events: list[Event]
    pagination: Pagination
    ok: Literal[True] = True
