"""The routes of access control systems, their credential pools, their users and credentials."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import (
    AcsAccessGroupNotFound,
    AcsCredentialNotFound,
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserHasNoUserIdentity,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    CredentialManagerNotCompatible,
    NoCredentialManager,
    TooManyAcsCredentials,
    UserIdentityNotFound,
)
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.resources.acs_credentials import (
    AcsCredentialRequest,
    AcsCredentialResponse,
    AcsCredentialsResponse,
    CreateAcsCredentialRequest,
    ListAcsCredentialsRequest,
    UpdateAcsCredentialRequest,
)
from enrollment.resources.acs_systems import (
    AcsCredentialPoolsResponse,
    AcsSystemRequest,
    AcsSystemResponse,
    AcsSystemsPageResponse,
    AcsSystemsResponse,
    ListAcsCredentialPoolsRequest,
    ListAcsSystemsRequest,
)
from enrollment.resources.acs_users import (
    AcsUserRequest,
    AcsUserResponse,
    AcsUsersPageResponse,
    CreateAcsUserRequest,
    ListAcsUsersRequest,
)
from enrollment.resources.bodies import DoneResponse
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import acs_systems, acs_users, credentials

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@api.route("/acs/systems/get", "GET", "POST", errors=[AcsSystemNotFound])
def get_system(request: AcsSystemRequest, caller: Caller) -> Answer[AcsSystemResponse]:
    """Get an access system."""
    return Answer(AcsSystemResponse(acs_system=acs_systems.get_system(table, caller, request)))


@api.route("/acs/systems/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_systems(request: ListAcsSystemsRequest, caller: Caller, page: RequestedPage) -> Answer[AcsSystemsPageResponse]:
    """List access systems, newest first.

    A client session sees those in which its user identities have ACS users.
    """
    found = acs_systems.list_systems(table, caller, request, page.position)
    return Answer(AcsSystemsPageResponse(acs_systems=found.records, pagination=page.pagination(found.next_position)))


@api.route("/acs/systems/list_compatible_credential_manager_acs_systems", "GET", "POST", errors=[AcsSystemNotFound])
def list_compatible_credential_managers(request: AcsSystemRequest, caller: Caller) -> Answer[AcsSystemsResponse]:
    """List the credential managers that can issue credentials for an access system, newest first.

    They are those that the access system names; if it names none, all of the workspace.
    """
    found = acs_systems.list_compatible_credential_managers(table, caller, request)
    return Answer(AcsSystemsResponse(acs_systems=found))


@api.route("/acs/credential_pools/list", "GET", "POST", errors=[AcsSystemNotFound])
def list_credential_pools(
    request: ListAcsCredentialPoolsRequest, caller: Caller, page: RequestedPage
) -> Answer[AcsCredentialPoolsResponse]:
    """List the credential pools of an access system, newest first."""
    found = acs_systems.list_credential_pools(table, caller, request, page.position)
    pagination = page.pagination(found.next_position)
    return Answer(AcsCredentialPoolsResponse(acs_credential_pools=found.records, pagination=pagination))


@api.route(
    "/acs/users/create",
    "POST",
    errors=[AcsSystemNotFound, UserIdentityNotFound, AcsAccessGroupNotFound, AcsUserAlreadyLinked],
)
def create_user(request: CreateAcsUserRequest, caller: Caller) -> Answer[AcsUserResponse]:
    """Create an ACS user."""
    created = acs_users.create_user(table, caller, request)
    return Answer(AcsUserResponse(acs_user=created), "created", {"acs_user_id": created.acs_user_id})


@api.route("/acs/users/get", "GET", "POST", errors=[UserIdentityNotFound, AcsUserNotFound, AcsUserNotInAcsSystem])
def get_user(request: AcsUserRequest, caller: Caller) -> Answer[AcsUserResponse]:
    """Get an ACS user, by its id or by user identity and access system."""
    return Answer(AcsUserResponse(acs_user=acs_users.get_user(table, caller, request)))


@api.route("/acs/users/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_users(request: ListAcsUsersRequest, caller: Caller, page: RequestedPage) -> Answer[AcsUsersPageResponse]:
    """List ACS users, newest first.

    A client session sees those of its user identities.
    """
    found = acs_users.list_users(table, caller, request, page.position)
    return Answer(AcsUsersPageResponse(acs_users=found.records, pagination=page.pagination(found.next_position)))


@api.route(
    "/acs/users/delete",
    "DELETE",
    "POST",
    errors=[UserIdentityNotFound, AcsUserNotFound, AcsUserNotInAcsSystem],
)
def delete_user(request: AcsUserRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete an ACS user with its credentials.

    An enrollment automation that uses it goes on without one.
    """
    acs_users.delete_user(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"acs_user_id": request.acs_user_id})


@api.route(
    "/acs/credentials/create",
    "POST",
    errors=[
        UserIdentityNotFound,
        AcsUserNotFound,
        AcsUserNotInAcsSystem,
        AcsUserHasNoUserIdentity,
        AcsSystemNotFound,
        AcsSystemIsNotCredentialManager,
        CredentialManagerNotCompatible,
        NoCredentialManager,
        TooManyAcsCredentials,
    ],
)
def create_credential(request: CreateAcsCredentialRequest, caller: Caller) -> Answer[AcsCredentialResponse]:
    """Create a credential for a person's phones.

    There are multi-phone sync credentials only, with the access method `mobile_key`. Other parameters that are
    published, like `code`, are ignored.
    """
    created = credentials.create(table, caller, request)
    facts = {"acs_credential_id": created.acs_credential_id, "acs_user_id": created.acs_user_id}
    return Answer(AcsCredentialResponse(acs_credential=created), "created", facts)


@api.route("/acs/credentials/get", "GET", "POST", errors=[AcsCredentialNotFound])
def get_credential(request: AcsCredentialRequest, caller: Caller) -> Answer[AcsCredentialResponse]:
    """Get a credential."""
    return Answer(AcsCredentialResponse(acs_credential=credentials.get(table, caller, request)))


@api.route("/acs/credentials/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_credentials(
    request: ListAcsCredentialsRequest, caller: Caller, page: RequestedPage
) -> Answer[AcsCredentialsResponse]:
    """List credentials, newest first.

    A client session sees those of its user identities.
    """
    found = credentials.list_page(table, caller, request, page.position)
    pagination = page.pagination(found.next_position)
    return Answer(AcsCredentialsResponse(acs_credentials=found.records, pagination=pagination))


@api.route("/acs/credentials/update", "PATCH", "POST", errors=[AcsCredentialNotFound])
def update_credential(request: UpdateAcsCredentialRequest, caller: Caller) -> Answer[AcsCredentialResponse]:
    """Change when a credential ends."""
    updated = credentials.update(table, caller, request)
    facts = {"acs_credential_id": request.acs_credential_id}
    return Answer(AcsCredentialResponse(acs_credential=updated), "updated", facts)


@api.route("/acs/credentials/delete", "DELETE", "POST", errors=[AcsCredentialNotFound])
def delete_credential(request: AcsCredentialRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete a credential."""
    credentials.delete_one(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"acs_credential_id": request.acs_credential_id})


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
