"""A connector for tests: right, unless a flaw is planted in it.

It keeps everything in memory.  A phone accepts its invitation when its status is asked for the first time.
"""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest, digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from enrollment.managers.protocol import RequestType

type Json = dict[str, Any]

SECRET = "whsec_YW4tZXhhbXBsZS1vZi1hLXNpZ25pbmctc2VjcmV0ISE="  # pragma: allowlist secret
_KEY = b64decode(SECRET.removeprefix("whsec_"))
_TYPES = set(RequestType)


class Refused(Exception):
    """A request is answered with a status other than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Phone:
    """A phone at the manufacturer."""

    person: str
    attempt: int
    number: int
    is_active: bool = False


@dataclass
class Credential:
    """A credential at the manufacturer."""

    phone: str
    version: int
    number: int
    pool: str | None
    starts_at: str
    ends_at: str | None


@dataclass
class ScriptedConnector:
    """A connector.

    Attributes:
        flaw: What is wrong with it or unusual, in words that this file looks for; nothing by default.
        asked: The types of the requests that it took.
        phones: The phones that it has, by our ids.
        credentials: The credentials that it has, by our ids.
        removed: Our ids of what was removed.
    """

    flaw: str = ""
    asked: list[str] = field(default_factory=list)
    phones: dict[str, Phone] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    pools: dict[str, int] = field(default_factory=lambda: {"standard": 9, "visitor": 0})
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve it on loopback, and yield its URL."""
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}/"
            server.shutdown()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        connector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = connector.answer(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Return the status and the body that a request is answered with."""
        try:
            self._check_signature({name.lower(): value for name, value in headers.items()}, body)
            asked = self._read(body)
            self.asked.append(asked["type"])
            with nullcontext() if self.flaw == "there is no lock" else self.lock:
                answer = self._answer(asked["type"], asked["data"])
        except Refused as refused:
            return refused.status, b"{}"
        if self.flaw == "only what is required is answered":
            answer = _required(answer)
        return 200, self._written(asked["type"], answer)

    def _check_signature(self, headers: Mapping[str, str], body: bytes) -> None:
        if self.flaw == "signatures are not checked":
            return
        try:
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            request_id, moment, signatures = (headers[name] for name in names)
            skew = time.time() - int(moment)
            signed = f"{request_id}.{moment}.".encode() + body
            given = [b64decode(one.removeprefix("v1,")) for one in signatures.split()]
        except (KeyError, ValueError) as error:
            raise Refused(400 if self.flaw == "missing headers are a 400" else 401) from error
        if (skew > 300 and self.flaw != "old is accepted") or (skew < -300 and self.flaw != "future is accepted"):
            raise Refused(401)
        looked_at = given[:1] if self.flaw == "only one signature is looked at" else given
        if not any(compare_digest(digest(_KEY, signed, sha256), one) for one in looked_at):
            raise Refused(403 if self.flaw == "wrong signatures are a 403" else 401)

    def _read(self, body: bytes) -> Json:
        try:
            asked = json.loads(body)
        except ValueError as error:
            raise Refused(500 if self.flaw == "no JSON is a 500" else 400) from error
        if not isinstance(asked, dict):
            raise Refused(401 if self.flaw == "a list is a 401" else 400)
        if self.flaw == "unknown properties are refused" and "colour" in json.dumps(asked):
            raise Refused(400)
        if asked["type"] not in _TYPES:
            raise Refused({"unknown type is a 200": 200, "unknown type is a 500": 500}.get(self.flaw, 400))
        return asked

    def _answer(self, kind: str, data: Json) -> Json:
        answers = {
            "manager.check": self._check,
            "phone.register": self._register,
            "phone.status": self._status,
            "phone.deregister": self._deregister,
            "credential.issue": self._issue,
            "credential.revoke": self._revoke,
        }
        if self.flaw == "it is busy now and then" and kind != "manager.check" and len(self.asked) % 5 == 0:
            raise Refused(503)
        return answers[kind](data)

    def _check(self, _: Json) -> Json:
        if self.flaw == "only what is required is answered":
            return {}
        pools = [{"pool": name, "available": left} for name, left in self.pools.items()]
        return {"keeps_validity": "yes" if self.flaw == "keeps_validity is a text" else True, "pools": pools}

    def _register(self, data: Json) -> Json:
        phone_id, attempt = data["phone"]["phone_registration_id"], data["attempt"]
        known = self.phones.get(phone_id)
        if phone_id in self.removed and self.flaw != "a late register invites":
            return {"state": "gone"}
        if data["person"]["email_address"] is None:
            if self.flaw == "a person without an address is a 500":
                raise Refused(500)
            return {"state": "failed", "reason": "email_required"}
        if self.flaw == "it tells its secret":
            return {"state": "failed", "reason": "rejected", "message": f"I do not know {SECRET}"}
        if self.flaw == "phones are refused":
            return {"state": "failed", "reason": "phone_unsupported", "message": "Too\nold"}
        if known is None or self.flaw == "each register invites":
            self.phones[phone_id] = Phone(data["person"]["user_identity_id"], attempt, next(self.numbers))
        elif attempt > known.attempt:
            if self.flaw == "attempt 2 is refused":
                return {"state": "failed", "reason": "rejected"}
            known.attempt = attempt
        elif data["memo"] is None and self.flaw == "without a memo nothing is found":
            raise Refused(500)
        return self._about_phone(phone_id)

    def _status(self, data: Json) -> Json:
        phone_id = data["phone"]["phone_registration_id"]
        if phone_id in self.phones:
            self.phones[phone_id].is_active = self.flaw != "nobody accepts"
        elif self.flaw == "an unknown phone is a 404":
            raise Refused(404)
        named = [each["acs_credential_id"] for each in data["credentials"]]
        told = [self._about(one) for one in named if one in self.credentials or self.flaw != "unknown is left out"]
        twice = told if self.flaw == "credentials are told twice" else []
        return {**self._about_phone(phone_id), "credentials": [*told, *twice]}

    def _deregister(self, data: Json) -> Json:
        phone_id = data["phone"]["phone_registration_id"]
        if phone_id not in self.phones and self.flaw == "a second deregister is a 404":
            raise Refused(404)
        if phone_id in self.phones or self.flaw != "unknown phones are not remembered":
            self.removed.add(phone_id)
        if self.flaw == "deregister does nothing":
            return self._about_phone(phone_id)
        person = self.phones[phone_id].person if phone_id in self.phones else None
        for other_id, phone in list(self.phones.items()):
            takes_all = self.flaw == "deregister removes the person's other phones" and phone.person == person
            if other_id == phone_id or takes_all:
                del self.phones[other_id]
        for credential_id, credential in list(self.credentials.items()):
            if credential.phone not in self.phones and self.flaw != "deregister leaves credentials":
                self._give_back(credential_id)
        return {"state": "gone"}

    def _issue(self, data: Json) -> Json:
        phone_id, credential_id = data["phone"]["phone_registration_id"], data["acs_credential_id"]
        is_late = credential_id in self.removed and self.flaw != "a late issue issues"
        if phone_id in self.removed:
            if self.flaw == "a late issue for a removed phone is a 500":
                raise Refused(500)
            return {"acs_credential_id": credential_id, "state": "gone"}
        if is_late:
            return {"acs_credential_id": credential_id, "state": "gone"}
        if phone_id not in self.phones and self.flaw != "a phone that never was gets a credential":
            return self._failed(credential_id, "rejected")
        known = self.credentials.get(credential_id)
        if self.flaw == "there is no lock":
            time.sleep(0.05)
        if known is None or self.flaw == "each issue issues":
            return self._issue_new(data)
        is_wanted = data["version"] > known.version or self.flaw == "a late version counts"
        if is_wanted and self.flaw != "versions are ignored":
            known.version, known.starts_at = data["version"], data["starts_at"]
            known.ends_at = data["ends_at"]
        return self._about(credential_id)

    def _issue_new(self, data: Json) -> Json:
        phone_id, credential_id, pool = (
            data["phone"]["phone_registration_id"],
            data["acs_credential_id"],
            data["pool"],
        )
        if pool is not None and pool not in self.pools:
            match self.flaw:
                case "an unknown pool is a 500":
                    raise Refused(500)
                case "an unknown pool is the usual one":
                    pool = None
                case _:
                    return self._failed(credential_id, "rejected")
        if pool is not None and self.pools[pool] == 0:
            return self._failed(credential_id, None if self.flaw == "failures have no reason" else "pool_exhausted")
        if self.flaw == "a phone has one credential" and phone_id in {one.phone for one in self.credentials.values()}:
            return self._failed(credential_id, "credential_limit_reached")
        self.pools[pool or "standard"] -= 1
        self.credentials[credential_id] = Credential(
            phone_id,
            data["version"],
            next(self.numbers),
            pool or "standard",
            data["starts_at"],
            data["ends_at"],
        )
        return self._about(credential_id)

    def _revoke(self, data: Json) -> Json:
        credential_id = data["acs_credential_id"]
        if credential_id not in self.credentials and self.flaw == "a second revoke is a 404":
            raise Refused(404)
        if credential_id in self.credentials or self.flaw != "unknown credentials are not remembered":
            self.removed.add(credential_id)
        if self.flaw == "revoke does nothing":
            return self._about(credential_id)
        self._give_back(credential_id)
        return {"acs_credential_id": credential_id, "state": "gone"}

    def _give_back(self, credential_id: str) -> None:
        credential = self.credentials.pop(credential_id, None)
        if credential is not None and credential.pool is not None:
            self.pools[credential.pool] += 1

    def _failed(self, credential_id: str, reason: str | None) -> Json:
        return {"acs_credential_id": credential_id, "state": "failed", "reason": reason}

    def _about_phone(self, phone_id: str) -> Json:
        phone = self.phones.get(phone_id)
        if phone is None:
            return {"state": "gone"}
        memo = {"much": "x" * (3000 if self.flaw == "a memo is too large" else 30)}
        if phone.is_active:
            named = {} if self.flaw == "endpoint_id is missing" else {"endpoint_id": f"endpoint-{phone.number}"}
            return {"state": "active", "memo": memo, **named}
        app: Any = {"code": f"secret-of-the-app-{phone.number}"}
        times = "2027-01-01T00:00:00" if self.flaw == "a time has no zone" else "2027-01-01T00:00:00Z"
        return {
            "state": "waiting" if self.flaw == "a state is unknown" else "invited",
            "app": app["code"] if self.flaw == "app is a text" else app,
            "app_expires_at": times,
            "memo": memo,
            "check_after_s": "1" if self.flaw == "check_after_s is a text" else 1,
        }

    def _about(self, credential_id: str) -> Json:
        credential = self.credentials.get(credential_id)
        if credential is None:
            return {"acs_credential_id": credential_id, "state": "gone"}
        answer = {
            "acs_credential_id": "another" if self.flaw == "acs_credential_id is another one" else credential_id,
            "state": "invited" if self.flaw == "a credential is invited" else "active",
            "version": credential.version,
            "manager_credential_id": f"credential-{credential.number}",
            "starts_at": credential.starts_at,
            "ends_at": credential.ends_at,
        }
        return answer if self.flaw != "ends_at is another one" else {**answer, "ends_at": "2099-01-01T00:00:00Z"}

    def _written(self, kind: str, answer: Json) -> bytes:
        if kind == "phone.register":
            match self.flaw:
                case "an answer is not JSON":
                    return b"OK"
                case "an answer is a list":
                    return b"[]"
                case "an answer is empty":
                    return b""
                case "an answer is too long":
                    return json.dumps({**answer, "message": "x" * 300_000}).encode()
        return json.dumps(answer).encode()


def _required(answer: Json) -> Json:
    names = ("acs_credential_id", "state", "reason", "endpoint_id")
    told = {name: answer[name] for name in names if name in answer}
    return told | (
        {"credentials": [_required(one) for one in answer["credentials"]]} if "credentials" in answer else {}
    )
