"""Phones, and the sessions that apps open for theirs."""

from collections.abc import Sequence

from experiments.reliability.model.calls import SEES_ALL, Answer, Caller, Json, Refusal, any_of, not_found
from experiments.reliability.model.inputs import DELETE, PAGED, READ, Route
from experiments.reliability.model.records import Automation, Identity, Phone
from experiments.reliability.model.shapes import identity_json, phone_json, with_record
from experiments.reliability.model.state import State

# The simulated phone, unless told otherwise.
_GALAXY = {"manufacturer": "Samsung", "model": "Samsung Galaxy S10", "os_version": "10"}
_SANDBOX_NAMES = {"device_manufacturer": "manufacturer", "device_model": "model", "os_version": "os_version"}


def _create_sandbox_phone(state: State, caller: Caller, parameters: Json) -> Answer:
    refusals = []
    if not state.workspaces[caller.workspace].is_sandbox:
        refusals.append(Refusal(400, ("workspace_is_not_sandbox", {})))
    try:
        identity = state.identity(caller, parameters["user_identity_id"])
    except Refusal as refusal:
        refusals.append(refusal)
    if refusals:
        raise any_of(refusals)
    given = parameters.get("phone_metadata", {})
    known = _GALAXY | {name: given[theirs] for theirs, name in _SANDBOX_NAMES.items() if theirs in given}
    installation = parameters.get("custom_sdk_installation_id")
    phone = _phone(state, identity, installation, given.get("operating_system", "android"), known)

    def learn(body: Json) -> None:
        if not phone.id:
            _learn(state, phone, body["phone"])

    return Answer(learn=learn, body=lambda: with_record("phone", phone_json(phone)))


def _phone(state: State, identity: Identity, installation: str | None, system: str, known: dict[str, str]) -> Phone:
    """Return the phone of an installation, with what is known of it now, or a new one."""
    for phone in state.phones:
        if phone.identity is identity and phone.installation == installation is not None:
            phone.known |= known
            return phone
    phone = Phone(identity.workspace, identity, system, known, installation)
    state.phones.append(phone)
    return phone


def _learn(state: State, phone: Phone, record: Json) -> None:
    state.learn(phone, record["device_id"], record["created_at"])
    phone.display_name = record["display_name"]


def _get_phone(state: State, caller: Caller, parameters: Json) -> Answer:
    phone = _seen(state, caller, parameters["device_id"])
    return Answer(body=lambda: with_record("phone", phone_json(phone)))


def _seen(state: State, caller: Caller, device_id: str) -> Phone:
    for phone in state.phones:
        if (phone.workspace, phone.id) == (caller.workspace, device_id.lower()) and (
            caller.sees is SEES_ALL or phone.identity.id in caller.sees
        ):
            return phone
    raise not_found("phone")


def _list_phones(state: State, caller: Caller, parameters: Json) -> Answer:
    refusals = []
    owner_id, credential_id = (parameters.get(name) for name in ("owner_user_identity_id", "acs_credential_id"))
    for name_id, look_up in ((owner_id, state.identity), (credential_id, state.credential)):
        try:
            if name_id is not None:
                look_up(caller, name_id)
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise any_of(refusals)
    found = [
        phone_json(one)
        for one in state.phones
        if one.workspace == caller.workspace
        and (owner_id is None or owner_id.lower() == one.identity.id)
        and credential_id is None  # no phone has a credential of its own without an execution
    ]
    return Answer(body=None, listed=("phones", found))


def _deactivate(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_phone(_seen(state, caller, parameters["device_id"]))
    return Answer()


def _open_session(state: State, caller: Caller, parameters: Json) -> Answer:
    assert caller.sees is not None
    if len(caller.sees) != 1:
        raise Refusal(400, ("client_session_is_not_of_one_person", {}))
    identity = state.identity(caller, *caller.sees)
    known = parameters.get("phone_device_metadata", {})
    phone = _phone(state, identity, parameters["custom_sdk_installation_id"], parameters["phone_os"], dict(known))
    automations = sorted((one for one in state.automations if one.identity is identity), key=lambda one: one.created_at)

    def learn(body: Json) -> None:
        told = [
            one["phone_registration"]["phone_registration_id"] for one in body["phone_session"]["provider_sessions"]
        ]
        assert len(told) == len(automations), f"{told} are not for {len(automations)} automations"
        for automation, registration_id in zip(automations, told, strict=True):
            known_id = state.registrations.setdefault((phone, automation.system), registration_id)
            assert known_id == registration_id, "a registration has another id"
        assert len(set(state.registrations.values())) == len(state.registrations), "two registrations have one id"

    def tell(body: Json) -> None:
        known_ids = {one.id for one in state.phones}
        (record,) = (one for one in body["phones"] if one["device_id"] not in known_ids)
        _learn(state, phone, record)
        assert record == phone_json(phone)

    return Answer(
        learn=learn,
        body=lambda: with_record("phone_session", _session_json(state, phone, automations)),
        ask=None if phone.id else lambda: ("/phones/list", {"owner_user_identity_id": identity.id}),
        tell=tell,
    )


def _session_json(state: State, phone: Phone, automations: Sequence[Automation]) -> Json:
    return {
        "workspace_id": phone.workspace,
        "is_sandbox_workspace": state.workspaces[phone.workspace].is_sandbox,
        "user_identity": identity_json(state, phone.identity),
        "provider_sessions": [
            {
                "phone_registration": {
                    "phone_registration_id": state.registrations[phone, one.system],
                    "provider_name": None,
                    "provider_state": None,
                    "is_being_activated": True,
                },
                "acs_credentials": [],
            }
            for one in automations
        ],
    }


_PHONE = {"device_id": "uuid*"}
ROUTES = {
    "/phones/get": Route(READ, _PHONE, _get_phone),
    "/phones/list": Route(READ, {"owner_user_identity_id": "uuid", "acs_credential_id": "uuid", **PAGED}, _list_phones),
    "/phones/deactivate": Route(DELETE, _PHONE, _deactivate, for_sessions=True),
    "/phones/simulate/create_sandbox_phone": Route(
        ("POST",),
        {"user_identity_id": "uuid*", "custom_sdk_installation_id": "text", "phone_metadata": "simulated phone"},
        _create_sandbox_phone,
    ),
    "/seam/mobile_sdk/v1/phone_sessions/get_or_create": Route(
        ("POST",),
        {
            "custom_sdk_installation_id": "text*",
            "phone_os": "operating system*",
            "phone_device_metadata": "known of a phone",
        },
        _open_session,
        for_sessions=True,
        for_servers=False,
    ),
}
