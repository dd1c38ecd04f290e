"""The protocol of a credential manager for the author of a connector: requests as models, and one JSON Schema of all.

Functions do not import this module, because models take time at each start.  They make requests as plain JSON.

A field's description in the schema is its line in the docstring of its model.  So each text has one home.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, Field
from pydantic.json_schema import models_json_schema

from enrollment.managers.protocol import CredentialAnswer, ManagerAnswer, PhoneAnswer, Reason, RequestType, State

type Json = dict[str, Any]
# The attempt of an invitation and the version of a credential begin with 1.
_Count = Annotated[int, Field(ge=1)]

_REFERENCE = "#/$defs/{model}"
_MOST_IN_A_STATUS = 60  # use_cases.manager_requests asks about so many at once


class Person(BaseModel):
    """The person whose phone it is.

    Attributes:
        user_identity_id: Our id of the person.  It stays the same.
        acs_user_id: Our id of the person's user in this credential manager, if there is one.
        full_name: The person's name, if it is known.  After the person was deleted, it is null.
        email_address: The email address, if it is known.  After the person was deleted, it is null.
        phone_number: The phone number (E.164), if it is known.  After the person was deleted, it is null.
    """

    user_identity_id: str
    acs_user_id: str | None
    full_name: str | None
    email_address: str | None
    phone_number: str | None


class Phone(BaseModel):
    """The phone.

    Attributes:
        phone_registration_id: Our id of this phone at this credential manager.  A phone that was removed comes back
            under another id.
        os: Its operating system.
        manufacturer: Who made it, if it is known.
        model: What its model is called, if it is known.
        os_version: The version of its operating system, if it is known.
    """

    phone_registration_id: str
    os: Literal["ios", "android"]
    manufacturer: str | None
    model: str | None
    os_version: str | None


class NamedCredential(BaseModel):
    """A credential of the phone.

    Attributes:
        acs_credential_id: Our id of it.
        manager_credential_id: Your id of it, if you have answered one.  It is null if that answer was lost.
    """

    acs_credential_id: str
    manager_credential_id: str | None


class _AboutPhone(BaseModel):
    person: Person
    phone: Phone
    memo: dict[str, Any] | None


class PhoneRegisterData(_AboutPhone):
    """What is told with ``phone.register``.

    Attributes:
        person: The person whose phone it is.
        phone: The phone.
        memo: The object that you last answered for this phone; null before that, and if the answer was lost.
        attempt: The number of the invitation, from 1.  A higher one replaces an invitation that has failed or is gone.
            The same number again asks for the same invitation.
    """

    attempt: _Count


class PhoneStatusData(_AboutPhone):
    """What is told with ``phone.status``.

    Attributes:
        person: The person whose phone it is.
        phone: The phone.
        memo: The object that you last answered for this phone; null before that, and if the answer was lost.
        credentials: The credentials of the phone that are asked about.  Answer each of them.
    """

    credentials: Annotated[list[NamedCredential], Field(max_length=_MOST_IN_A_STATUS)]


class PhoneDeregisterData(_AboutPhone):
    """What is told with ``phone.deregister``.

    Attributes:
        person: The person whose phone it is.
        phone: The phone.
        memo: The object that you last answered for this phone; null before that, and if the answer was lost.
        is_last_phone: Whether the person has no other phone here.  Then remove the person, too.
    """

    is_last_phone: bool


class CredentialIssueData(_AboutPhone):
    """What is told with ``credential.issue``.

    Attributes:
        person: The person whose phone it is.
        phone: The phone that gets the credential.
        memo: The object that you last answered for this phone; null before that, and if the answer was lost.
        acs_credential_id: Our id of the credential.  One that was revoked never comes back under the same id.
        version: The version of what is wanted, from 1.  A higher one changes the validity.
        starts_at: When the credential becomes valid.
        ends_at: When it ends; null if it does not end.
        pool: Your name of the pool that it comes from; null if it comes from none.
        options: What the client gave when it created the credential.  It can be empty.
        known_manager_credential_ids: Your ids of the phone's other credentials that we know.
    """

    acs_credential_id: str
    version: _Count
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None
    pool: str | None
    options: dict[str, Any]
    known_manager_credential_ids: list[str]


class CredentialRevokeData(_AboutPhone):
    """What is told with ``credential.revoke``.

    Attributes:
        person: The person whose phone it is.
        phone: The phone that has the credential.
        memo: The object that you last answered for this phone; null before that, and if the answer was lost.
        acs_credential_id: Our id of the credential.
        manager_credential_id: Your id of it, if you have answered one.  It is null if that answer was lost.
    """

    acs_credential_id: str
    manager_credential_id: str | None


class ManagerCheckData(BaseModel):
    """What is told with ``manager.check``: nothing."""


class PhoneRegisterRequest(BaseModel):
    """Invite a phone.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.PHONE_REGISTER]
    data: PhoneRegisterData


