"""The routes of client sessions and workspaces."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from functools import cache

from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller, Principal
from enrollment.errors import (
    ClientSessionNotFound,
    ConnectedAccountNotFound,
    ConnectWebviewNotFound,
    UserIdentityNotFound,
)
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.resources.bodies import DoneResponse
from enrollment.resources.client_sessions import (
    ClientSessionRequest,
    ClientSessionResponse,
    ClientSessionsResponse,
    CreateClientSessionRequest,
    GetClientSessionRequest,
    GrantAccessRequest,
    ListClientSessionsRequest,
)
from enrollment.resources.workspaces import (
    GetWorkspaceRequest,
    ListWorkspacesRequest,
    WorkspaceResponse,
    WorkspacesResponse,
)
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import client_sessions, workspaces

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@cache
def master() -> MasterSecret:
    """Return the master secret of client sessions.  Its client is made when it is first needed."""
    return MasterSecret(create_outbound_client("secretsmanager"), settings.client_sessions_secret_arn)


@api.route(
    "/client_sessions/create",
    "PUT",
    "POST",
    errors=[UserIdentityNotFound, ConnectedAccountNotFound, ConnectWebviewNotFound],
)
def create_client_session(request: CreateClientSessionRequest, caller: Caller) -> Answer[ClientSessionResponse]:
    """Create a client session. Its token is for an app: it sees the named user identities only.

    It is a new one, even if there is another one of the same key or user identities.
    """
    created = client_sessions.create(table, caller, request, master=master().value())
    facts = {"client_session_id": created.client_session_id}
    return Answer(ClientSessionResponse(client_session=created), "created", facts)


@api.route(
    "/client_sessions/get_or_create",
    "POST",
    errors=[UserIdentityNotFound, ConnectedAccountNotFound, ConnectWebviewNotFound],
)
def get_or_create_client_session(request: CreateClientSessionRequest, caller: Caller) -> Answer[ClientSessionResponse]:
    """Get a client session, or create it if there is none.

    It is the one of the `user_identifier_key`; without a key, one of exactly these user identities. Revoked and
    expired ones do not count. Calls at the same moment get the same one. One that is found by its key also gets the
    user identities that it lacks. If there is one, `expires_at` changes when it expires.
    """
    found = client_sessions.get_or_create(table, caller, request, master=master().value())
    facts = {"client_session_id": found.client_session_id}
    return Answer(ClientSessionResponse(client_session=found), facts=facts)


@api.route("/client_sessions/get", "GET", "POST", errors=[ClientSessionNotFound], for_client_sessions=True)
def get_client_session(request: GetClientSessionRequest, caller: Caller) -> Answer[ClientSessionResponse]:
    """Get a client session by its ID, its `user_identifier_key`, or both.

    A client session gets itself, and needs no parameters. A revoked one is not found.
    """
    found = client_sessions.get(table, caller, request, master=master().value())
    return Answer(ClientSessionResponse(client_session=found))


@api.route("/client_sessions/list", "GET", "POST", errors=[])
def list_client_sessions(
    request: ListClientSessionsRequest, caller: Caller, page: RequestedPage
) -> Answer[ClientSessionsResponse]:
    """List client sessions, newest first, without revoked ones."""
    found = client_sessions.list_page(table, caller, request, page.position, master=master().value())
    body = ClientSessionsResponse(client_sessions=found.records, pagination=page.pagination(found.next_position))
    return Answer(body)


@api.route(
    "/client_sessions/grant_access",
    "PATCH",
    "POST",
    errors=[ClientSessionNotFound, UserIdentityNotFound, ConnectedAccountNotFound, ConnectWebviewNotFound],
)
def grant_access(request: GrantAccessRequest, caller: Caller) -> Answer[ClientSessionResponse]:
    """Grant a client session access to more user identities. It keeps its token."""
    granted = client_sessions.grant_access(table, caller, request, master=master().value())
    facts = {"client_session_id": granted.client_session_id}
    return Answer(ClientSessionResponse(client_session=granted), "granted", facts)


@api.route("/client_sessions/revoke", "POST", errors=[ClientSessionNotFound])
def revoke_client_session(request: ClientSessionRequest, caller: Caller) -> Answer[DoneResponse]:
    """Revoke a client session. Its token stops working within the time that decisions about tokens are kept."""
    client_sessions.revoke(table, caller, request)
    return Answer(DoneResponse(), "revoked", {"client_session_id": request.client_session_id})


@api.route("/client_sessions/delete", "DELETE", "POST", errors=[ClientSessionNotFound])
def delete_client_session(request: ClientSessionRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete a client session. Its token stops working within the time that decisions about tokens are kept."""
    client_sessions.delete(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"client_session_id": request.client_session_id})


@api.route("/workspaces/get", "GET", "POST", errors=[], for_client_sessions=True)
def get_workspace(request: GetWorkspaceRequest, caller: Caller) -> Answer[WorkspaceResponse]:  # noqa: ARG001
    """Get the workspace of the request."""
    return Answer(WorkspaceResponse(workspace=workspaces.get(table, caller)))


@api.route("/workspaces/list", "GET", "POST", errors=[], for_client_sessions=True, across_workspaces=True)
def list_workspaces(request: ListWorkspacesRequest, principal: Principal) -> Answer[WorkspacesResponse]:  # noqa: ARG001
    """List the workspaces that the token may enter."""
    return Answer(WorkspacesResponse(workspaces=workspaces.list_of_token(table, principal)))


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
