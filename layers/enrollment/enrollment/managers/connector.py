"""The connector: a credential manager that is asked by HTTPS (contract, "Credential managers").

A request is signed as Standard Webhooks describes.  While a former signing secret still counts, the request has a
signature by each, so that the connector's owner can change it at any moment.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Never

from standardwebhooks import Webhook as Signer

from enrollment.managers.protocol import NOT_THE_PROTOCOL, BusyError, NoAccessError, NoUsableAnswerError, Request
from enrollment.outbound.https import Attempt

type Post = Callable[[str, bytes, Mapping[str, str]], Attempt]

# The contract counts no answer in 10 s as none.
LONGEST_SECONDS = 10.0
# A status with 60 credentials, each with a memo of 2 kB, has about half of this.
MOST_ANSWER_BYTES = 256 * 1024
_USER_AGENT = "enrollment-automations-connectors"
_BUSY = (429, 503)
_NO_ACCESS = (401, 403)
_OK = range(200, 300)


class Connector:
    """A connector.

    Args:
        post: Sends a request, and reads at most ``MOST_ANSWER_BYTES`` of the answer in at most ``LONGEST_SECONDS``.
        url: Its URL.
        secrets: Its signing secrets, each ``whsec_…``; one, or several while the secret is changed.
        now: Returns the time.
    """

    def __init__(
        self,
        post: Post,
        url: str,
        secrets: Sequence[str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._post = post
        self._url = url
        self._signers = list(map(Signer, secrets))
        self._now = now

    def ask(self, request: Request) -> Mapping[str, Any]:
        """Return the connector's answer to a request.

        Args:
            request: The request.

        Raises:
            NoUsableAnswerError: There is none.
        """
        body = json.dumps({"type": request.type, "data": request.data}, separators=(",", ":"))
        attempt = self._post(self._url, body.encode(), self.headers(request.id, body))
        if attempt.status is None:
            raise NoUsableAnswerError(attempt.failure or "no_answer")
        if attempt.status in _BUSY:
            raise BusyError(_seconds(attempt.retry_after, self._now()))
        if attempt.status in _NO_ACCESS:
            raise NoAccessError
        if attempt.status not in _OK:
            raise NoUsableAnswerError(f"status_{attempt.status}")
        return _object(attempt.body)

    def headers(self, request_id: str, body: str) -> dict[str, str]:
        """Return the headers of a request, which sign it at this moment.

        Args:
            request_id: The request's id.
            body: Its body.
        """
        at = self._now()
        return {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "webhook-id": request_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signer.sign(request_id, at, body) for signer in self._signers),
        }


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NoUsableAnswerError("not_json") from error
    if not isinstance(answer, dict):
        raise NoUsableAnswerError(NOT_THE_PROTOCOL)
    return answer


def _refuse(constant: str) -> Never:
    """Refuse NaN and Infinity, which Python's parser takes, but which are no JSON."""
    raise ValueError(constant)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Return for how many seconds to wait, which is a number or a date; ``None`` if it is neither (RFC 9110)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
