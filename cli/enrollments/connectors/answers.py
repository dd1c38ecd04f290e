"""What is wrong with a connector's answer, in plain words: the field, what it is, and what it must be.

What is in ``app`` is secret, and what is in ``memo`` is nobody's business, so neither is repeated.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from enrollment.managers.protocol import CredentialAnswer, ManagerAnswer, PhoneAnswer, State
from enrollments.connectors.findings import NotAsAgreed, saying

_MOST_APP_BYTES = 32 * 1024  # use_cases.learning keeps no more

_MUST_BE = {
    "state": f"one of {', '.join(State)}",
    "acs_credential_id": "a text: the id that was asked about",
    "version": "a whole number",
    "check_after_s": "a number, 0 or more",
    "starts_at": "a time with a time zone, such as 2026-12-01T08:00:00Z",
    "ends_at": "a time with a time zone, such as 2026-12-24T18:00:00Z",
    "app_expires_at": "a time with a time zone, such as 2026-12-07T10:15:00Z",
    "memo": "an object of at most 2 kB as JSON",
    "app": "an object",
    "credentials": "a list of answers about credentials",
    "keeps_validity": "true or false",
    "one_step": "true or false",
    "pools": "a list of at most 1000 pools",
    "pool": "a text of 1 to 200 characters",
    "available": "a whole number, 0 or more",
}
_PRIVATE = ("app", "memo")


def read_about_manager(content: Mapping[str, Any]) -> ManagerAnswer:
    """Return an answer about a manager.

    Raises:
        NotAsAgreed: It is not as the protocol says.
    """
    return _read(ManagerAnswer, content)


def read_about_phone(content: Mapping[str, Any], credential_ids: Sequence[str] = ()) -> PhoneAnswer:
    """Return an answer about a phone.

    Args:
        content: What came.
        credential_ids: The credentials that were asked about.

    Raises:
        NotAsAgreed: It is not as the protocol says.
    """
    answer = _read(PhoneAnswer, content)
    _check_reason(answer)
    if answer.app is not None and len(json.dumps(answer.app)) > _MOST_APP_BYTES:
        raise NotAsAgreed("app has more than 32 kB as JSON", "it must have 32 kB at most")
    if answer.state is State.ACTIVE and answer.endpoint_id is None:
        raise NotAsAgreed("the phone is active without an endpoint_id", "clients wait for one, so it must be answered")
    for credential in answer.credentials:
        _check_credential(credential, "credentials: ")
    named = [credential.acs_credential_id for credential in answer.credentials]
    for credential_id in credential_ids:
        if (count := named.count(credential_id)) != 1:
            came = f"credentials has {count} answers about a credential that was asked about"
            raise NotAsAgreed(came, "it must have one about each")
    return answer


def read_about_credential(content: Mapping[str, Any], credential_id: str) -> CredentialAnswer:
    """Return an answer about a credential.

    Args:
        content: What came.
        credential_id: The credential that was asked about.

    Raises:
        NotAsAgreed: It is not as the protocol says.
    """
    answer = _read(CredentialAnswer, content)
    _check_credential(answer)
    if answer.acs_credential_id != credential_id:
        raise NotAsAgreed("acs_credential_id is another one", "it must be the one that was asked about")
    return answer


def _check_credential(answer: CredentialAnswer, where: str = "") -> None:
    if answer.state is State.INVITED:
        raise NotAsAgreed(f"{where}state is invited", "a credential is never invited; pending must come")
    _check_reason(answer, where)


def _check_reason(answer: PhoneAnswer | CredentialAnswer, where: str = "") -> None:
    if answer.state is State.FAILED and not answer.reason:
        raise NotAsAgreed(f"{where}state is failed without a reason", "a reason must come")


def _read[Answer: BaseModel](model: type[Answer], content: Mapping[str, Any]) -> Answer:
    try:
        # As JSON and strictly: a number is no text, and a text is no number.
        return model.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        path = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
    raise NotAsAgreed(*_in_words(content, path))


def _in_words(content: Any, path: Sequence[str | int]) -> tuple[str, str]:
    """Return what a field is, and what it must be."""
    if not path:
        return "it has half of a Unicode character, or a number that JSON has not", "it must be JSON in UTF-8"
    names = [step for step in path if isinstance(step, str)]
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    must = f"it must be {_MUST_BE.get(names[-1] if names else '', 'a text')}"
    found = content
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return f"{field} is missing", must
    return f"{field} is {_described(found, is_private=any(name in _PRIVATE for name in names))}", must


def _described(found: Any, *, is_private: bool) -> str:
    match found:
        case None:
            return "null"
        case bool():
            return json.dumps(found)
        case int() | float():
            return "a number" if is_private else f"the number {found}"
        case str():
            return "a text" if is_private else f'the text "{saying(found)}"'
        case list():
            return "a list"
    return f"an object of {len(json.dumps(found).encode())} bytes"
