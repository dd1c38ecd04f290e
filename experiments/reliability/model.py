"""The contract (docs/contract.md) once more, in plain Python with lists and linear searches.

Nothing here knows the table or the package.  What the contract leaves to the service (ids, moments, which of several
matching ACS users) is learnt from its answers.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

type Json = dict[str, Any]

SEES_ALL = None
MOST_WEBHOOKS = 50


@dataclass(eq=False)
class Identity:
    """A user identity."""

    workspace: str
    key: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class System:
    """An ACS system."""

    workspace: str
    name: str
    is_manager: bool
    connected_account: str
    id: str
    created_at: str
    default_manager: str | None = None
    customer_key: str | None = None


@dataclass(eq=False)
class Pool:
    """A credential pool."""

    workspace: str
    system: System
    id: str
    created_at: str
    name: str = "Pool"
    type_name: str = "HID"


@dataclass(eq=False)
class AcsUser:
    """An ACS user."""

    workspace: str
    system: System
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    schedule: dict[str, str | None] | None = None
    identity: Identity | None = None
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Automation:
    """An enrollment automation, with what its launch asked for."""

    workspace: str
    identity: Identity
    system: System
    asked: tuple[Pool | None, bool, AcsUser | None]
    id: str = ""
    created_at: str = ""


@dataclass(eq=False)
class Token:
    """A token; sessions are for identities, by their ids."""

    text: str
    kind: str
    workspaces: tuple[str, ...]
    identities: tuple[str, ...] = ()
    is_good: bool = True


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        method: In capitals.
        path: Without a query string.
        parameters: What goes into the query string or the body.
        token: Behind ``Bearer``; ``None`` is no such header.
        workspace: The header ``seam-workspace``.
        content_type: Of a body.
        is_json: Whether the body is what the content type says.
    """

    method: str
    path: str
    parameters: Json
    token: str | None
    workspace: str | None = None
    content_type: str = "application/json"
    is_json: bool = True


@dataclass
class Answer:
    """The answer that the contract asks for.

    Attributes:
        status: The status code.
        errors: Errors that it can be, each a type with its ``data``; the contract does not say in which order some are
            looked for.
        fields: The parameters that ``validation_errors`` names.
        learn: Takes a result's body.
        body: What a result is, once it is learnt; ``None`` for a list.
        listed: A list's name and records.
        is_ordered: The list is newest first.
        ask: Returns the path and the parameters of a call that tells what the result does not.
        tell: Takes that call's result.
    """

    status: int = 200
    errors: Sequence[tuple[str, Json]] = ()
    fields: frozenset[str] = frozenset()
    learn: Callable[[Json], None] = lambda _: None
    body: Callable[[], Json] | None = lambda: {"ok": True}
    listed: tuple[str, Sequence[Json]] = ("", ())
    is_ordered: bool = True
    ask: Callable[[], tuple[str, Json]] | None = None
    tell: Callable[[Json], None] = lambda _: None


class Refusal(Exception):
    """An answer other than a result."""

    def __init__(self, status: int, *errors: tuple[str, Json], fields: Iterable[str] = ()) -> None:
        super().__init__(errors)
        self.answer = Answer(status, errors, frozenset(fields), body=None)


@dataclass(frozen=True)
class Caller:
    """Who a token speaks for; ``sees`` are the ids of a client session's identities."""

    workspace: str
    sees: frozenset[str] | None = SEES_ALL


# ---------------------------------------------------------------------------------------------------- Routes and inputs

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KINDS: dict[str, Callable[[Any], bool]] = {
    "uuid": lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value)),
    "uuids": lambda value: isinstance(value, list) and all(map(_KINDS["uuid"], value)),
    "text": lambda value: isinstance(value, str) and value != "",
    "filter": lambda value: isinstance(value, str),
    "email": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)),
    "phone": lambda value: isinstance(value, str) and bool(re.fullmatch(r"\+[1-9][0-9]{1,14}", value)),
    "boolean": lambda value: isinstance(value, bool),
    "limit": lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
    "moment": lambda value: isinstance(value, str) and bool(re.match(r"\d{4}-\d\d-\d\dT", value)),
    "object": lambda value: isinstance(value, dict),
    "moments": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_KINDS["moment"], value)),
    "event type": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", value)),
    "wanted types": lambda value: (
        isinstance(value, list) and value != [] and all(one == "*" or _KINDS["event type"](one) for one in value)
    ),
    "url": lambda value: isinstance(value, str) and value.startswith("https://example.com/"),
    "event types": lambda value: isinstance(value, list) and all(map(_KINDS["event type"], value)),
}


@dataclass(frozen=True)
class Route:
    """A route: its methods, and its parameters' kinds; ``*`` is required, ``?`` nullable."""

    methods: tuple[str, ...]
    parameters: dict[str, str]
    for_sessions: bool = False


