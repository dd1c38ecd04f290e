"""ACS systems, credential pools and ACS users."""

from experiments.reliability.model.calls import SEES_ALL, Answer, Caller, Json, Refusal
from experiments.reliability.model.inputs import DELETE, PAGED, READ, Route
from experiments.reliability.model.records import AcsUser, Identity
from experiments.reliability.model.shapes import acs_user_json, pool_json, system_json, with_record
from experiments.reliability.model.state import State
from experiments.reliability.model.words import holds, same_email


def _get_system(state: State, caller: Caller, parameters: Json) -> Answer:
    system = state.system(caller, parameters["acs_system_id"])
    return Answer(body=lambda: with_record("acs_system", system_json(state, system)))


def _list_systems(state: State, caller: Caller, parameters: Json) -> Answer:
    found = [
        one
        for one in state.systems
        if one.workspace == caller.workspace
        and (
            caller.sees is SEES_ALL
            or any(
                user.system is one and user.identity is not None and user.identity.id in caller.sees
                for user in state.acs_users
            )
        )
        and parameters.get("connected_account_id", one.connected_account).lower() == one.connected_account
        and parameters.get("customer_key") in {None, one.customer_key}
        and holds(parameters.get("search"), one.name, one.id)
    ]
    return Answer(body=None, listed=("acs_systems", [system_json(state, one) for one in found]))


def _list_compatible(state: State, caller: Caller, parameters: Json) -> Answer:
    system = state.system(caller, parameters["acs_system_id"])
    found = [system_json(state, one) for one in state.compatible_managers(system)]
    return Answer(body=None, listed=("acs_systems", found))


def _list_pools(state: State, caller: Caller, parameters: Json) -> Answer:
    system = state.system(caller, parameters["acs_system_id"])
    found = [pool_json(one) for one in state.pools if one.system is system]
    return Answer(body=None, listed=("acs_credential_pools", found))


def _create_acs_user(state: State, caller: Caller, parameters: Json) -> Answer:
    identity_id = parameters.get("user_identity_id")
    identity = None if identity_id is None else state.identity(caller, identity_id)
    system = state.system(caller, parameters["acs_system_id"])
    if identity is not None and state.linked(identity, system) is not None:
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
    state.acs_users.append(acs_user)

    def learn(body: Json) -> None:
        state.learn(acs_user, body["acs_user"]["acs_user_id"], body["acs_user"]["created_at"])

    return Answer(learn=learn, body=lambda: with_record("acs_user", acs_user_json(acs_user)))


def _get_acs_user(state: State, caller: Caller, parameters: Json) -> Answer:
    acs_user = state.named_acs_user(caller, parameters)
    return Answer(body=lambda: with_record("acs_user", acs_user_json(acs_user)))


def _list_acs_users(state: State, caller: Caller, parameters: Json) -> Answer:
    found = [
        acs_user_json(one)
        for one in state.acs_users
        if one.workspace == caller.workspace
        and (caller.sees is SEES_ALL or (one.identity is not None and one.identity.id in caller.sees))
        and parameters.get("acs_system_id", one.system.id).lower() == one.system.id
        and one.created_at < parameters.get("created_before", "9")
        and _is_of_the_person(one, parameters)
        and holds(parameters.get("search"), one.name, one.phone, one.email, one.id, *_person(one.identity))
    ]
    return Answer(body=None, listed=("acs_users", found))


def _person(identity: Identity | None) -> list[str | None]:
    return [] if identity is None else [identity.id, identity.name, identity.phone]


def _is_of_the_person(acs_user: AcsUser, parameters: Json) -> bool:
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
            "user_identity_email_address" not in wanted or email == identity.email or same_email(email, identity.email)
        )
        and ("user_identity_phone_number" not in wanted or phone == identity.phone)
    )


def _delete_acs_user(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_acs_user(state.named_acs_user(caller, parameters))
    return Answer()


def _names_one_acs_user(given: Json) -> bool:
    return len(given.keys() & {"acs_user_id", "user_identity_id"}) == 1 and (
        "user_identity_id" not in given or "acs_system_id" in given
    )


def _ends_after_it_starts(given: Json) -> bool:
    schedule = given.get("access_schedule", {})
    return not schedule.get("ends_at") or schedule["ends_at"] > schedule["starts_at"]


_SYSTEM = {"acs_system_id": "uuid*"}
_NAMED_ACS_USER = {"acs_user_id": "uuid", "user_identity_id": "uuid", "acs_system_id": "uuid"}
ROUTES = {
    "/acs/systems/get": Route(READ, _SYSTEM, _get_system),
    "/acs/systems/list": Route(
        READ,
        {"connected_account_id": "uuid", "customer_key": "text", "search": "text", **PAGED},
        _list_systems,
        for_sessions=True,
    ),
    "/acs/systems/list_compatible_credential_manager_acs_systems": Route(READ, _SYSTEM, _list_compatible),
    "/acs/credential_pools/list": Route(READ, {**_SYSTEM, **PAGED}, _list_pools),
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
        _create_acs_user,
        rules=[(_ends_after_it_starts, "access_schedule")],
    ),
    "/acs/users/get": Route(READ, _NAMED_ACS_USER, _get_acs_user, rules=[(_names_one_acs_user, None)]),
    "/acs/users/list": Route(
        READ,
        {
            "acs_system_id": "uuid",
            "user_identity_id": "uuid",
            "user_identity_email_address": "filter?",
            "user_identity_phone_number": "filter?",
            "created_before": "moment",
            "search": "text",
            **PAGED,
        },
        _list_acs_users,
        for_sessions=True,
    ),
    "/acs/users/delete": Route(DELETE, _NAMED_ACS_USER, _delete_acs_user, rules=[(_names_one_acs_user, None)]),
}
