"""Master secrets, which are in Secrets Manager."""

from typing import Any

from enrollment.outbound.failures import telling_failures


class MasterSecret:
    """A master secret.  It is read when it is first needed, and kept for as long as the process lives.

    Args:
        client: From ``outbound.clients``.
        arn: The secret's ARN.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn
        self._value: bytes | None = None

    def value(self) -> bytes:
        """Return the secret.

        Raises:
            ServiceUnavailable: Secrets Manager does not answer.
            RefusedError: There is no such secret, or it is not open to this function.
        """
        if self._value is None:
            with telling_failures():
                answer = self._client.get_secret_value(SecretId=self._arn)
            self._value = str(answer["SecretString"]).encode()
        return self._value