_READ, _DELETE = ("GET", "POST"), ("DELETE", "POST")
_IDENTITY, _SYSTEM, _AUTOMATION = (
    {f"{name}_id": "uuid*"} for name in ("user_identity", "acs_system", "enrollment_automation")
)
_WEBHOOK = {"webhook_id": "uuid*"}
_PROFILE = {"user_identity_key": "text?", "email_address": "email?", "phone_number": "phone?", "full_name": "text?"}
_ID_OR_KEY = {"user_identity_id": "uuid", "user_identity_key": "text"}
_NAMED_ACS_USER = {"acs_user_id": "uuid", "user_identity_id": "uuid", "acs_system_id": "uuid"}
_PAGED = {"limit": "limit", "page_cursor": "filter?"}
AUTOMATIONS = "/user_identities/enrollment_automations"

ROUTES = {
    f"{AUTOMATIONS}/launch": Route(
        ("POST",),
        {
            "user_identity_id": "uuid*",
            "credential_manager_acs_system_id": "uuid*",
            "acs_credential_pool_id": "uuid",
            "create_credential_manager_user": "boolean",
            "credential_manager_acs_user_id": "uuid",
        },
    ),
    f"{AUTOMATIONS}/get": Route(_READ, _AUTOMATION, for_sessions=True),
    f"{AUTOMATIONS}/list": Route(_READ, _IDENTITY, for_sessions=True),
    f"{AUTOMATIONS}/delete": Route(_DELETE, _AUTOMATION),
    "/user_identities/create": Route(("POST",), {**_PROFILE, "acs_system_ids": "uuids"}),
    "/user_identities/get": Route(_READ, _ID_OR_KEY),
    "/user_identities/list": Route(
        _READ,
        {
            "created_before": "moment",
            "credential_manager_acs_system_id": "uuid",
            "user_identity_ids": "uuids",
            "search": "text",
            **_PAGED,
        },
        for_sessions=True,
    ),
    "/user_identities/update": Route(("PATCH", "POST"), {**_IDENTITY, **_PROFILE}),
    "/user_identities/delete": Route(_DELETE, _IDENTITY),
    "/user_identities/add_acs_user": Route(("PUT", "POST"), {"acs_user_id": "uuid*", **_ID_OR_KEY}),
    "/user_identities/remove_acs_user": Route(_DELETE, {**_IDENTITY, "acs_user_id": "uuid*"}),
    "/user_identities/list_acs_users": Route(_READ, _IDENTITY),
    "/user_identities/list_acs_systems": Route(_READ, _IDENTITY, for_sessions=True),
    "/acs/systems/get": Route(_READ, _SYSTEM),
    "/acs/systems/list": Route(
        _READ,
        {"connected_account_id": "uuid", "customer_key": "text", "search": "text", **_PAGED},
        for_sessions=True,
    ),
    "/acs/systems/list_compatible_credential_manager_acs_systems": Route(_READ, _SYSTEM),
    "/acs/credential_pools/list": Route(_READ, {**_SYSTEM, **_PAGED}),
    "/acs/users/create": Route(
        ("POST",),
        {
            "full_name": "filter*",
            "acs_system_id": "uuid*",
            "email_address": "email",
            "phone_number": "phone",
            "user_identity_id": "uuid",
            "access_schedule": "object",
        },
    ),
    "/acs/users/get": Route(_READ, _NAMED_ACS_USER),
    "/acs/users/list": Route(
        _READ,
        {
            "acs_system_id": "uuid",
            "user_identity_id": "uuid",
            "user_identity_email_address": "filter?",
            "user_identity_phone_number": "filter?",
            "created_before": "moment",
            "search": "text",
            **_PAGED,
        },
        for_sessions=True,
    ),
    "/acs/users/delete": Route(_DELETE, _NAMED_ACS_USER),
    "/events/get": Route(
        _READ, {"event_id": "uuid*", "event_type": "event type", "device_id": "uuid"}, for_sessions=True
    ),
    "/events/list": Route(
        _READ,
        {
            "since": "moment",
            "between": "moments",
            "event_ids": "uuids",
            "event_type": "event type",
            "event_types": "event types",
            "user_identity_id": "uuid",
            "acs_system_id": "uuid",
            "acs_system_ids": "uuids",
            "acs_user_id": "uuid",
            "acs_credential_id": "uuid",
            "connected_account_id": "uuid",
            "device_id": "uuid",
            "device_ids": "uuids",
            **_PAGED,
        },
        for_sessions=True,
    ),
    "/webhooks/create": Route(("POST",), {"url": "url*", "event_types": "wanted types"}),
    "/webhooks/get": Route(_READ, _WEBHOOK),
    "/webhooks/list": Route(_READ, {}),
    "/webhooks/update": Route(("PUT", "POST"), {**_WEBHOOK, "event_types": "wanted types*"}),
    "/webhooks/delete": Route(_DELETE, _WEBHOOK),
}


def _check_body(call: Call) -> None:
    if call.method in {"GET", "DELETE"}:
        return
    if call.content_type != "application/json":
        raise Refusal(400, ("invalid_content_type", {}))
    if not call.is_json:
        raise Refusal(400, ("invalid_json", {}))