class PhoneStatusRequest(BaseModel):
    """Say how a phone and its credentials stand.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.PHONE_STATUS]
    data: PhoneStatusData


class PhoneDeregisterRequest(BaseModel):
    """Remove a phone with its credentials; with the last phone, the person.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.PHONE_DEREGISTER]
    data: PhoneDeregisterData


class CredentialIssueRequest(BaseModel):
    """Issue a credential to a phone, or change its validity.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.CREDENTIAL_ISSUE]
    data: CredentialIssueData


class CredentialRevokeRequest(BaseModel):
    """Revoke a credential of a phone.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.CREDENTIAL_REVOKE]
    data: CredentialRevokeData


class ManagerCheckRequest(BaseModel):
    """Say what the credential manager can do, and what its pools have left.

    Attributes:
        type: What is asked for.
        data: The rest.
    """

    type: Literal[RequestType.MANAGER_CHECK]
    data: ManagerCheckData


class Exchange(NamedTuple):
    """A request and its answer.

    Attributes:
        request: The request's model.
        answer: The answer's model.
    """

    request: type[BaseModel]
    answer: type[BaseModel]


EXCHANGES: Mapping[RequestType, Exchange] = {
    RequestType.MANAGER_CHECK: Exchange(ManagerCheckRequest, ManagerAnswer),
    RequestType.PHONE_REGISTER: Exchange(PhoneRegisterRequest, PhoneAnswer),
    RequestType.PHONE_STATUS: Exchange(PhoneStatusRequest, PhoneAnswer),
    RequestType.PHONE_DEREGISTER: Exchange(PhoneDeregisterRequest, PhoneAnswer),
    RequestType.CREDENTIAL_ISSUE: Exchange(CredentialIssueRequest, CredentialAnswer),
    RequestType.CREDENTIAL_REVOKE: Exchange(CredentialRevokeRequest, CredentialAnswer),
}


def protocol_schema() -> Json:
    """Return the JSON Schema of all requests and answers (draft 2020-12).

    The schema itself is that of a request.  The definition of each request names its answer's in ``x-answer``.
    """
    models = {model for exchange in EXCHANGES.values() for model in exchange}
    _, made = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REFERENCE,
    )
    definitions: dict[str, Json] = {name: _as_written(schema) for name, schema in made["$defs"].items()}
    for name in ("RequestType", "State", "Reason"):
        definitions.pop(name, None)
    for model in _all_models(models):
        _describe(definitions[model.__name__], model)
    _tell_states_and_reasons(definitions)
    for exchange in EXCHANGES.values():
        answer = {"$ref": _REFERENCE.format(model=exchange.answer.__name__)}
        definitions[exchange.request.__name__]["x-answer"] = answer
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Requests to a connector, and its answers",
        "description": "The schema is that of a request. x-answer in a request's definition names the definition of "
        "its answer. Both sides ignore properties that they do not know.",
        "oneOf": [{"$ref": _REFERENCE.format(model=each.request.__name__)} for each in EXCHANGES.values()],
        "$defs": dict(sorted(definitions.items())),
    }


def _all_models(models: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return models with those that are in their fields, however they are wrapped."""
    found: set[type[BaseModel]] = set()
    left = list(models)
    while left:
        model = left.pop()
        if model not in found:
            found.add(model)
            left += [inner for field in model.model_fields.values() for inner in _models_in(field.annotation)]
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in getattr(annotation, "__args__", ()) for inner in _models_in(argument)]


def _as_written(schema: Any) -> Any:
    """Return a schema as people write it: without titles and defaults, and with null beside another type."""
    if isinstance(schema, list):
        return [_as_written(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    written = {
        key: _as_written(value)
        for key, value in schema.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }
    match written.get("anyOf"):
        case [{"type": str(name)} as one, {"type": "null"}]:
            del written["anyOf"]
            return {**one, "type": [name, "null"], **written}
    return written


def _describe(definition: Json, model: type[BaseModel]) -> None:
    """Write a model's docstring into its definition: its text, and a line for each field."""
    text, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("Attributes:")
    definition["description"] = _in_one_line(text)
    lines = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE))
    for name, schema in definition.get("properties", {}).items():
        schema["description"] = _in_one_line(lines[name])


def _in_one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _tell_states_and_reasons(definitions: Mapping[str, Json]) -> None:
    """Write which states a phone and a credential have, and which reasons are known."""
    states = {"PhoneAnswer": set(), "CredentialAnswer": {State.INVITED}}
    for name, excluded in states.items():
        properties = definitions[name]["properties"]
        told = properties["state"]["description"]
        properties["state"] = {
            "type": "string",
            "enum": [str(one) for one in State if one not in excluded],
            "description": told,
        }
        # Others are allowed, too; they count as a refusal.
        reasons = [{"type": "string", "enum": [str(one) for one in Reason]}, {"type": "string"}, {"type": "null"}]
        properties["reason"] = {"anyOf": reasons, "description": properties["reason"]["description"]}
