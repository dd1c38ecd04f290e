"""Failures of requests to the services that messages leave by."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from enrollment.errors import ServiceUnavailable

_SERVER_ERROR = 500
_TOO_MANY = 429
_THROTTLED = frozenset({"LimitExceededException", "RequestThrottled", "Throttling", "ThrottlingException"})


class RefusedError(Exception):
    """The service refuses the request for good: there is no such bus or queue, or it does not let this function in."""


@contextmanager
def telling_failures() -> Iterator[None]:
    """Turn the errors of a request into two kinds.

    Raises:
        ServiceUnavailable: The request may succeed later.
        RefusedError: It will fail again.
    """
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
        if status >= _SERVER_ERROR or status == _TOO_MANY or code in _THROTTLED:
            raise ServiceUnavailable from error
        raise RefusedError from error
    except BotoCoreError as error:
        raise ServiceUnavailable from error
