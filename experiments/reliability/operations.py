"""Everything that can be asked of the service, in each of its ways, of one small workspace."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from click.testing import CliRunner

from enrollment.callers import Caller, Principal, TokenKind
from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.use_cases.tokens import NewToken, create_token
from enrollments.connectors.commands import connectors
from enrollments.directory.commands import directory
from enrollments.local.stack import Stack
from enrollments.tokens import tokens
from local_aws.functions import FunctionError
from local_aws.gateway import Gateway, Request
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

_AUTOMATIONS = "/user_identities/enrollment_automations"
_UNAVAILABLE = {
    "error": {"type": "service_unavailable", "message": "The service is temporarily unavailable; try again"},
    "ok": False,
}


# What a world has, by name.
ID_NAMES = (
    *("manager", "garage", "pool", "jane", "ann", "bea", "cleo"),
    *("anns", "anns_in_garage", "cleos", "nobodys", "automation", "session", "token"),
    *("dina", "dinas", "phone", "credential", "connected_workspace", "connected_manager"),
)


@dataclass(frozen=True)
class World:
    """A workspace: who and what is in it.

    Attributes:
        items: The whole table.
        ids: Ids and the token by their names.
    """

    workspace_id: str
    items: Mapping[Key, Item]
    ids: Mapping[str, str]

    def __getattr__(self, name: str) -> str:
        return self.ids[name]


def build_world(store: Store) -> World:
    """Put a workspace into an empty table.

    Jane has nothing but her addresses.  Ann is enrolled, with an ACS user in both systems.  Bea has one in the
    credential manager.  One that nobody has there has Cleo's email address, another one a phone number that nobody has.
    Dina has a phone, and a credential in the garage.  Another workspace is no sandbox, and its credential manager has a
    connector, which is paused.
    """
    workspace = Workspace(store.table, str(uuid4()))
    people = Directory(store.table, Caller(workspace.workspace_id))
    manager = workspace.credential_manager()
    garage = workspace.acs_system(default_credential_manager_acs_system_id=manager)
    jane = workspace.user_identity(
        user_identity_key="jane", email_address="jane@example.com", phone_number="+15555550100", full_name="Jane"
    )
    ann, bea, cleo = (
        workspace.user_identity(),
        workspace.user_identity(),
        workspace.user_identity(email_address="c@x.com"),
    )
    anns, anns_in_garage, beas = workspace.acs_user(manager), workspace.acs_user(garage), workspace.acs_user(manager)
    people.add(anns, user_identity_id=ann)
    people.add(anns_in_garage, user_identity_id=ann)
    people.add(beas, user_identity_id=bea)
    workspace.become_sandbox()
    dina = workspace.user_identity()
    dinas = people.create_acs_user(garage, user_identity_id=dina).acs_user_id
    connected = Workspace(store.table, str(uuid4()))
    connected.exist()
    connected_manager = connected.credential_manager()
    connected.connect(connected_manager, paused_at="2026-01-09T05:45:33.068Z")
    ids = {
        "connected_workspace": connected.workspace_id,
        "connected_manager": connected_manager,
        "manager": manager,
        "garage": garage,
        "pool": workspace.acs_credential_pool(manager),
        "jane": jane,
        "ann": ann,
        "bea": bea,
        "cleo": cleo,
        "anns": anns,
        "anns_in_garage": anns_in_garage,
        "cleos": workspace.acs_user(manager, email_address="c@x.com"),
        "nobodys": workspace.acs_user(manager, phone_number="+15555550199", full_name="Dora"),
        "automation": people.launch(ann, manager).enrollment_automation_id,
        "dina": dina,
        "dinas": dinas,
        "phone": people.create_phone(dina, custom_sdk_installation_id="known").device_id,
        "credential": people.create_credential(dinas).acs_credential_id,
        "session": workspace.client_session(ann, user_identifier_key="ann").client_session_id,
        "token": create_token(store.table, NewToken(TokenKind.API_KEY, [workspace.workspace_id])),
    }
    return World(workspace.workspace_id, store.items(), ids)


@dataclass(frozen=True)
class Answer:
    """The answer to an operation.

    Attributes:
        status: HTTP's, or the exit status of a command; ``None`` is an authorizer that raised.
        body: JSON, or what a command has printed.
        is_unavailable: It says, as the contract wants it, that the database is out of reach.
    """

    status: int | None
    body: Any
    is_unavailable: bool


@dataclass(frozen=True)
class Site:
    """Where operations are asked for.

    Attributes:
        stack: The service.
        endpoint: Where commands find DynamoDB.
        file: What is imported.
        cursors: Page cursors that have been answered.
    """

    stack: Stack
    endpoint: str
    file: str
    cursors: dict[str, str] = field(default_factory=dict)


type Ask = Callable[[Site], Answer]


@dataclass(frozen=True)
class Operation:
    """Something to ask for.

    Attributes:
        ask: Asks.
        before: Is asked for before, without a fault.
        is_warm: The functions still know what they have read for that.
        is_in_steps: It is more than one transaction, so that it can stay half done.
        doubles: It creates something without a unique value, so that repeating it creates a second one.
        may_lose: The kind of request whose failure changes no answer.
    """

    ask: Ask
    before: Ask | None = None
    is_warm: bool = False
    is_in_steps: bool = False
    doubles: bool = False
    may_lose: str = ""


def operations(world: World) -> dict[str, Operation]:
    """Return the operations by name."""
    w = world
    route = partial(_route, world)
    launch = partial(route, f"{_AUTOMATIONS}/launch", credential_manager_acs_system_id=w.manager)
    page: dict[str, Any] = {"limit": 1}
    return {
        "launch": Operation(launch(user_identity_id=w.jane)),
        "launch, credential manager known": Operation(
            launch(user_identity_id=w.jane), before=launch(user_identity_id=w.cleo), is_warm=True
        ),
        "launch, with a pool": Operation(launch(user_identity_id=w.jane, acs_credential_pool_id=w.pool)),
        "launch, with an ACS user named": Operation(
            launch(user_identity_id=w.jane, credential_manager_acs_user_id=w.nobodys)
        ),
        "launch, with the ACS user linked": Operation(
            launch(user_identity_id=w.bea, create_credential_manager_user=True)
        ),
        "launch, with one that matches": Operation(
            launch(user_identity_id=w.cleo, create_credential_manager_user=True)
        ),
        "launch, with a new ACS user": Operation(launch(user_identity_id=w.jane, create_credential_manager_user=True)),
        "launch, again": Operation(launch(user_identity_id=w.ann)),
        "launch, again in another way": Operation(launch(user_identity_id=w.ann, acs_credential_pool_id=w.pool)),
        "automation: get": Operation(route(f"{_AUTOMATIONS}/get", enrollment_automation_id=w.automation)),
        "automation: list": Operation(route(f"{_AUTOMATIONS}/list", user_identity_id=w.ann)),
        "automation: delete": Operation(route(f"{_AUTOMATIONS}/delete", enrollment_automation_id=w.automation)),
        "identity: create, nothing unique": Operation(route("/user_identities/create", full_name="New"), doubles=True),
        "identity: create": Operation(route("/user_identities/create", email_address="new@example.com")),
        "identity: create, in systems": Operation(
            route("/user_identities/create", user_identity_key="new", acs_system_ids=[w.manager, w.garage])
        ),
        "identity: create, with ACS user that matches": Operation(
            route("/user_identities/create", phone_number="+15555550199", acs_system_ids=[w.manager])
        ),
        "identity: create, taken": Operation(route("/user_identities/create", email_address="JANE@example.com")),
        "identity: get": Operation(route("/user_identities/get", user_identity_id=w.jane)),
        "identity: get by key": Operation(route("/user_identities/get", user_identity_key="jane")),
        "identity: list": Operation(route("/user_identities/list")),
        "identity: list enrolled": Operation(
            route("/user_identities/list", credential_manager_acs_system_id=w.manager)
        ),
        "identity: list named and enrolled": Operation(
            route(
                "/user_identities/list",
                credential_manager_acs_system_id=w.manager,
                user_identity_ids=[w.ann, w.bea],
            )
        ),
        "identity: list, first page ever": Operation(route("/user_identities/list", **page)),
        "identity: list, next page": Operation(
            route("/user_identities/list", cursor="identities", **page), before=route("/user_identities/list", **page)
        ),
        "identity: update": Operation(route("/user_identities/update", user_identity_id=w.jane, full_name="J. Doe")),
        "identity: update unique values": Operation(
            route(
                "/user_identities/update",
                user_identity_id=w.jane,
                user_identity_key="j",
                email_address="j@example.com",
                phone_number=None,
            )
        ),
        "identity: update, taken": Operation(
            route("/user_identities/update", user_identity_id=w.jane, email_address="C@x.com")
        ),
        "identity: delete": Operation(route("/user_identities/delete", user_identity_id=w.jane), is_in_steps=True),
        "identity: delete, enrolled and linked": Operation(
            route("/user_identities/delete", user_identity_id=w.ann), is_in_steps=True
        ),
        "identity: add ACS user": Operation(
            route("/user_identities/add_acs_user", acs_user_id=w.nobodys, user_identity_id=w.jane)
        ),
        "identity: add ACS user by key": Operation(
            route("/user_identities/add_acs_user", acs_user_id=w.nobodys, user_identity_key="jane")
        ),
        "identity: add ACS user by new key": Operation(
            route("/user_identities/add_acs_user", acs_user_id=w.nobodys, user_identity_key="new")
        ),
        "identity: remove ACS user": Operation(
            route("/user_identities/remove_acs_user", acs_user_id=w.anns_in_garage, user_identity_id=w.ann)
        ),
        "identity: remove ACS user in use": Operation(
            route("/user_identities/remove_acs_user", acs_user_id=w.anns, user_identity_id=w.ann)
        ),
        "identity: list ACS users": Operation(route("/user_identities/list_acs_users", user_identity_id=w.ann)),
        "identity: list ACS systems": Operation(route("/user_identities/list_acs_systems", user_identity_id=w.ann)),
        "system: get": Operation(route("/acs/systems/get", acs_system_id=w.garage)),
        "system: list": Operation(route("/acs/systems/list")),
        "system: list, as a client session": Operation(route("/acs/systems/list", session=w.ann)),
        "system: credential managers that it names": Operation(
            route("/acs/systems/list_compatible_credential_manager_acs_systems", acs_system_id=w.garage)
        ),
        "system: credential managers, all": Operation(
            route("/acs/systems/list_compatible_credential_manager_acs_systems", acs_system_id=w.manager)
        ),
        "pool: list": Operation(route("/acs/credential_pools/list", acs_system_id=w.manager)),
        "ACS user: create": Operation(
            route("/acs/users/create", full_name="New", acs_system_id=w.garage, email_address="new@example.com"),
            doubles=True,
        ),
        "ACS user: create, linked": Operation(
            route("/acs/users/create", full_name="New", acs_system_id=w.garage, user_identity_id=w.jane)
        ),
        "ACS user: get": Operation(route("/acs/users/get", acs_user_id=w.anns)),
        "ACS user: get by identity": Operation(route("/acs/users/get", user_identity_id=w.ann, acs_system_id=w.garage)),
        "ACS user: list": Operation(route("/acs/users/list")),
        "ACS user: list of a system, next page": Operation(
            route("/acs/users/list", cursor="acs_users", acs_system_id=w.manager, **page),
            before=route("/acs/users/list", acs_system_id=w.manager, **page),
        ),
        "ACS user: list by email address": Operation(
            route("/acs/users/list", user_identity_email_address="jane@example.com")
        ),
        "ACS user: list, as a client session": Operation(route("/acs/users/list", session=w.ann)),
        "ACS user: delete": Operation(route("/acs/users/delete", acs_user_id=w.nobodys)),
        "ACS user: delete, linked": Operation(
            route("/acs/users/delete", user_identity_id=w.ann, acs_system_id=w.garage)
        ),
        **_operations_of_phones(world),
        "client session: create": Operation(
            route("/client_sessions/create", user_identity_ids=[w.ann, w.bea], user_identifier_key="ann"), doubles=True
        ),
        "client session: get or create, new": Operation(
            route("/client_sessions/get_or_create", user_identity_id=w.bea)
        ),
        "client session: get or create, existing": Operation(
            route("/client_sessions/get_or_create", user_identity_id=w.ann)
        ),
        "client session: get or create, by key": Operation(
            route("/client_sessions/get_or_create", user_identity_id=w.bea, user_identifier_key="ann")
        ),
        "client session: get": Operation(route("/client_sessions/get", client_session_id=w.session)),
        "client session: get by key": Operation(route("/client_sessions/get", user_identifier_key="ann")),
        "client session: list": Operation(route("/client_sessions/list", user_identity_id=w.ann)),
        "client session: grant access": Operation(
            route("/client_sessions/grant_access", client_session_id=w.session, user_identity_id=w.bea)
        ),
        "client session: revoke": Operation(route("/client_sessions/revoke", client_session_id=w.session)),
        "client session: delete": Operation(route("/client_sessions/delete", client_session_id=w.session)),
        "workspace: get": Operation(route("/workspaces/get")),
        "workspace: list": Operation(route("/workspaces/list")),
        "authorizer": Operation(partial(_authorize, w.token), may_lose="UpdateItem"),
        "request with a token that the gateway has not seen": Operation(partial(_request, w), may_lose="UpdateItem"),
        "command: tokens create": Operation(
            _command(tokens, "create", "--kind", "api-key", "--workspace-id", w.workspace_id), doubles=True
        ),
        "command: tokens list": Operation(_command(tokens, "list")),
        "command: tokens revoke": Operation(_command(tokens, "revoke", w.token.split("_")[1])),
        "command: tokens rotate": Operation(_command(tokens, "rotate", w.token.split("_")[1]), doubles=True),
        "command: connectors show": Operation(_of_connector(w, "show", "--json")),
        # Each time that one is set or resumed, it has another revision.  `experiments/reliability/rounds.py` has these.
        "command: connectors remove": Operation(_of_connector(w, "remove")),
        "command: directory import": Operation(
            _command(directory, "import", "--workspace-id", w.workspace_id, is_file=True), is_in_steps=True
        ),
        "command: directory export": Operation(_command(directory, "export", "--workspace-id", w.workspace_id)),
        "command: directory check": Operation(_command(directory, "check", "--workspace-id", w.workspace_id)),
    }


def _operations_of_phones(world: World) -> dict[str, Operation]:
    """Return the operations on phones and credentials by name."""
    w = world
    route = partial(_route, world)
    app = partial(route, "/seam/mobile_sdk/v1/phone_sessions/get_or_create", phone_os="ios")
    create = partial(route, "/acs/credentials/create", access_method="mobile_key", is_multi_phone_sync_credential=True)
    end = "2099-01-01T00:00:00Z"
    return {
        "phone: register": Operation(app(session=w.ann, custom_sdk_installation_id="new")),
        "phone: register again, changed": Operation(
            app(session=w.dina, custom_sdk_installation_id="known", phone_device_metadata={"os_version": "26"})
        ),
        "phone: simulate": Operation(
            route("/phones/simulate/create_sandbox_phone", user_identity_id=w.jane), doubles=True
        ),
        "phone: get": Operation(route("/phones/get", device_id=w.phone)),
        "phone: list": Operation(route("/phones/list")),
        "phone: list of a user identity": Operation(route("/phones/list", owner_user_identity_id=w.dina)),
        "phone: deactivate": Operation(route("/phones/deactivate", device_id=w.phone)),
        "phone: deactivate, as a client session": Operation(
            route("/phones/deactivate", session=w.dina, device_id=w.phone)
        ),
        "credential: create": Operation(create(acs_user_id=w.dinas), doubles=True),
        "credential: create, at an automation's manager": Operation(create(acs_user_id=w.anns), doubles=True),
        "credential: create, with the ACS user that matches": Operation(
            create(user_identity_id=w.cleo, acs_system_id=w.manager, credential_manager_acs_system_id=w.manager),
            doubles=True,
        ),
        "credential: create, with a new ACS user": Operation(
            create(user_identity_id=w.jane, acs_system_id=w.garage), doubles=True
        ),
        "credential: get": Operation(route("/acs/credentials/get", acs_credential_id=w.credential)),
        "credential: list": Operation(route("/acs/credentials/list")),
        "credential: list of an ACS user": Operation(route("/acs/credentials/list", acs_user_id=w.dinas)),
        "credential: list, as a client session": Operation(route("/acs/credentials/list", session=w.dina)),
        "credential: update": Operation(route("/acs/credentials/update", acs_credential_id=w.credential, ends_at=end)),
        "credential: delete": Operation(route("/acs/credentials/delete", acs_credential_id=w.credential)),
    }


def _route(world: World, path: str, *, session: str = "", cursor: str = "", **parameters: Any) -> Ask:
    """Return what calls a route with an API key, or as a client session of one user identity."""
    kind = TokenKind.CLIENT_SESSION if session else TokenKind.API_KEY
    principal = Principal(kind, "short", (world.workspace_id,), (session,) if session else ())

    def ask(site: Site) -> Answer:
        given = {**parameters, "page_cursor": site.cursors["last"]} if cursor else parameters
        event = {
            "resource": path,
            "path": path,
            "httpMethod": "POST",
            "headers": {"content-type": "application/json"},
            "multiValueHeaders": {"content-type": ["application/json"]},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "requestContext": {
                "requestId": str(uuid4()),
                "authorizer": principal.to_context(),
                "domainName": "localhost",
                "path": path,
            },
            "body": json.dumps(given),
            "isBase64Encoded": False,
        }
        answer = site.stack.invoke(event)
        headers = {name.lower(): values[-1] for name, values in answer["multiValueHeaders"].items()}
        return _http_answer(site, answer["statusCode"], headers, answer["body"])

    return ask


def _http_answer(site: Site, status: int, headers: Mapping[str, str], text: str) -> Answer:
    body = json.loads(text)
    if next_page := body.get("pagination", {}).get("next_page_cursor"):
        site.cursors.setdefault("last", next_page)
    has_headers = int(headers.get("retry-after", "0")) > 0 and headers["content-type"] == "application/json"
    return Answer(status, body, status == 503 and body == _UNAVAILABLE and has_headers)


def _authorize(token: str, site: Site) -> Answer:
    (name,) = site.stack.gateway.authorizer_functions
    arn = "arn:aws:execute-api:us-east-1:123456789012:api/prod/POST/acs/systems/list"
    event = {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": arn}
    try:
        return Answer(200, site.stack.functions.invoke(name, event), is_unavailable=False)
    except FunctionError as error:
        return Answer(None, {}, str(error).endswith("raised ServiceUnavailable"))


def _request(world: World, site: Site) -> Answer:
    gateway = Gateway(site.stack.gateway.api, site.stack.functions.invoke)  # no decision is cached yet
    headers = [("Authorization", f"Bearer {world.token}"), ("Host", "localhost")]
    target = f"/user_identities/get?user_identity_id={world.jane}"
    response = gateway.handle(Request("GET", target, headers))
    found = {name.lower(): value for name, value in response.headers}
    return _http_answer(site, response.status, found, response.body.decode())


def _of_connector(world: World, name: str, *arguments: str) -> Ask:
    where = ["--workspace-id", world.connected_workspace]
    return _command(connectors, name, *where, *arguments, world.connected_manager)


def _command(group: Any, name: str, *arguments: str, is_file: bool = False) -> Ask:
    def ask(site: Site) -> Answer:
        where = ["--table-name", site.stack.table_name, "--endpoint-url", site.endpoint]
        result = CliRunner().invoke(group, [name, *where, *arguments, *([site.file] if is_file else [])])
        is_unavailable = (
            result.exit_code == 1 and result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
        )
        return Answer(result.exit_code, result.stdout, is_unavailable)

    return ask
