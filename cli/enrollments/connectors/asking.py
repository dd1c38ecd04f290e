"""Requests to a connector that is tried: as the service sends them, and as nobody should."""

import json
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from select import select
from typing import Any

from enrollment.managers.connector import LONGEST_SECONDS, Connector, Post
from enrollment.managers.protocol import (
    BusyError,
    CredentialAnswer,
    ManagerAnswer,
    NoUsableAnswerError,
    PhoneAnswer,
    Request,
    RequestType,
)
from enrollment.outbound.addresses import ForbiddenAddress, resolve
from enrollment.outbound.https import Attempt
from enrollment.timestamps import timestamp
from enrollments.connectors.answers import read_about_credential, read_about_manager, read_about_phone
from enrollments.connectors.findings import NotAsAgreed

type Json = dict[str, Any]

_ANSWER = "a 200 must come, with an answer in JSON"
_CAME = {
    "timeout": f"no answer came within {LONGEST_SECONDS:.0f} s",
    "connection": "nobody answers there, or the connection was cut",
    "tls": "the TLS handshake failed; the certificate must be valid for the name in the URL",
    "no_such_host": "the name in the URL leads nowhere",
    "forbidden_address": "the URL is not allowed; it must be HTTPS with a public address, or on this machine",
    "too_long": "more than 256 kB came",
    "not_json": "what came is not JSON",
    "not_the_protocol": "what came is not a JSON object",
    "no_access": "a 401 or 403 came",
}


@dataclass(frozen=True)
class Validity:
    """When a credential opens doors.

    Attributes:
        starts_at: Since when.
        ends_at: Until when; ``None`` if it does not end.
    """

    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True)
class TriedCredential:
    """A credential that is made up to try a connector.

    Attributes:
        version: Which version of it is asked for.
        validity: When it opens doors.
        pool: The pool that it comes from.
        acs_credential_id: Its id.
    """

    version: int
    validity: Validity
    pool: str | None
    acs_credential_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class TriedPhone:
    """A phone that is made up to try a connector.

    Attributes:
        person: The person, as requests name it.
        model: What its model is called.
        registration_id: Its id.
        memo: What the connector last answered as memo.
        manager_credential_ids: The connector's ids of its credentials, by ours; ``None`` while there is none.
    """

    person: Mapping[str, str | None]
    model: str
    registration_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    memo: Json | None = None
    manager_credential_ids: dict[str, str | None] = field(default_factory=dict)


