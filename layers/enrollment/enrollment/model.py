"""Requests and resources: their JSON is the contract's, their field order the order in which errors are named."""

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError


class FromQuery(NamedTuple):
    """Beside the type of a parameter that is no string: what it becomes in a query string, which has only text.

    Attributes:
        is_array: Whether the parameter is an array, also if it is there once.
        read: Takes the text of one value; what it returns is validated as a JSON body's value is.
    """

    is_array: bool = False
    read: Callable[[str], Any] = str


# zod's notion of a UUID, which the contract follows: any version, hyphens where they belong, nothing around it.
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(value: object) -> bool:
    """Return whether a value is a UUID as the contract takes one."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _uuid(value: str) -> str:
    if not is_uuid(value):
        raise PydanticCustomError("uuid", "Invalid uuid")
    return value.lower()


def refuse_null(expected: str) -> BeforeValidator:
    """Refuse ``null`` for an optional parameter: it is not the same as absent (contract, "Errors")."""

    def refuse(value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("null", f"Expected {expected}, received null")
        return value

    return BeforeValidator(refuse)


_UUID_SCHEMA = WithJsonSchema({"type": "string", "format": "uuid"})

Uuid = Annotated[StrictStr, AfterValidator(_uuid), _UUID_SCHEMA]
# ``None`` is how an absent parameter reads here; neither JSON nor its schema has it.
OptionalUuid = Annotated[Uuid | None, refuse_null("string"), _UUID_SCHEMA]
# The id of something that is there, which was read as one when it came.
KnownUuid = Annotated[str, _UUID_SCHEMA]
OptionalBoolean = Annotated[StrictBool | None, refuse_null("boolean"), WithJsonSchema({"type": "boolean"})]


class Request(BaseModel):
    """The parameters of a route."""

    # Validators are built when they are first used: a function that starts has many models, and its request needs few.
    # A validation error that is logged somewhere must not carry what a client sent.
    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)


class PagedRequest(Request):
    """The parameters of a list that comes in pages."""

    page_cursor: Annotated[
        StrictStr | None,
        WithJsonSchema({"type": ["string", "null"]}),
        Field(
            description="The previous page's `next_page_cursor`, which is good for the same parameters only (but for "
            "`limit`); `null` is the first page."
        ),
    ] = None


class LaunchRequest(Request):
    """The body of ``launch``.

    It names the ACS user by ``create_credential_manager_user: true``, by ``credential_manager_acs_user_id``, or not at
    all.
    """

    user_identity_id: Annotated[
        Uuid, Field(description="ID of the user identity for which to launch an enrollment automation.")
    ]
    credential_manager_acs_system_id: Annotated[
        Uuid, Field(description="ID of the access system that serves as the credential manager.")
    ]
    acs_credential_pool_id: Annotated[
        OptionalUuid, Field(description="ID of the credential pool from which to obtain credentials.")
    ] = None
    create_credential_manager_user: Annotated[
        OptionalBoolean,
        Field(
            description="Whether to use the user identity's ACS user in that system, or link an unlinked one with its "
            "email address or phone number, or create one, in this order; not together with "
            "`credential_manager_acs_user_id`."
        ),
    ] = None
    credential_manager_acs_user_id: Annotated[
        OptionalUuid,
        Field(description="ID of the associated access system user within the credential manager."),
    ] = None

    BOTH_USERS: ClassVar[str] = (
        "Cannot specify credential_manager_acs_user_id when create_credential_manager_user is true"
    )

    @model_validator(mode="after")
    def _one_way_to_name_the_acs_user(self) -> Self:
        if self.create_credential_manager_user and self.credential_manager_acs_user_id is not None:
            raise PydanticCustomError("both_users", self.BOTH_USERS)
        return self


class GetAutomationRequest(Request):
    """The parameters of ``get``."""

    enrollment_automation_id: Annotated[Uuid, Field(description="ID of the enrollment automation to get.")]


class ListAutomationsRequest(Request):
    """The parameters of ``list``."""

    user_identity_id: Annotated[
        Uuid, Field(description="ID of the user identity whose enrollment automations to list.")
    ]


class DeleteAutomationRequest(Request):
    """The parameters of ``delete``."""

    enrollment_automation_id: Annotated[Uuid, Field(description="ID of the enrollment automation to delete.")]


class Response(BaseModel):
    """What a route answers with, or a part of it."""

    # What has a default is there all the same.
    model_config = ConfigDict(defer_build=True, frozen=True, json_schema_serialization_defaults_required=True)


class Pagination(Response):
    """Where a page stands in its list."""

    has_next_page: Annotated[bool, Field(description="Whether there is a page after this one.")]
    next_page_cursor: Annotated[
        str | None, Field(description="What the next page's `page_cursor` is; `null` on the last page.")
    ]
    next_page_url: Annotated[
        str | None,
        Field(
            description="URL of the next page, for the same token; `null` on the last page.",
            json_schema_extra={"format": "uri"},
        ),
    ]


class EnrollmentAutomation(Response):
    """The enrollment of a user identity with a credential manager."""

    # Exactly the seven published properties.

    user_identity_id: Annotated[KnownUuid, Field(description="ID of the enrolled user identity.")]
    enrollment_automation_id: Annotated[KnownUuid, Field(description="ID of the enrollment automation.")]
    acs_credential_provisioning_automation_id: Annotated[
        KnownUuid, Field(description="ID of the credential provisioning automation; the same as the automation's.")
    ]
    credential_manager_acs_system_id: Annotated[
        KnownUuid, Field(description="ID of the access system that serves as the credential manager.")
    ]
    is_running: Annotated[bool, Field(description="Whether the enrollment automation is running.")]
    workspace_id: Annotated[KnownUuid, Field(description="ID of the workspace that contains the automation.")]
    created_at: Annotated[
        str, Field(description="When the automation was created, in UTC.", json_schema_extra={"format": "date-time"})
    ]


class AutomationResponse(Response):
    """The answer to ``launch`` and ``get``."""

    enrollment_automation: EnrollmentAutomation
    ok: Literal[True] = True


class AutomationsResponse(Response):
    """The answer to ``list``."""

    enrollment_automations: list[EnrollmentAutomation]
    ok: Literal[True] = True


class DoneResponse(Response):
    """An answer that something is done."""

    ok: Literal[True] = True
