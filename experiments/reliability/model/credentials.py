"""Credentials."""

from collections.abc import Callable
from dataclasses import dataclass

from experiments.reliability.model.asking import asking_for_acs_users
from experiments.reliability.model.calls import SEES_ALL, Answer, Caller, Json, Refusal, any_of, not_found
from experiments.reliability.model.inputs import DELETE, PAGED, READ, Route, is_ahead
from experiments.reliability.model.records import AcsUser, Credential, Identity, System
from experiments.reliability.model.shapes import credential_json, with_record
from experiments.reliability.model.state import State
from experiments.reliability.model.words import holds


@dataclass(frozen=True)
class _Owner:
    """Whose a credential is to be; the identity gets an ACS user in the system if it has none."""

    identity: Identity
    system: System
    acs_user: AcsUser | None


def _create(state: State, caller: Caller, parameters: Json) -> Answer:
    owner, manager = _owner_and_manager(state, caller, parameters)
    learn_link = state.link_or_create(owner.identity, owner.system) if owner.acs_user is None else None
    starts_at, ends_at = parameters.get("starts_at", ""), parameters.get("ends_at")
    new: list[Credential] = []

    def learn(body: Json) -> None:
        record = body["acs_credential"]
        acs_user = state.linked(owner.identity, owner.system)
        assert acs_user is not None
        credential = Credential(caller.workspace, acs_user, owner.identity, manager, starts_at, ends_at)
        state.learn(credential, record["acs_credential_id"], record["created_at"])
        credential.starts_at = starts_at or record["starts_at"]
        credential.display_name, credential.warning = record["display_name"], record["warnings"][0]["message"]
        state.credentials.append(credential)
        state.changed_enrollments.add((owner.identity.id, manager.id))
        new.append(credential)

    if learn_link is None:
        return Answer(learn=learn, body=lambda: with_record("acs_credential", credential_json(new[0])))
    # Whose it is must be known first.
    results: list[Json] = []
    return Answer(
        learn=results.append,
        body=lambda: with_record("acs_credential", credential_json(new[0])),
        **asking_for_acs_users(owner.identity, [learn_link, lambda _: learn(results[0])]),
    )


def _owner_and_manager(state: State, caller: Caller, parameters: Json) -> tuple[_Owner, System]:
    refusals: list[Refusal] = []
    owner = _unless_refused(refusals, lambda: _owner(state, caller, parameters))
    named = parameters.get("credential_manager_acs_system_id")
    manager = None if named is None else _unless_refused(refusals, lambda: _named_manager(state, caller, named))
    if owner is not None and not (manager is None and named is not None):
        manager = _unless_refused(refusals, lambda: _manager_for(state, owner, manager))
    if owner is None or manager is None:
        raise any_of(refusals)
    return owner, manager


def _unless_refused[T](refusals: list[Refusal], find: Callable[[], T]) -> T | None:
    try:
        return find()
    except Refusal as refusal:
        refusals.append(refusal)
        return None


def _owner(state: State, caller: Caller, parameters: Json) -> _Owner:
    if "user_identity_id" in parameters:
        identity = state.identity(caller, parameters["user_identity_id"])
        system = state.system(caller, parameters["acs_system_id"])
        return _Owner(identity, system, state.linked(identity, system))
    acs_user = state.named_acs_user(caller, parameters)
    if acs_user.identity is None:
        raise Refusal(400, ("acs_user_has_no_user_identity", {}))
    if acs_user.identity.is_being_deleted:
        raise not_found("user_identity")
    return _Owner(acs_user.identity, acs_user.system, acs_user)


def _named_manager(state: State, caller: Caller, manager_id: str) -> System:
    manager = state.system(caller, manager_id)
    if not manager.is_manager:
        raise Refusal(400, ("acs_system_is_not_credential_manager", {}))
    return manager


