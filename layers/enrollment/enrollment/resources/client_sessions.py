"""Client sessions: requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Resource, Response
from enrollment.resources.fields import (
    CREATED_AT,
    UUIDS_SCHEMA,
    AbsentUuid,
    FromQuery,
    KnownUuid,
    Limit,
    NullableFilter,
    OptionalBoolean,
    OptionalKey,
    OptionalMoment,
    OptionalUuid,
    Uuid,
    json_schema,
    limit_of,
    refuse_null,
)

# The transaction that creates a session takes two actions for each, and DynamoDB takes 100 at once.
MOST_USER_IDENTITIES = 40
NO_SESSION_IS_NAMED = "Specify client_session_id or user_identifier_key"
_LONGEST_ID = 200
_MOST_OTHER_IDS = 100

_UserIdentityIds = Annotated[
    Annotated[list[Uuid], Field(max_length=MOST_USER_IDENTITIES)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    json_schema("array", maxItems=MOST_USER_IDENTITIES, **UUIDS_SCHEMA),
]
_OtherIds = Annotated[
    Annotated[list[Annotated[StrictStr, Field(max_length=_LONGEST_ID)]], Field(max_length=_MOST_OTHER_IDS)] | None,
    refuse_null("array"),
    FromQuery(is_array=True),
    json_schema("array", maxItems=_MOST_OTHER_IDS, items={"type": "string", "maxLength": _LONGEST_ID}),
]


# These filters are published as any text: what is no UUID finds nothing.  UUIDs are read without regard to case.
_IN_ANY_CASE = AfterValidator(lambda value: value and value.lower())


class AccessRequest(Request):
    """What a client session is to have access to.

    ``user_identity_id`` and ``user_identity_ids`` name the same thing in two ways.  If both are given, their ids are
    joined.
    """

    user_identity_id: Annotated[OptionalUuid, Field(description="ID of a user identity that the session sees.")] = None
    user_identity_ids: Annotated[
        _UserIdentityIds,
        Field(description="IDs of more user identities that the session sees.", json_schema_extra={"deprecated": True}),
    ] = None
    connected_account_ids: Annotated[
        _OtherIds, Field(description="A 404 unless it is empty: this service has no connected accounts.")
    ] = None
    connect_webview_ids: Annotated[
        _OtherIds, Field(description="A 404 unless it is empty: this service has no Connect Webviews.")
    ] = None

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if len(self.all_user_identity_ids()) > MOST_USER_IDENTITIES:
            raise PydanticCustomError("too_many", f"A client session may have {MOST_USER_IDENTITIES} user identities")
        return self

    def all_user_identity_ids(self) -> frozenset[str]:
        """Return the ids of all user identities that are named."""
        one = [] if self.user_identity_id is None else [self.user_identity_id]
        return frozenset([*one, *(self.user_identity_ids or [])])


class CreateClientSessionRequest(AccessRequest):
    """The body of ``/client_sessions/create`` and ``/client_sessions/get_or_create``."""

    user_identifier_key: Annotated[OptionalKey, Field(description="Your ID of the user whom the session is for.")] = (
        None
    )
    expires_at: Annotated[
        OptionalMoment, Field(description="When the session expires (RFC 3339); after a year by default.")
    ] = None


class GetClientSessionRequest(Request):
    """The parameters of ``/client_sessions/get``.  A client session needs none: it gets itself."""

    client_session_id: Annotated[OptionalUuid, Field(description="ID of the client session.")] = None
    user_identifier_key: Annotated[OptionalKey, Field(description="Its `user_identifier_key`.")] = None


class ListClientSessionsRequest(PagedRequest):
    """The parameters of ``/client_sessions/list``."""

    client_session_id: Annotated[
        OptionalKey, _IN_ANY_CASE, Field(description="Only the client session with this ID.")
    ] = None
    user_identifier_key: Annotated[OptionalKey, Field(description="Only those with this `user_identifier_key`.")] = None
    without_user_identifier_key: Annotated[
        OptionalBoolean, Field(description="Whether to list only those without a `user_identifier_key`.")
    ] = None
    user_identity_id: Annotated[
        NullableFilter,
        _IN_ANY_CASE,
        Field(description="Only those that see this user identity; `null`: those that see none."),
    ] = None
    connect_webview_id: Annotated[
        NullableFilter, Field(description="None has one: an ID finds nothing, and `null` finds all.")
    ] = None
    limit: Annotated[Limit, limit_of(500)] = 500


class GrantAccessRequest(AccessRequest):
    """The body of ``/client_sessions/grant_access``.  It names the session by its id, by its key, or by both."""

    client_session_id: Annotated[OptionalUuid, Field(description="ID of the client session.")] = None
    user_identifier_key: Annotated[OptionalKey, Field(description="Its `user_identifier_key`.")] = None

    @model_validator(mode="after")
    def _names_a_session(self) -> Self:
        if self.client_session_id is None and self.user_identifier_key is None:
            raise PydanticCustomError("no_session", NO_SESSION_IS_NAMED)
        return self


class ClientSessionRequest(Request):
    """The parameters of routes about one client session."""

    client_session_id: Annotated[Uuid, Field(description="ID of the client session.")]


class ClientSession(Resource):
    """A client session: what an app sees of a workspace, and the token that it calls the API with."""

    ABSENT = frozenset({"user_identity_id"})

    client_session_id: Annotated[KnownUuid, Field(description="ID of the client session.")]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    token: Annotated[str, Field(description="The token. It is the same in every answer.")]
    user_identifier_key: Annotated[str | None, Field(description="Your ID of the user, if it was given.")]
    user_identity_id: Annotated[
        AbsentUuid, Field(description="ID of the user identity that it sees, if it is just one.")
    ] = None
    user_identity_ids: Annotated[list[KnownUuid], Field(description="IDs of the user identities that it sees.")]
    created_at: Annotated[str, CREATED_AT]
    expires_at: Annotated[str, Field(description="When it expires, in UTC.", json_schema_extra={"format": "date-time"})]
    device_count: Annotated[int, Field(description="Always 0: this service has no devices but phones.")] = 0
    connected_account_ids: Annotated[
        Sequence[KnownUuid], Field(description="Always empty: this service has no connected accounts.")
    ] = ()
    connect_webview_ids: Annotated[
        Sequence[KnownUuid], Field(description="Always empty: this service has no Connect Webviews.")
    ] = ()


class ClientSessionResponse(Response):
    """An answer with one client session."""

    client_session: ClientSession
    ok: Literal[True] = True


class ClientSessionsResponse(Response):
    """A page of client sessions."""

    client_sessions: list[ClientSession]
    pagination: Pagination
    ok: Literal[True] = True
