"""The routes of access control systems, their credential pools and their users."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.errors import (
    AcsAccessGroupNotFound,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserInUse,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    UserIdentityNotFound,
)
from enrollment.http.api import Api, ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors
from enrollment.log import create_logger
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
from enrollment.use_cases import acs_systems, acs_users

settings = Settings.from_environment()
api = Api(create_logger(), settings.cors_origins)
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)


@api.route("/acs/systems/get", "GET", "POST", errors=[AcsSystemNotFound])
def get_system(request: AcsSystemRequest) -> AcsSystemResponse:
    """Get an access system."""
    return AcsSystemResponse(acs_system=acs_systems.get_system(table, api.caller, request))


@api.route("/acs/systems/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_systems(request: ListAcsSystemsRequest) -> AcsSystemsPageResponse:
    """List access systems, newest first.

    A client session sees those in which its user identities have ACS users.
    """
    page = acs_systems.list_systems(table, api.caller, request, api.position(cursors, request))
    pagination = api.pagination(cursors, request, page.next_position)
    return AcsSystemsPageResponse(acs_systems=page.records, pagination=pagination)


@api.route("/acs/systems/list_compatible_credential_manager_acs_systems", "GET", "POST", errors=[AcsSystemNotFound])
def list_compatible_credential_managers(request: AcsSystemRequest) -> AcsSystemsResponse:
    """List the credential managers that can issue credentials for an access system, newest first.

    Those that the access system names; if it names none, all of the workspace.
    """
    found = acs_systems.list_compatible_credential_managers(table, api.caller, request)
    return AcsSystemsResponse(acs_systems=found)


@api.route("/acs/credential_pools/list", "GET", "POST", errors=[AcsSystemNotFound])
def list_credential_pools(request: ListAcsCredentialPoolsRequest) -> AcsCredentialPoolsResponse:
    """List the credential pools of an access system, newest first."""
    page = acs_systems.list_credential_pools(table, api.caller, request, api.position(cursors, request))
    pagination = api.pagination(cursors, request, page.next_position)
    return AcsCredentialPoolsResponse(acs_credential_pools=page.records, pagination=pagination)


@api.route(
    "/acs/users/create",
    "POST",
    errors=[AcsSystemNotFound, UserIdentityNotFound, AcsAccessGroupNotFound, AcsUserAlreadyLinked],
)
def create_user(request: CreateAcsUserRequest) -> AcsUserResponse:
    """Create an ACS user."""
    created = acs_users.create_user(table, api.caller, request)
    api.note("created", acs_user_id=created.acs_user_id)
    return AcsUserResponse(acs_user=created)


@api.route("/acs/users/get", "GET", "POST", errors=[UserIdentityNotFound, AcsUserNotFound, AcsUserNotInAcsSystem])
def get_user(request: AcsUserRequest) -> AcsUserResponse:
    """Get an ACS user, by its id or by user identity and access system."""
    return AcsUserResponse(acs_user=acs_users.get_user(table, api.caller, request))


@api.route("/acs/users/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_users(request: ListAcsUsersRequest) -> AcsUsersPageResponse:
    """List ACS users, newest first.

    A client session sees those of its user identities.
    """
    page = acs_users.list_users(table, api.caller, request, api.position(cursors, request))
    pagination = api.pagination(cursors, request, page.next_position)
    return AcsUsersPageResponse(acs_users=page.records, pagination=pagination)


@api.route(
    "/acs/users/delete",
    "DELETE",
    "POST",
    errors=[UserIdentityNotFound, AcsUserNotFound, AcsUserNotInAcsSystem, AcsUserInUse],
)
def delete_user(request: AcsUserRequest) -> DoneResponse:
    """Delete an ACS user that no enrollment automation uses."""
    acs_users.delete_user(table, api.caller, request)
    api.note("deleted", acs_user_id=request.acs_user_id)
    return DoneResponse()


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
