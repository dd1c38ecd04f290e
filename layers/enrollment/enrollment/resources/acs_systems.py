"""ACS systems and their credential pools: requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from enrollment.resources.bodies import PagedRequest, Pagination, Request, Resource, ResourceError, Response
from enrollment.resources.fields import CREATED_AT, Absent, KnownUuid, Limit, OptionalText, OptionalUuid, Uuid, limit_of


class AcsSystemRequest(Request):
    """The parameters of routes that are about one access system."""

    acs_system_id: Annotated[Uuid, Field(description="ID of the access system.")]


class ListAcsSystemsRequest(PagedRequest):
    """The parameters of ``/acs/systems/list``."""

    connected_account_id: Annotated[OptionalUuid, Field(description="Only those of this connected account.")] = None
    customer_key: Annotated[OptionalText, Field(description="Only those of this customer.")] = None
    search: Annotated[
        OptionalText,
        Field(description="Only those with this in their `name` or `acs_system_id`, without regard to case."),
    ] = None
    limit: Annotated[Limit, limit_of(1000)] = 1000


class ListAcsCredentialPoolsRequest(PagedRequest):
    """The parameters of ``/acs/credential_pools/list``."""

    acs_system_id: Annotated[Uuid, Field(description="ID of the access system.")]
    limit: Annotated[Limit, limit_of(1000)] = 1000


class Location(Response):
    """Where an access system is."""

    time_zone: Annotated[str | None, Field(description="Its time zone by its IANA name, if it is known.")]


class AcsSystemError(ResourceError):
    """Something that is wrong with an access system."""

    error_code: Annotated[Literal["account_disconnected"], Field(description="What is wrong.")]


class AcsSystemWarning(Response):
    """A warning about an access system."""

    warning_code: Annotated[Literal["setup_required"], Field(description="What it warns of.")]
    message: Annotated[str, Field(description="The warning, for people.")]
    created_at: Annotated[str, CREATED_AT]


class AcsSystem(Resource):
    """An access system: it opens doors, issues mobile credentials as a credential manager, or both."""

    ABSENT = frozenset({"external_type", "external_type_display_name"})

    acs_system_id: Annotated[KnownUuid, Field(description="ID of the access system.")]
    name: Annotated[str, Field(description="Name of the access system.")]
    is_credential_manager: Annotated[bool, Field(description="Whether it issues mobile credentials.")]
    connected_account_id: Annotated[KnownUuid, Field(description="ID of the connected account that it is part of.")]
    connected_account_ids: Annotated[
        list[KnownUuid],
        Field(description="The same as `connected_account_id`.", json_schema_extra={"deprecated": True}),
    ]
    created_at: Annotated[str, CREATED_AT]
    default_credential_manager_acs_system_id: Annotated[
        KnownUuid | None,
        Field(description="ID of the credential manager to choose if nothing speaks for another, if any."),
    ]
    external_type: Annotated[Absent, Field(description="Brand-specific type of the access system.")] = None
    external_type_display_name: Annotated[Absent, Field(description="That type, for people.")] = None
    image_url: Annotated[str, Field(description="URL of an image of it; empty if there is none.")]
    image_alt_text: Annotated[str, Field(description="That image in words; empty if there is none.")]
    location: Annotated[Location, Field(description="Where the access system is.")]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]
    errors: Annotated[
        Sequence[AcsSystemError],
        Field(description="`account_disconnected` while a credential manager refuses this service's requests."),
    ] = ()
    warnings: Annotated[
        Sequence[AcsSystemWarning],
        Field(description="`setup_required` if a credential manager has no connector, so that all work waits there."),
    ] = ()


class AcsCredentialPool(Response):
    """A pool that mobile credentials are taken from."""

    acs_credential_pool_id: Annotated[KnownUuid, Field(description="ID of the credential pool.")]
    acs_system_id: Annotated[KnownUuid, Field(description="ID of the credential manager that it belongs to.")]
    display_name: Annotated[str, Field(description="Name of the credential pool.")]
    external_type: Annotated[
        Literal["hid_part_number"], Field(description="Brand-specific type of the credential pool.")
    ]
    external_type_display_name: Annotated[str, Field(description="That type, for people.")]
    created_at: Annotated[str, CREATED_AT]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains it.")]


class AcsSystemResponse(Response):
    """An answer with one access system."""

    acs_system: AcsSystem
    ok: Literal[True] = True


class AcsSystemsResponse(Response):
    """An answer with access systems."""

    acs_systems: list[AcsSystem]
    ok: Literal[True] = True


class AcsSystemsPageResponse(Response):
    """A page of access systems."""

    acs_systems: list[AcsSystem]
    pagination: Pagination
    ok: Literal[True] = True


class AcsCredentialPoolsResponse(Response):
    """A page of credential pools."""

    acs_credential_pools: list[AcsCredentialPool]
    pagination: Pagination
    ok: Literal[True] = True