class Asker:
    """Asks a connector.

    Args:
        url: The connector's URL.
        secret: Its signing secret.
        post: Sends a request.
        patience: For how many seconds to wait for a connector that is busy.
        sleep: Waits for so many seconds.

    Attributes:
        secret: The signing secret.
    """

    def __init__(
        self, url: str, secret: str, *, post: Post, patience: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url = url
        self.secret = secret
        self._post = post
        self._patience = patience
        self._sleep = sleep
        self._connector = Connector(post, url, [secret])

    # What the service asks

    def check_manager(self, **more: Any) -> ManagerAnswer:
        """Ask ``manager.check``.

        Args:
            more: What else is in the data.

        Raises:
            NotAsAgreed: The answer is not as the protocol says, as with each of these requests.
        """
        return read_about_manager(self._ask(RequestType.MANAGER_CHECK, more, uuid.uuid4()))

    def register(self, phone: TriedPhone, attempt: int, **more: Any) -> PhoneAnswer:
        """Ask ``phone.register``.

        Args:
            phone: The phone.
            attempt: The number of the attempt.
            more: What else is in the data, or in the place of what is usually there.
        """
        data = {**_common(phone), "attempt": attempt, **more}
        answer = read_about_phone(self._ask(RequestType.PHONE_REGISTER, data, phone.registration_id, attempt))
        return _keep_memo(phone, answer)

    def status(self, phone: TriedPhone, *credential_ids: str) -> PhoneAnswer:
        """Ask ``phone.status``.

        Args:
            phone: The phone.
            credential_ids: Its credentials that are asked about.
        """
        named = [_named(phone, one) for one in credential_ids]
        content = self._ask(RequestType.PHONE_STATUS, {**_common(phone), "credentials": named}, uuid.uuid4())
        answer = read_about_phone(content, credential_ids)
        for credential in answer.credentials:
            _keep_memo(phone, credential)
        return _keep_memo(phone, answer)

    def deregister(self, phone: TriedPhone, *, is_last_phone: bool) -> PhoneAnswer:
        """Ask ``phone.deregister``, as for a person who was deleted: without a name and addresses.

        Args:
            phone: The phone.
            is_last_phone: Whether the person has no other phone there.
        """
        nameless = dict.fromkeys(("full_name", "email_address", "phone_number"))
        data = {**_common(phone), "person": {**phone.person, **nameless}, "is_last_phone": is_last_phone}
        answer = read_about_phone(self._ask(RequestType.PHONE_DEREGISTER, data, phone.registration_id))
        return _keep_memo(phone, answer)

    def issue(self, phone: TriedPhone, credential: TriedCredential) -> CredentialAnswer:
        """Ask ``credential.issue``.

        Args:
            phone: The phone.
            credential: The credential.
        """
        data = _data_of_issue(phone, credential)
        return self._about_credential(phone, RequestType.CREDENTIAL_ISSUE, data, credential.version)

    def revoke(self, phone: TriedPhone, credential_id: str) -> CredentialAnswer:
        """Ask ``credential.revoke``.

        Args:
            phone: The phone.
            credential_id: The credential.
        """
        data = {**_common(phone), **_named(phone, credential_id)}
        return self._about_credential(phone, RequestType.CREDENTIAL_REVOKE, data)

    # What goes wrong on the way

    def issue_and_lose_the_answer(self, phone: TriedPhone, credential: TriedCredential) -> None:
        """Ask ``credential.issue``, and close the connection once an answer is there, without reading it.

        Args:
            phone: The phone.
            credential: The credential.
        """
        phone.manager_credential_ids.setdefault(credential.acs_credential_id, None)
        data = _data_of_issue(phone, credential)
        request = _request(RequestType.CREDENTIAL_ISSUE, data, credential.acs_credential_id, credential.version)
        body = json.dumps({"type": request.type, "data": request.data})
        with suppress(OSError, HTTPException, ForbiddenAddress):
            target = resolve(self._url, on_loopback=True)
            seconds = LONGEST_SECONDS
            connection = (
                HTTPSConnection(target.host, target.port, timeout=seconds, context=ssl.create_default_context())
                if target.is_encrypted
                else HTTPConnection(target.host, target.port, timeout=seconds)
            )
            with closing(connection):
                connection.request("POST", target.path, body.encode(), self._connector.headers(request.id, body))
                select([connection.sock], [], [], seconds)

    def send(
        self,
        body: str,
        *,
        secrets: Sequence[str] | None = None,
        at: datetime | None = None,
        signed_body: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Attempt:
        """Send a request that may be signed in another way than the service signs.

        Args:
            body: The body.
            secrets: The secrets that it is signed with; by default the connector's.
            at: When it says that it was sent; by default now.
            signed_body: The body that is signed; by default the one that is sent.
            headers: The headers that are changed after the signature; ``None`` leaves one out.
        """
        moment = at or datetime.now(UTC)
        signer = Connector(self._post, self._url, secrets or [self.secret], now=lambda: moment)
        signed: Mapping[str, str | None] = signer.headers(str(uuid.uuid4()), signed_body or body)
        sent = {name: value for name, value in {**signed, **(headers or {})}.items() if value is not None}
        return self._post(self._url, body.encode(), sent)

    def _about_credential(self, phone: TriedPhone, kind: RequestType, data: Json, *parts: object) -> CredentialAnswer:
        credential_id = str(data["acs_credential_id"])
        phone.manager_credential_ids.setdefault(credential_id, None)
        answer = read_about_credential(self._ask(kind, data, credential_id, *parts), credential_id)
        if answer.manager_credential_id is not None:
            phone.manager_credential_ids[credential_id] = answer.manager_credential_id
        return _keep_memo(phone, answer)

    def _ask(self, kind: RequestType, data: Json, *parts: object) -> Mapping[str, Any]:
        request = _request(kind, data, *parts)
        left = self._patience
        while True:
            try:
                return self._connector.ask(request)
            except BusyError as busy:
                wait = 1.0 if busy.retry_after is None else max(0.1, busy.retry_after)
                if wait > left:
                    raise NotAsAgreed("a 429 or 503 came, and no end of it", _ANSWER) from busy
                left -= wait
                self._sleep(wait)
            except NoUsableAnswerError as error:
                raise NotAsAgreed(came_of(error.because), _ANSWER) from error


def phone_and_credentials(answer: PhoneAnswer) -> list[PhoneAnswer | CredentialAnswer]:
    """Return what an answer says of a phone, and of each credential."""
    return [answer, *answer.credentials]


def came_of(because: str) -> str:
    """Return in plain words what came, if it cannot be used.

    Args:
        because: The word that says why.
    """
    return _CAME.get(because) or because.replace("status_", "status ") + " came"


def _request(kind: RequestType, data: Json, *parts: object) -> Request:
    """Return a request.  Its id is the same for the same parts, as that of a repetition."""
    return Request(str(uuid.uuid5(uuid.NAMESPACE_URL, " ".join(map(str, (kind, *parts))))), kind, data)


def _common(phone: TriedPhone) -> Json:
    return {
        "person": phone.person,
        "phone": {
            "phone_registration_id": phone.registration_id,
            "os": "android",
            "manufacturer": "Samsung",
            "model": phone.model,
            "os_version": "10",
        },
        "memo": phone.memo,
    }


def _named(phone: TriedPhone, credential_id: str) -> Json:
    known = phone.manager_credential_ids.get(credential_id)
    return {"acs_credential_id": credential_id, "manager_credential_id": known}


def _data_of_issue(phone: TriedPhone, credential: TriedCredential) -> Json:
    one, validity = credential.acs_credential_id, credential.validity
    known = [known for other, known in phone.manager_credential_ids.items() if other != one and known is not None]
    return {
        **_common(phone),
        "acs_credential_id": one,
        "version": credential.version,
        "starts_at": timestamp(validity.starts_at),
        "ends_at": None if validity.ends_at is None else timestamp(validity.ends_at),
        "pool": credential.pool,
        "options": {},
        "known_manager_credential_ids": known,
    }


def _keep_memo[Answer: (PhoneAnswer, CredentialAnswer)](phone: TriedPhone, answer: Answer) -> Answer:
    if answer.memo is not None:
        phone.memo = answer.memo
    return answer
