"""Credentials that are fetched when the first request is signed, within the time that the invocation has left.

A function that starts from a snapshot gets no credentials from Lambda, but the address of an endpoint that has them
(developer guide, "Activating and managing Lambda SnapStart").  botocore would ask that endpoint while the client is
made.  One failure would then fail the start, and could take nine seconds, however little time the invocation has.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from botocore.credentials import ContainerProvider, Credentials, ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.httpsession import URLLib3Session
from botocore.utils import ContainerMetadataFetcher

from enrollment.aws.deadline import seconds_left
from enrollment.errors import ServiceUnavailable

# The endpoint is in the function's own sandbox: it answers within milliseconds, or something is wrong.
_CONNECT_SECONDS = 0.5
_READ_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 0.4

# Randomness of the operating system: processes that start from one snapshot share the state of Python's generator.
_random = random.SystemRandom()


def _open_session(timeouts: tuple[float, float]) -> URLLib3Session:
    return URLLib3Session(timeout=cast("Any", timeouts))


class ContainerCredentials(Credentials):
    """Credentials from the endpoint in ``AWS_CONTAINER_CREDENTIALS_FULL_URI``; fetched and renewed when needed.

    Args:
        open_session: Returns an HTTP session that has these time-outs, to connect and to read, in seconds.
        sleep: Waits for a number of seconds between attempts.
        draw: Returns a random number between two, which is how long to wait.
    """

    def __init__(
        self,
        *,
        open_session: Callable[[tuple[float, float]], Any] = _open_session,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[float, float], float] = _random.uniform,
    ) -> None:
        super().__init__("", "", method=ContainerProvider.METHOD)
        pause = partial(_pause, sleep, draw)
        fetcher = ContainerMetadataFetcher(cast("Any", _SessionInTime(open_session)), pause)
        self._provider = ContainerProvider(fetcher=cast("Any", fetcher))
        self._fetched: Credentials | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials that sign a request.

        Raises:
            CredentialRetrievalError: The endpoint has no usable credentials.
            ServiceUnavailable: The invocation's time has no room for a request to the endpoint.
        """
        try:
            self._fetched = self._fetched or self._provider.load()
            return self._fetched.get_frozen_credentials()
        except (CredentialRetrievalError, ServiceUnavailable):
            raise
        except Exception as error:  # botocore does not check the endpoint's answer
            raise CredentialRetrievalError(provider=self.method, error_msg=type(error).__name__) from error


class CredentialsOfContainer:
    """A credential provider for a botocore session; its only credentials are ``ContainerCredentials``."""

    def load_credentials(self) -> Credentials:
        """Return the credentials, which are not fetched yet."""
        return ContainerCredentials()


class _SessionInTime:
    """The part of botocore's HTTP session that fetches credentials, bounded by the invocation's time."""

    def __init__(self, open_session: Callable[[tuple[float, float]], Any]) -> None:
        self._open_session = open_session

    def send(self, request: Any) -> Any:
        half = seconds_left() / 2  # at worst it waits for a connection, and then for the answer
        if half <= 0:
            raise ServiceUnavailable from TimeoutError("the invocation's time ends")
        return self._open_session((min(half, _CONNECT_SECONDS), min(half, _READ_SECONDS))).send(request)


def _pause(sleep: Callable[[float], None], draw: Callable[[float, float], float], _: float) -> None:
    """Wait before the next request to the endpoint, for less than the second that botocore would wait."""
    wait = draw(0, _LONGEST_PAUSE_SECONDS)
    if wait >= seconds_left():
        raise ServiceUnavailable from TimeoutError("the invocation's time ends")
    sleep(wait)
