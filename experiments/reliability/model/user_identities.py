"""User identities."""

from experiments.reliability.model.asking import asking_for_acs_users
from experiments.reliability.model.calls import SEES_ALL, Answer, Caller, Json, Refusal, not_found
from experiments.reliability.model.inputs import DELETE, PAGED, READ, USER_IDENTITY, Route
from experiments.reliability.model.records import Identity
from experiments.reliability.model.shapes import acs_user_json, identity_json, system_json, with_record
from experiments.reliability.model.state import State
from experiments.reliability.model.words import holds


def _create_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    systems = list(dict.fromkeys(state.system(caller, one) for one in parameters.get("acs_system_ids", [])))
    identity = Identity(
        caller.workspace,
        parameters.get("user_identity_key"),
        parameters.get("email_address"),
        parameters.get("phone_number"),
        parameters.get("full_name"),
    )
    _require_unique(state, identity)
    state.identities.append(identity)
    links = [state.link_or_create(identity, system) for system in systems]

    def learn(body: Json) -> None:
        record = body["user_identity"]
        state.learn(identity, record["user_identity_id"], record["created_at"])

    return Answer(
        learn=learn,
        body=lambda: with_record("user_identity", identity_json(state, identity)),
        **asking_for_acs_users(identity, links),
    )


def _require_unique(state: State, new: Identity) -> None:
    holders = state.holders(new.workspace, key=new.key, email=new.email, phone=new.phone)
    if holders:
        raise Refusal(409, *(("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders))


def _get_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    if "user_identity_id" in parameters:
        identity = state.identity(caller, parameters["user_identity_id"])
    else:
        of_key = state.identity_of_key(caller, parameters["user_identity_key"])
        if of_key is None or of_key.is_being_deleted:
            raise not_found("user_identity")
        identity = of_key
    return Answer(body=lambda: with_record("user_identity", identity_json(state, identity)))


def _list_identities(state: State, caller: Caller, parameters: Json) -> Answer:
    manager_id = parameters.get("credential_manager_acs_system_id")
    ids = parameters.get("user_identity_ids")
    found = [
        one
        for one in state.identities
        if one.workspace == caller.workspace
        and not one.is_being_deleted
        and (caller.sees is SEES_ALL or one.id in caller.sees)
        and (ids is None or one.id in map(str.lower, ids))
        and one.created_at < parameters.get("created_before", "9")
        and holds(parameters.get("search"), one.name, one.phone, one.email, one.id)
        and (
            manager_id is None
            or any(auto.identity is one and auto.system.id == manager_id.lower() for auto in state.automations)
        )
    ]
    listed = ("user_identities", [identity_json(state, one) for one in found])
    return Answer(body=None, listed=listed, is_ordered=manager_id is None)


def _update_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    key = parameters.get("user_identity_key", identity.key)
    email = parameters.get("email_address", identity.email)
    phone = parameters.get("phone_number", identity.phone)
    holders = state.holders(identity.workspace, key=key, email=email, phone=phone, but=identity)
    if holders:
        raise Refusal(409, *(("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders))
    identity.key, identity.email, identity.phone = key, email, phone
    identity.name = parameters.get("full_name", identity.name)
    return Answer()


def _delete_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_identity(state.identity_to_delete(caller, parameters["user_identity_id"]))
    return Answer()


def _add_acs_user(state: State, caller: Caller, parameters: Json) -> Answer:
    key = parameters.get("user_identity_key")
    if key is None:
        identity: Identity | None = state.identity(caller, parameters["user_identity_id"])
    else:
        identity = state.identity_of_key(caller, key)
    if identity is not None and identity.is_being_deleted:
        raise not_found("user_identity")
    acs_user = state.acs_user(caller, parameters["acs_user_id"])
    in_the_way: tuple[str, Json] = ("acs_user_already_linked", {})
    if identity is not None:
        linked = state.linked(identity, acs_user.system)
        if acs_user.identity not in {None, identity} or linked not in {None, acs_user}:
            raise Refusal(409, in_the_way)
        acs_user.identity = identity
        return Answer()
    new = Identity(caller.workspace, key, acs_user.email, acs_user.phone, acs_user.name)
    holders = state.holders(new.workspace, key=new.key, email=new.email, phone=new.phone)
    refusals = [("user_identity_already_exists", {"user_identity_id": one.id}) for one in holders]
    if acs_user.identity is not None:
        refusals.append(in_the_way)
    if refusals:
        raise Refusal(409, *refusals)
    state.identities.append(new)
    acs_user.identity = new

    def learn(body: Json) -> None:
        record = body["user_identity"]
        state.learn(new, record["user_identity_id"], record["created_at"])

    return Answer(ask=lambda: ("/user_identities/get", {"user_identity_key": key}), tell=learn)


def _remove_acs_user(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    acs_user = state.acs_user(caller, parameters["acs_user_id"])
    if acs_user.identity is not identity:
        raise not_found("acs_user")
    state.unlink(acs_user)
    return Answer()


def _list_acs_users_of_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    found = list(map(acs_user_json, state.acs_users_of(identity)))
    return Answer(body=None, listed=("acs_users", found))


def _list_systems_of_identity(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    found = [system_json(state, acs_user.system) for acs_user in state.acs_users_of(identity)]
    return Answer(body=None, listed=("acs_systems", found))


def _has_id_or_key(given: Json) -> bool:
    return len(given.keys() & {"user_identity_id", "user_identity_key"}) == 1


_PROFILE = {"user_identity_key": "text?", "email_address": "email?", "phone_number": "phone?", "full_name": "text?"}
_ID_OR_KEY = {"user_identity_id": "uuid", "user_identity_key": "text"}
ROUTES = {
    "/user_identities/create": Route(("POST",), {**_PROFILE, "acs_system_ids": "uuids"}, _create_identity),
    "/user_identities/get": Route(READ, _ID_OR_KEY, _get_identity, rules=[(_has_id_or_key, None)]),
    "/user_identities/list": Route(
        READ,
        {
            "created_before": "moment",
            "credential_manager_acs_system_id": "uuid",
            "user_identity_ids": "uuids",
            "search": "text",
            **PAGED,
        },
        _list_identities,
        for_sessions=True,
    ),
    "/user_identities/update": Route(("PATCH", "POST"), {**USER_IDENTITY, **_PROFILE}, _update_identity),
    "/user_identities/delete": Route(DELETE, USER_IDENTITY, _delete_identity),
    "/user_identities/add_acs_user": Route(
        ("PUT", "POST"), {"acs_user_id": "uuid*", **_ID_OR_KEY}, _add_acs_user, rules=[(_has_id_or_key, None)]
    ),
    "/user_identities/remove_acs_user": Route(DELETE, {**USER_IDENTITY, "acs_user_id": "uuid*"}, _remove_acs_user),
    "/user_identities/list_acs_users": Route(READ, USER_IDENTITY, _list_acs_users_of_identity),
    "/user_identities/list_acs_systems": Route(READ, USER_IDENTITY, _list_systems_of_identity, for_sessions=True),
}
