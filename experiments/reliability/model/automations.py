"""Enrollment automations."""

from experiments.reliability.model.asking import asking_for_acs_users
from experiments.reliability.model.calls import Answer, Caller, Json, Refusal, not_found
from experiments.reliability.model.inputs import DELETE, READ, USER_IDENTITY, Route
from experiments.reliability.model.records import AcsUser, Automation, Pool, System
from experiments.reliability.model.shapes import automation_json, with_record
from experiments.reliability.model.state import State


def _launch(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    system = state.system(caller, parameters["credential_manager_acs_system_id"])
    if not system.is_manager:
        raise Refusal(400, ("acs_system_is_not_credential_manager", {}))
    pool = _pool_to_launch_with(state, system, parameters.get("acs_credential_pool_id"))
    named = _acs_user_to_launch_with(state, caller, system, parameters.get("credential_manager_acs_user_id"))
    creates = bool(parameters.get("create_credential_manager_user"))
    asked = (pool, creates, named)
    existing = state.automation_of(identity, system)
    if existing is not None:
        if existing.asked != asked:
            data = {"enrollment_automation_id": existing.id}
            raise Refusal(409, ("enrollment_automation_already_exists", data))
        return Answer(body=lambda: with_record("enrollment_automation", automation_json(existing)))
    linked = state.linked(identity, system)
    if named is not None:
        if named.identity not in {None, identity} or linked not in {None, named}:
            raise Refusal(409, ("acs_user_already_linked", {}))
        named.identity = identity
    learn_link = state.link_or_create(identity, system) if creates and linked is None else None
    automation = Automation(caller.workspace, identity, system, asked)
    state.automations.append(automation)

    def learn(body: Json) -> None:
        record = body["enrollment_automation"]
        state.learn(automation, record["enrollment_automation_id"], record["created_at"])

    return Answer(
        learn=learn,
        body=lambda: with_record("enrollment_automation", automation_json(automation)),
        **asking_for_acs_users(identity, [learn_link]),
    )


def _pool_to_launch_with(state: State, system: System, pool_id: str | None) -> Pool | None:
    if pool_id is None:
        return None
    for pool in state.pools:
        if (pool.workspace, pool.id) == (system.workspace, pool_id.lower()):
            if pool.system is not system:
                raise Refusal(400, ("acs_credential_pool_not_in_acs_system", {}))
            return pool
    raise not_found("acs_credential_pool")


def _acs_user_to_launch_with(state: State, caller: Caller, system: System, acs_user_id: str | None) -> AcsUser | None:
    if acs_user_id is None:
        return None
    acs_user = state.acs_user(caller, acs_user_id)
    if acs_user.system is not system:
        raise Refusal(400, ("acs_user_not_in_acs_system", {}))
    return acs_user


def _get_automation(state: State, caller: Caller, parameters: Json) -> Answer:
    automation = state.automation(caller, parameters["enrollment_automation_id"])
    return Answer(body=lambda: with_record("enrollment_automation", automation_json(automation)))


def _list_automations(state: State, caller: Caller, parameters: Json) -> Answer:
    identity = state.identity(caller, parameters["user_identity_id"])
    found = [automation_json(one) for one in state.automations if one.identity is identity]
    return Answer(body=None, listed=("enrollment_automations", found), is_ordered=False)


def _delete_automation(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_automation(state.automation(caller, parameters["enrollment_automation_id"]))
    return Answer()


def _asks_for_one_acs_user(given: Json) -> bool:
    return not (given.get("create_credential_manager_user") and "credential_manager_acs_user_id" in given)


AUTOMATIONS = "/user_identities/enrollment_automations"
_AUTOMATION = {"enrollment_automation_id": "uuid*"}
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
        _launch,
        rules=[(_asks_for_one_acs_user, None)],
    ),
    f"{AUTOMATIONS}/get": Route(READ, _AUTOMATION, _get_automation, for_sessions=True),
    f"{AUTOMATIONS}/list": Route(READ, USER_IDENTITY, _list_automations, for_sessions=True),
    f"{AUTOMATIONS}/delete": Route(DELETE, _AUTOMATION, _delete_automation),
}