def _check_input(path: str, parameters: Json) -> None:
    wrong = set()
    for name, kind in ROUTES[path].parameters.items():
        if name not in parameters:
            if kind.endswith("*"):
                wrong.add(name)
        elif parameters[name] is None:
            if not kind.endswith("?"):
                wrong.add(name)
        elif not _KINDS[kind.rstrip("*?")](parameters[name]):
            wrong.add(name)
    schedule = parameters.get("access_schedule")
    if not wrong and schedule and schedule.get("ends_at") and schedule["ends_at"] <= schedule["starts_at"]:
        wrong.add("access_schedule")
    if wrong:
        raise Refusal(400, ("invalid_input", {}), fields=wrong)
    if not _names_one_thing(path, parameters):
        raise Refusal(400, ("invalid_input", {}))


def _names_one_thing(path: str, parameters: Json) -> bool:
    given = parameters.keys()
    if path in {"/user_identities/get", "/user_identities/add_acs_user"}:
        return len(given & {"user_identity_id", "user_identity_key"}) == 1
    if path in {"/acs/users/get", "/acs/users/delete"}:
        return len(given & {"acs_user_id", "user_identity_id"}) == 1 and (
            "user_identity_id" not in given or "acs_system_id" in given
        )
    if path == "/events/list":
        return bool(given & {"since", "between"})
    if path == f"{AUTOMATIONS}/launch":
        return not (parameters.get("create_credential_manager_user") and "credential_manager_acs_user_id" in given)
    return True


# ---------------------------------------------------------------------------------------------------------------- Model


def _not_found(what: str) -> Refusal:
    return Refusal(404, (f"{what}_not_found", {}))


