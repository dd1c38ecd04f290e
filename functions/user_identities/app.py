"""The routes of user identities."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import (
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    UserIdentityAlreadyExists,
    UserIdentityNotFound,
)
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.resources.acs_systems import AcsSystemsResponse
from enrollment.resources.acs_users import AcsUsersResponse
from enrollment.resources.bodies import DoneResponse
from enrollment.resources.user_identities import (
    AddAcsUserRequest,
    CreateUserIdentityRequest,
    GetUserIdentityRequest,
    ListUserIdentitiesRequest,
    RemoveAcsUserRequest,
    UpdateUserIdentityRequest,
    UserIdentitiesResponse,
    UserIdentityRequest,
    UserIdentityResponse,
)
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import acs_systems, user_identities

_ROOT = "/user_identities"

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@api.route(f"{_ROOT}/create", "POST", errors=[AcsSystemNotFound, UserIdentityAlreadyExists])
def create(request: CreateUserIdentityRequest, caller: Caller) -> Answer[UserIdentityResponse]:
    """Create a user identity."""
    created = user_identities.create(table, caller, request)
    body = UserIdentityResponse(user_identity=created)
    return Answer(body, "created", {"user_identity_id": created.user_identity_id})


@api.route(f"{_ROOT}/get", "GET", "POST", errors=[UserIdentityNotFound])
def get(request: GetUserIdentityRequest, caller: Caller) -> Answer[UserIdentityResponse]:
    """Get a user identity by its id or key."""
    return Answer(UserIdentityResponse(user_identity=user_identities.get(table, caller, request)))


@api.route(f"{_ROOT}/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_(request: ListUserIdentitiesRequest, caller: Caller, page: RequestedPage) -> Answer[UserIdentitiesResponse]:
    """List user identities, newest first.

    With `credential_manager_acs_system_id` alone they have no order. A client session sees its own.
    """
    found = user_identities.list_page(table, caller, request, page.position)
    pagination = page.pagination(found.next_position)
    return Answer(UserIdentitiesResponse(user_identities=found.records, pagination=pagination))


@api.route(f"{_ROOT}/update", "PATCH", "POST", errors=[UserIdentityNotFound, UserIdentityAlreadyExists])
def update(request: UpdateUserIdentityRequest, caller: Caller) -> Answer[DoneResponse]:
    """Update a user identity.

    An absent parameter leaves its property as it is; `null` removes it.
    """
    user_identities.update(table, caller, request)
    return Answer(DoneResponse(), "updated", {"user_identity_id": request.user_identity_id})


@api.route(f"{_ROOT}/delete", "DELETE", "POST", errors=[UserIdentityNotFound])
def delete(request: UserIdentityRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete a user identity with all that belongs to it.

    That is its client sessions, enrollment automations, ACS users, credentials and phones.

    If a deletion was interrupted, or took longer than a request may (503), call delete again to finish it.
    """
    user_identities.delete(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"user_identity_id": request.user_identity_id})


@api.route(
    f"{_ROOT}/add_acs_user",
    "POST",
    "PUT",
    errors=[UserIdentityNotFound, AcsUserNotFound, AcsUserAlreadyLinked, UserIdentityAlreadyExists],
)
def add_acs_user(request: AddAcsUserRequest, caller: Caller) -> Answer[DoneResponse]:
    """Link an ACS user to a user identity.

    If it is linked to that user identity already, nothing changes. A user identity has at most one ACS user in each
    access system.
    """
    user_identities.add_acs_user(table, caller, request)
    return Answer(DoneResponse(), "linked", {"acs_user_id": request.acs_user_id})


@api.route(f"{_ROOT}/remove_acs_user", "DELETE", "POST", errors=[UserIdentityNotFound, AcsUserNotFound])
def remove_acs_user(request: RemoveAcsUserRequest, caller: Caller) -> Answer[DoneResponse]:
    """Unlink an ACS user from a user identity.

    Its credentials are deleted. An enrollment automation that uses it goes on without one.
    """
    user_identities.remove_acs_user(table, caller, request)
    return Answer(DoneResponse(), "unlinked", {"acs_user_id": request.acs_user_id})


@api.route(f"{_ROOT}/list_acs_users", "GET", "POST", errors=[UserIdentityNotFound])
def list_acs_users(request: UserIdentityRequest, caller: Caller) -> Answer[AcsUsersResponse]:
    """List the ACS users of a user identity."""
    return Answer(AcsUsersResponse(acs_users=user_identities.list_acs_users(table, caller, request)))


@api.route(f"{_ROOT}/list_acs_systems", "GET", "POST", errors=[UserIdentityNotFound], for_client_sessions=True)
def list_acs_systems(request: UserIdentityRequest, caller: Caller) -> Answer[AcsSystemsResponse]:
    """List the access systems in which a user identity has an ACS user."""
    found = acs_systems.systems_of_user_identity(table, caller, request.user_identity_id)
    return Answer(AcsSystemsResponse(acs_systems=found))


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