def _manager_for(state: State, owner: _Owner, named: System | None) -> System:
    """Return the credential manager that is named, else the system's default, else an automation's."""
    compatible = state.compatible_managers(owner.system)
    if named is not None:
        if named not in compatible:
            raise Refusal(400, ("credential_manager_not_compatible", {}))
        return named
    if owner.system.default_manager is not None:
        return next(one for one in compatible if one.id == owner.system.default_manager)
    own = [one for one in state.automations if one.identity is owner.identity and one.system in compatible]
    if not own:
        raise Refusal(400, ("no_credential_manager", {}))
    return min(own, key=lambda one: one.created_at).system


def _get(state: State, caller: Caller, parameters: Json) -> Answer:
    credential = state.credential(caller, parameters["acs_credential_id"])
    return Answer(body=lambda: with_record("acs_credential", credential_json(credential)))


def _list(state: State, caller: Caller, parameters: Json) -> Answer:
    found = [
        credential_json(one)
        for one in state.credentials
        if one.workspace == caller.workspace
        and (caller.sees is SEES_ALL or one.identity.id in caller.sees)
        and parameters.get("acs_user_id", one.acs_user.id).lower() == one.acs_user.id
        and parameters.get("acs_system_id", one.acs_user.system.id).lower() == one.acs_user.system.id
        and parameters.get("user_identity_id", one.identity.id).lower() == one.identity.id
        and parameters.get("is_multi_phone_sync_credential", True)  # no phone has one of its own without an execution
        and one.created_at < parameters.get("created_before", "9")
        and holds(parameters.get("search"), one.display_name, one.acs_user.id, one.id)
    ]
    return Answer(body=None, listed=("acs_credentials", found))


def _update(state: State, caller: Caller, parameters: Json) -> Answer:
    credential = state.credential(caller, parameters["acs_credential_id"])
    if "ends_at" in parameters:
        if parameters["ends_at"] <= credential.starts_at:
            raise Refusal(400, ("invalid_input", {}), fields=["ends_at"])
        if parameters["ends_at"] != credential.ends_at:
            if credential.identity.is_being_deleted:
                raise not_found("acs_credential")
            state.changed_enrollments.add((credential.identity.id, credential.manager.id))
        credential.ends_at = parameters["ends_at"]
    return Answer(body=lambda: with_record("acs_credential", credential_json(credential)))


def _delete(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_credential(state.credential(caller, parameters["acs_credential_id"]))
    return Answer()


def _ends_after_it_starts(given: Json) -> bool:
    return is_ahead(given, "ends_at") and given.get("ends_at", "9") > given.get("starts_at", "0")


def _names_one_acs_user(given: Json) -> bool:
    return len(given.keys() & {"acs_user_id", "user_identity_id"}) == 1 and (
        "user_identity_id" not in given or "acs_system_id" in given
    )


_CREDENTIAL = {"acs_credential_id": "uuid*"}
ROUTES = {
    "/acs/credentials/create": Route(
        ("POST",),
        {
            "access_method": "mobile key*",
            "is_multi_phone_sync_credential": "true*",
            "acs_user_id": "uuid",
            "user_identity_id": "uuid",
            "acs_system_id": "uuid",
            "credential_manager_acs_system_id": "uuid",
            "starts_at": "moment",
            "ends_at": "moment",
        },
        _create,
        rules=[(_names_one_acs_user, None), (_ends_after_it_starts, "ends_at")],
    ),
    "/acs/credentials/get": Route(READ, _CREDENTIAL, _get),
    "/acs/credentials/list": Route(
        READ,
        {
            "acs_user_id": "uuid",
            "acs_system_id": "uuid",
            "user_identity_id": "uuid",
            "is_multi_phone_sync_credential": "boolean",
            "created_before": "moment",
            "search": "text",
            **PAGED,
        },
        _list,
        for_sessions=True,
    ),
    "/acs/credentials/update": Route(
        ("PATCH", "POST"),
        {**_CREDENTIAL, "ends_at": "moment"},
        _update,
        rules=[(lambda given: is_ahead(given, "ends_at"), "ends_at")],
    ),
    "/acs/credentials/delete": Route(DELETE, _CREDENTIAL, _delete),
}