def _same_email(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()


def _first(*values: str | None) -> str:
    return next(value for value in values if value)


def _holds(search: str | None, *values: str | None) -> bool:
    return search is None or any(value is not None and _alike(search) in _alike(value) for value in values)


def _alike(text: str) -> str:
    """Return a text without regard to case, its accents as parts of their letters wherever Unicode has such letters."""
    without_case = "".join(character.casefold() for character in normalize("NFD", text))
    return normalize("NFC", without_case)


class Model:
    """The workspaces and their tokens."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.systems: list[System] = []
        self.pools: list[Pool] = []
        self.acs_users: list[AcsUser] = []
        self.automations: list[Automation] = []
        self.tokens: list[Token] = []
        self.webhooks: list[tuple[str, Json]] = []
        self.gone: list[Identity | AcsUser | Automation] = []
        self.new: list[Identity | AcsUser | Automation] = []
        self._routes: dict[str, Callable[[Caller, Json], Answer]] = {
            f"{AUTOMATIONS}/launch": self._launch,
            f"{AUTOMATIONS}/get": self._get_automation,
            f"{AUTOMATIONS}/list": self._list_automations,
            f"{AUTOMATIONS}/delete": self._delete_automation,
            "/user_identities/create": self._create_identity,
            "/user_identities/get": self._get_identity,
            "/user_identities/list": self._list_identities,
            "/user_identities/update": self._update_identity,
            "/user_identities/delete": self._delete_identity,
            "/user_identities/add_acs_user": self._add_acs_user,
            "/user_identities/remove_acs_user": self._remove_acs_user,
            "/user_identities/list_acs_users": self._list_acs_users_of_identity,
            "/user_identities/list_acs_systems": self._list_systems_of_identity,
            "/acs/systems/get": self._get_system,
            "/acs/systems/list": self._list_systems,
            "/acs/systems/list_compatible_credential_manager_acs_systems": self._list_compatible,
            "/acs/credential_pools/list": self._list_pools,
            "/acs/users/create": self._create_acs_user,
            "/acs/users/get": self._get_acs_user,
            "/acs/users/list": self._list_acs_users,
            "/acs/users/delete": self._delete_acs_user,
            "/events/get": self._get_event,
            "/events/list": self._list_events,
            "/webhooks/create": self._create_webhook,
            "/webhooks/get": self._get_webhook,
            "/webhooks/list": self._list_webhooks,
            "/webhooks/update": self._update_webhook,
            "/webhooks/delete": self._delete_webhook,
        }

    def answer(self, call: Call) -> Answer:
        """Return what the contract says to a call, and have its effects."""
        try:
            route = ROUTES.get(call.path)
            if route is None or call.method not in route.methods:
                raise _not_found("route")
            caller = self._authenticate(call, route)
            _check_body(call)
            _check_input(call.path, call.parameters)
            return self._routes[call.path](caller, call.parameters)
        except Refusal as refusal:
            return refusal.answer

    def _authenticate(self, call: Call, route: Route) -> Caller:
        unauthorized = Refusal(401, ("unauthorized", {}))
        token = next((token for token in self.tokens if token.text == call.token), None)
        if token is None or not token.is_good:
            raise unauthorized
        if token.kind == "personal_access_token":
            if call.workspace not in token.workspaces:
                raise unauthorized
            return Caller(call.workspace)
        (workspace,) = token.workspaces
        if token.kind == "client_session":
            if not route.for_sessions:
                raise unauthorized
            return Caller(workspace, frozenset(token.identities))
        return Caller(workspace)

    # Looking up

    def _identity(self, caller: Caller, identity_id: str) -> Identity:
        for identity in self.identities:
            if (identity.workspace, identity.id) == (caller.workspace, identity_id.lower()) and (
                caller.sees is SEES_ALL or identity.id in caller.sees
            ):
                return identity
        raise _not_found("user_identity")

    def _identity_of_key(self, caller: Caller, key: str) -> Identity | None:
        found = [one for one in self.identities if (one.workspace, one.key) == (caller.workspace, key)]
        return found[0] if found else None

    def _system(self, caller: Caller, system_id: str) -> System:
        for system in self.systems:
            if (system.workspace, system.id) == (caller.workspace, system_id.lower()):
                return system
        raise _not_found("acs_system")

    def _acs_user(self, caller: Caller, acs_user_id: str) -> AcsUser:
        for acs_user in self.acs_users:
            if (acs_user.workspace, acs_user.id) == (caller.workspace, acs_user_id.lower()):
                return acs_user
        raise _not_found("acs_user")

    def _named_acs_user(self, caller: Caller, parameters: Json) -> AcsUser:
        if "user_identity_id" in parameters:
            identity = self._identity(caller, parameters["user_identity_id"])
            for acs_user in self.acs_users:
                if acs_user.identity is identity and acs_user.system.id == parameters["acs_system_id"].lower():
                    return acs_user
            raise _not_found("acs_user")
        acs_user = self._acs_user(caller, parameters["acs_user_id"])
        if parameters.get("acs_system_id", acs_user.system.id).lower() != acs_user.system.id:
            raise Refusal(400, ("acs_user_not_in_acs_system", {}))
        return acs_user

    def _automation(self, caller: Caller, automation_id: str) -> Automation:
        for automation in self.automations:
            if (automation.workspace, automation.id) == (caller.workspace, automation_id.lower()) and (
                caller.sees is SEES_ALL or automation.identity.id in caller.sees
            ):
                return automation
        raise _not_found("enrollment_automation")

    def _automation_of(self, identity: Identity | None, system: System) -> Automation | None:
        found = [one for one in self.automations if one.identity is identity and one.system is system]
        return found[0] if found else None

    def acs_users_of(self, identity: Identity) -> list[AcsUser]:
        """Return the ACS users that are linked to an identity."""
        return [acs_user for acs_user in self.acs_users if acs_user.identity is identity]

    def _linked(self, identity: Identity, system: System) -> AcsUser | None:
        found = [acs_user for acs_user in self.acs_users_of(identity) if acs_user.system is system]
        return found[0] if found else None

    def _holders(
        self, workspace: str, *, key: str | None, email: str | None, phone: str | None, but: Identity | None = None
    ) -> list[Identity]:
        return [
            one
            for one in self.identities
            if one.workspace == workspace
            and one is not but
            and (
                (key is not None and one.key == key)
                or _same_email(one.email, email)
                or (phone is not None and one.phone == phone)
            )
        ]

    # Learning

    def _learn(self, thing: Identity | AcsUser | Automation, thing_id: str, created_at: str) -> None:
        known = [*self.identities, *self.acs_users, *self.automations, *self.gone]
        assert thing_id not in {one.id for one in known}, f"{thing_id} is not new"
        thing.id, thing.created_at = thing_id, created_at
        self.new.append(thing)

    def _link_or_create(self, identity: Identity, system: System) -> Callable[[Json], None] | None:
        """Give an identity an ACS user in a system; return what learns which it is, unless that is known."""
        unlinked = [one for one in self.acs_users if one.system is system and one.identity is None]
        matching = [one for one in unlinked if _same_email(one.email, identity.email)] or [
            one for one in unlinked if one.phone is not None and one.phone == identity.phone
        ]
        if len(matching) == 1:
            matching[0].identity = identity
            return None

        def learn(body: Json) -> None:
            (record,) = (one for one in body["acs_users"] if one["acs_system_id"] == system.id)
            if matching:
                (chosen,) = (one for one in matching if one.id == record["acs_user_id"])
                chosen.identity = identity
                return
            new = AcsUser(system.workspace, system, identity.name, identity.email, identity.phone, identity=identity)
            self._learn(new, record["acs_user_id"], record["created_at"])
            self.acs_users.append(new)

        return learn

    # Automations

    def _launch(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        system = self._system(caller, parameters["credential_manager_acs_system_id"])
        if not system.is_manager:
            raise Refusal(400, ("acs_system_is_not_credential_manager", {}))
        pool = self._pool_to_launch_with(system, parameters.get("acs_credential_pool_id"))
        named = self._acs_user_to_launch_with(caller, system, parameters.get("credential_manager_acs_user_id"))
        creates = bool(parameters.get("create_credential_manager_user"))
        asked = (pool, creates, named)
        existing = self._automation_of(identity, system)
        if existing is not None:
            if existing.asked != asked:
                data = {"enrollment_automation_id": existing.id}
                raise Refusal(409, ("enrollment_automation_already_exists", data))
            return Answer(body=lambda: self._with("enrollment_automation", self.automation_json(existing)))
        linked = self._linked(identity, system)
        if named is not None:
            if named.identity not in {None, identity} or linked not in {None, named}:
                raise Refusal(409, ("acs_user_already_linked", {}))
            named.identity = identity
        learn_link = self._link_or_create(identity, system) if creates and linked is None else None
        automation = Automation(caller.workspace, identity, system, asked)
        self.automations.append(automation)

        def learn(body: Json) -> None:
            record = body["enrollment_automation"]
            self._learn(automation, record["enrollment_automation_id"], record["created_at"])

        return Answer(
            learn=learn,
            body=lambda: self._with("enrollment_automation", self.automation_json(automation)),
            **self._asking_for_acs_users(identity, [learn_link]),
        )

    def _pool_to_launch_with(self, system: System, pool_id: str | None) -> Pool | None:
        if pool_id is None:
            return None
        for pool in self.pools:
            if (pool.workspace, pool.id) == (system.workspace, pool_id.lower()):
                if pool.system is not system:
                    raise Refusal(400, ("acs_credential_pool_not_in_acs_system", {}))
                return pool
        raise _not_found("acs_credential_pool")

    def _acs_user_to_launch_with(self, caller: Caller, system: System, acs_user_id: str | None) -> AcsUser | None:
        if acs_user_id is None:
            return None
        acs_user = self._acs_user(caller, acs_user_id)
        if acs_user.system is not system:
            raise Refusal(400, ("acs_user_not_in_acs_system", {}))
        return acs_user

    def _get_automation(self, caller: Caller, parameters: Json) -> Answer:
        automation = self._automation(caller, parameters["enrollment_automation_id"])
        return Answer(body=lambda: self._with("enrollment_automation", self.automation_json(automation)))

    def _list_automations(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        found = [self.automation_json(one) for one in self.automations if one.identity is identity]
        return Answer(body=None, listed=("enrollment_automations", found), is_ordered=False)

    def _delete_automation(self, caller: Caller, parameters: Json) -> Answer:
        self._forget(self.automations, self._automation(caller, parameters["enrollment_automation_id"]))
        return Answer()

    # User identities

    def _create_identity(self, caller: Caller, parameters: Json) -> Answer:
        systems = list(dict.fromkeys(self._system(caller, one) for one in parameters.get("acs_system_ids", [])))
        identity = Identity(
            caller.workspace,
            parameters.get("user_identity_key"),
            parameters.get("email_address"),
            parameters.get("phone_number"),
            parameters.get("full_name"),
        )
        self._require_unique(identity)
        self.identities.append(identity)
        links = [self._link_or_create(identity, system) for system in systems]

        def learn(body: Json) -> None:
            record = body["user_identity"]
            self._learn(identity, record["user_identity_id"], record["created_at"])

        return Answer(
            learn=learn,
            body=lambda: self._with("user_identity", self.identity_json(identity)),
            **self._asking_for_acs_users(identity, links),
        )

    def _require_unique(self, new: Identity) -> None:
        holders = self._holders(new.workspace, key=new.key, email=new.email, phone=new.phone)
        if holders:
            raise Refusal(409, *(("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders))

    def _get_identity(self, caller: Caller, parameters: Json) -> Answer:
        if "user_identity_id" in parameters:
            identity = self._identity(caller, parameters["user_identity_id"])
        else:
            of_key = self._identity_of_key(caller, parameters["user_identity_key"])
            if of_key is None:
                raise _not_found("user_identity")
            identity = of_key
        return Answer(body=lambda: self._with("user_identity", self.identity_json(identity)))

    def _list_identities(self, caller: Caller, parameters: Json) -> Answer:
        manager_id = parameters.get("credential_manager_acs_system_id")
        ids = parameters.get("user_identity_ids")
        found = [
            one
            for one in self.identities
            if one.workspace == caller.workspace
            and (caller.sees is SEES_ALL or one.id in caller.sees)
            and (ids is None or one.id in map(str.lower, ids))
            and one.created_at < parameters.get("created_before", "9")
            and _holds(parameters.get("search"), one.name, one.phone, one.email, one.id)
            and (
                manager_id is None
                or any(auto.identity is one and auto.system.id == manager_id.lower() for auto in self.automations)
            )
        ]
        listed = ("user_identities", list(map(self.identity_json, found)))
        return Answer(body=None, listed=listed, is_ordered=manager_id is None)

    def _update_identity(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        key = parameters.get("user_identity_key", identity.key)
        email = parameters.get("email_address", identity.email)
        phone = parameters.get("phone_number", identity.phone)
        holders = self._holders(identity.workspace, key=key, email=email, phone=phone, but=identity)
        if holders:
            raise Refusal(409, *(("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders))
        identity.key, identity.email, identity.phone = key, email, phone
        identity.name = parameters.get("full_name", identity.name)
        return Answer()

    def _delete_identity(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        for automation in [one for one in self.automations if one.identity is identity]:
            self._forget(self.automations, automation)
        for acs_user in self.acs_users_of(identity):
            acs_user.identity = None
        self._forget(self.identities, identity)
        return Answer()

    def _add_acs_user(self, caller: Caller, parameters: Json) -> Answer:
        key = parameters.get("user_identity_key")
        if key is None:
            identity: Identity | None = self._identity(caller, parameters["user_identity_id"])
        else:
            identity = self._identity_of_key(caller, key)
        acs_user = self._acs_user(caller, parameters["acs_user_id"])
        in_the_way: tuple[str, Json] = ("acs_user_already_linked", {})
        if identity is not None:
            linked = self._linked(identity, acs_user.system)
            if acs_user.identity not in {None, identity} or linked not in {None, acs_user}:
                raise Refusal(409, in_the_way)
            acs_user.identity = identity
            return Answer()
        new = Identity(caller.workspace, key, acs_user.email, acs_user.phone, acs_user.name)
        holders = self._holders(new.workspace, key=new.key, email=new.email, phone=new.phone)
        refusals = [("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders]
        if acs_user.identity is not None:
            refusals.append(in_the_way)
        if refusals:
            raise Refusal(409, *refusals)
        self.identities.append(new)
        acs_user.identity = new

        def learn(body: Json) -> None:
            record = body["user_identity"]
            self._learn(new, record["user_identity_id"], record["created_at"])

        return Answer(ask=lambda: ("/user_identities/get", {"user_identity_key": key}), tell=learn)

    def _remove_acs_user(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        acs_user = self._acs_user(caller, parameters["acs_user_id"])
        if acs_user.identity is not identity:
            raise _not_found("acs_user")
        self._require_unused(acs_user)
        acs_user.identity = None
        return Answer()

    def _require_unused(self, acs_user: AcsUser) -> None:
        automation = self._automation_of(acs_user.identity, acs_user.system)
        if automation is not None:
            raise Refusal(409, ("acs_user_in_use", {"enrollment_automation_id": automation.id}))

    def _list_acs_users_of_identity(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        found = list(map(self.acs_user_json, self.acs_users_of(identity)))
        return Answer(body=None, listed=("acs_users", found))

    def _list_systems_of_identity(self, caller: Caller, parameters: Json) -> Answer:
        identity = self._identity(caller, parameters["user_identity_id"])
        found = [self.system_json(acs_user.system) for acs_user in self.acs_users_of(identity)]
        return Answer(body=None, listed=("acs_systems", found))

    # ACS systems, pools, users

    def _get_system(self, caller: Caller, parameters: Json) -> Answer:
        system = self._system(caller, parameters["acs_system_id"])
        return Answer(body=lambda: self._with("acs_system", self.system_json(system)))

    def _list_systems(self, caller: Caller, parameters: Json) -> Answer:
        found = [
            one
            for one in self.systems
            if one.workspace == caller.workspace
            and (
                caller.sees is SEES_ALL
                or any(
                    user.system is one and user.identity is not None and user.identity.id in caller.sees
                    for user in self.acs_users
                )
            )
            and parameters.get("connected_account_id", one.connected_account).lower() == one.connected_account
            and parameters.get("customer_key") in {None, one.customer_key}
            and _holds(parameters.get("search"), one.name, one.id)
        ]
        return Answer(body=None, listed=("acs_systems", list(map(self.system_json, found))))

    def _webhook(self, caller: Caller, webhook_id: str) -> Json:
        for workspace, webhook in self.webhooks:
            if (workspace, webhook["webhook_id"]) == (caller.workspace, webhook_id.lower()):
                return webhook
        raise _not_found("webhook")

    def _create_webhook(self, caller: Caller, parameters: Json) -> Answer:
        if sum(workspace == caller.workspace for workspace, _ in self.webhooks) >= MOST_WEBHOOKS:
            raise Refusal(409, ("too_many_webhooks", {}))
        webhook = {"url": parameters["url"], "event_types": sorted(set(parameters.get("event_types", ["*"])))}

        def learn(body: Json) -> None:
            webhook["webhook_id"], webhook["secret"] = (body["webhook"][name] for name in ("webhook_id", "secret"))
            self.webhooks.append((caller.workspace, webhook))

        return Answer(learn=learn, body=lambda: {"webhook": webhook, "ok": True})

    def _get_webhook(self, caller: Caller, parameters: Json) -> Answer:
        webhook = self._webhook(caller, parameters["webhook_id"])
        return Answer(body=lambda: {"webhook": webhook, "ok": True})

    def _list_webhooks(self, caller: Caller, _: Json) -> Answer:
        found = [webhook for workspace, webhook in self.webhooks if workspace == caller.workspace]
        return Answer(body=None, listed=("webhooks", found), is_ordered=False)

    def _update_webhook(self, caller: Caller, parameters: Json) -> Answer:
        webhook = self._webhook(caller, parameters["webhook_id"])
        webhook["event_types"] = sorted(set(parameters["event_types"]))
        return Answer()

    def _delete_webhook(self, caller: Caller, parameters: Json) -> Answer:
        webhook = self._webhook(caller, parameters["webhook_id"])
        self.webhooks = [(workspace, one) for workspace, one in self.webhooks if one is not webhook]
        return Answer()

    def _get_event(self, _: Caller, __: Json) -> Answer:
        raise _not_found("event")

    def _list_events(self, _: Caller, __: Json) -> Answer:
        return Answer(body=None, listed=("events", []))

    def _list_compatible(self, caller: Caller, parameters: Json) -> Answer:
        system = self._system(caller, parameters["acs_system_id"])
        managers = [one for one in self.systems if one.workspace == caller.workspace and one.is_manager]
        if system.default_manager is not None:
            managers = [one for one in managers if one.id == system.default_manager]
        return Answer(body=None, listed=("acs_systems", list(map(self.system_json, managers))))

    def _list_pools(self, caller: Caller, parameters: Json) -> Answer:
        system = self._system(caller, parameters["acs_system_id"])
        found = [self.pool_json(one) for one in self.pools if one.system is system]
        return Answer(body=None, listed=("acs_credential_pools", found))

    def _create_acs_user(self, caller: Caller, parameters: Json) -> Answer:
        identity_id = parameters.get("user_identity_id")
        identity = None if identity_id is None else self._identity(caller, identity_id)
        system = self._system(caller, parameters["acs_system_id"])
        if identity is not None and self._linked(identity, system) is not None:
            raise Refusal(409, ("acs_user_already_linked", {}))
        schedule = parameters.get("access_schedule")
        acs_user = AcsUser(
            caller.workspace,
            system,
            parameters["full_name"],
            parameters.get("email_address"),
            parameters.get("phone_number"),
            schedule and {"ends_at": None, **schedule},
            identity,
        )
        self.acs_users.append(acs_user)

        def learn(body: Json) -> None:
            self._learn(acs_user, body["acs_user"]["acs_user_id"], body["acs_user"]["created_at"])

        return Answer(learn=learn, body=lambda: self._with("acs_user", self.acs_user_json(acs_user)))

    def _get_acs_user(self, caller: Caller, parameters: Json) -> Answer:
        acs_user = self._named_acs_user(caller, parameters)
        return Answer(body=lambda: self._with("acs_user", self.acs_user_json(acs_user)))

    def _list_acs_users(self, caller: Caller, parameters: Json) -> Answer:
        found = [
            self.acs_user_json(one)
            for one in self.acs_users
            if one.workspace == caller.workspace
            and (caller.sees is SEES_ALL or (one.identity is not None and one.identity.id in caller.sees))
            and parameters.get("acs_system_id", one.system.id).lower() == one.system.id
            and one.created_at < parameters.get("created_before", "9")
            and self._is_of_the_person(one, parameters)
            and _holds(parameters.get("search"), one.name, one.phone, one.email, one.id, *self._person(one.identity))
        ]
        return Answer(body=None, listed=("acs_users", found))

    def _person(self, identity: Identity | None) -> list[str | None]:
        return [] if identity is None else [identity.id, identity.name, identity.phone]

    def _is_of_the_person(self, acs_user: AcsUser, parameters: Json) -> bool:
        wanted = parameters.keys() & {
            "user_identity_id",
            "user_identity_email_address",
            "user_identity_phone_number",
        }
        identity = acs_user.identity
        if identity is None:
            return not wanted
        email, phone = parameters.get("user_identity_email_address"), parameters.get("user_identity_phone_number")
        return (
            parameters.get("user_identity_id", identity.id).lower() == identity.id
            and (
                "user_identity_email_address" not in wanted
                or email == identity.email
                or _same_email(email, identity.email)
            )
            and ("user_identity_phone_number" not in wanted or phone == identity.phone)
        )

    def _delete_acs_user(self, caller: Caller, parameters: Json) -> Answer:
        acs_user = self._named_acs_user(caller, parameters)
        self._require_unused(acs_user)
        self._forget(self.acs_users, acs_user)
        return Answer()

    # Imports

    def import_row(self, workspace: str, row: Json, now: str) -> str:
        """Import a row of a directory file, and return the result.

        Args:
            workspace: The workspace.
            row: Names a record by its id; what is absent stays, what is null goes.
            now: When a record that is new was created, unless the row says so.
        """
        caller = Caller(workspace)
        try:
            if "acs_user_id" in row:
                return self._import_acs_user(caller, row, now)
            if "acs_credential_pool_id" in row:
                return self._import_pool(caller, row, now)
            return self._import_system(caller, row, now)
        except Refusal:
            return "bad"

    def _import_acs_user(self, caller: Caller, row: Json, now: str) -> str:
        system = self._system(caller, row["acs_system_id"])
        found = [one for one in self.acs_users if (one.workspace, one.id) == (caller.workspace, row["acs_user_id"])]
        if found and found[0].system is not system:
            return "bad"
        acs_user = found[0] if found else AcsUser(caller.workspace, system, id=row["acs_user_id"], created_at=now)
        before = self._imported(acs_user)
        acs_user.name = row.get("full_name", acs_user.name)
        acs_user.email = row.get("email_address", acs_user.email)
        acs_user.phone = row.get("phone_number", acs_user.phone)
        acs_user.created_at = row.get("created_at", acs_user.created_at)
        if not found:
            self.acs_users.append(acs_user)
            return "created"
        return "unchanged" if self._imported(acs_user) == before else "updated"

    def _imported(self, one: AcsUser) -> tuple[str | None, ...]:
        return one.name, one.email, one.phone, one.created_at

    def _import_pool(self, caller: Caller, row: Json, now: str) -> str:
        system = self._system(caller, row["acs_system_id"])
        pool_id = row["acs_credential_pool_id"]
        found = [one for one in self.pools if (one.workspace, one.id) == (caller.workspace, pool_id)]
        if not system.is_manager or (found and found[0].system is not system):
            return "bad"
        if not found:
            if "display_name" not in row:
                return "bad"
            new = Pool(caller.workspace, system, pool_id, now, row["display_name"], "HID part number")
            self.pools.append(new)
            return "created"
        is_same = row.get("display_name", found[0].name) == found[0].name
        found[0].name = row.get("display_name", found[0].name)
        return "unchanged" if is_same else "updated"

    def _import_system(self, caller: Caller, row: Json, now: str) -> str:
        found = [one for one in self.systems if (one.workspace, one.id) == (caller.workspace, row["acs_system_id"])]
        if not found:
            if not {"name", "is_credential_manager", "connected_account_id"} <= row.keys():
                return "bad"
            account = row["connected_account_id"]
            new = System(
                caller.workspace, row["name"], row["is_credential_manager"], account, row["acs_system_id"], now
            )
            self.systems.append(new)
            return "created"
        (system,) = found
        wanted = (row.get("name", system.name), row.get("is_credential_manager", system.is_manager))
        if system.is_manager and not wanted[1]:
            return "bad"
        if wanted == (system.name, system.is_manager):
            return "unchanged"
        system.name, system.is_manager = wanted
        return "updated"

    # Shapes

    def _forget[Thing: (Identity, AcsUser, Automation)](self, things: list[Thing], thing: Thing) -> None:
        things.remove(thing)
        self.gone.append(thing)

    def _asking_for_acs_users(self, identity: Identity, learns: Sequence[Callable[[Json], None] | None]) -> Json:
        unknown = [learn for learn in learns if learn is not None]
        if not unknown:
            return {}

        def tell(body: Json) -> None:
            for learn in unknown:
                learn(body)

        return {"ask": lambda: ("/user_identities/list_acs_users", {"user_identity_id": identity.id}), "tell": tell}

    def _with(self, name: str, record: Json) -> Json:
        return {name: record, "ok": True}

    def automation_json(self, one: Automation) -> Json:
        return {
            "user_identity_id": one.identity.id,
            "enrollment_automation_id": one.id,
            "acs_credential_provisioning_automation_id": one.id,
            "credential_manager_acs_system_id": one.system.id,
            "is_running": True,
            "workspace_id": one.workspace,
            "created_at": one.created_at,
        }

    def identity_json(self, one: Identity) -> Json:
        return {
            "user_identity_id": one.id,
            "user_identity_key": one.key,
            "email_address": one.email,
            "phone_number": one.phone,
            "full_name": one.name,
            "display_name": _first(one.name, one.email, one.phone, one.key, one.id),
            "acs_user_ids": sorted(acs_user.id for acs_user in self.acs_users_of(one)),
            "created_at": one.created_at,
            "workspace_id": one.workspace,
            "errors": [],
            "warnings": [],
            "merged_user_identity_ids": [],
            "merged_user_identity_keys": [],
        }

    def system_json(self, one: System) -> Json:
        return {
            "acs_system_id": one.id,
            "name": one.name,
            "is_credential_manager": one.is_manager,
            "connected_account_id": one.connected_account,
            "connected_account_ids": [one.connected_account],
            "created_at": one.created_at,
            "default_credential_manager_acs_system_id": one.default_manager,
            "image_url": "",
            "image_alt_text": "",
            "location": {"time_zone": None},
            "workspace_id": one.workspace,
            "errors": [],
            "warnings": [],
        }

    def pool_json(self, one: Pool) -> Json:
        return {
            "acs_credential_pool_id": one.id,
            "acs_system_id": one.system.id,
            "display_name": one.name,
            "external_type": "hid_part_number",
            "external_type_display_name": one.type_name,
            "created_at": one.created_at,
            "workspace_id": one.workspace,
        }

    def acs_user_json(self, one: AcsUser) -> Json:
        identity = one.identity
        known = {
            "full_name": one.name,
            "email_address": one.email,
            "phone_number": one.phone,
            "access_schedule": one.schedule,
            "user_identity_id": identity and identity.id,
            "user_identity_full_name": identity and identity.name,
            "user_identity_email_address": identity and identity.email,
            "user_identity_phone_number": identity and identity.phone,
        }
        return {
            "acs_user_id": one.id,
            "acs_system_id": one.system.id,
            "display_name": _first(one.name, one.email, one.phone, one.id),
            "connected_account_id": one.system.connected_account,
            "created_at": one.created_at,
            "workspace_id": one.workspace,
            "is_managed": True,
            "last_successful_sync_at": None,
            "errors": [],
            "warnings": [],
            **{name: value for name, value in known.items() if value is not None},
        }
