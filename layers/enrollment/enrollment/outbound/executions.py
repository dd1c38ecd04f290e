"""Executions of a durable function."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from enrollment.outbound.failures import telling_failures

_ALREADY_STARTED = "DurableExecutionAlreadyStartedException"


class Executions:
    """Starts executions of a durable function.

    Args:
        client: From ``outbound.clients``.
        function_arn: The ARN of the function's alias.
    """

    def __init__(self, client: Any, function_arn: str) -> None:
        self._client = client
        self._function_arn = function_arn

    def start(self, name: str, given: Mapping[str, Any]) -> None:
        """Start an execution, unless there is one of this name already.

        Args:
            name: Its name, 64 characters at most.
            given: Its input.

        Raises:
            ServiceUnavailable: Lambda did not take it.
            RefusedError: There is no such function, or it is not open to this one.
        """
        with telling_failures():
            try:
                self._client.invoke(
                    FunctionName=self._function_arn,
                    InvocationType="Event",
                    DurableExecutionName=name,
                    Payload=json.dumps(given).encode(),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != _ALREADY_STARTED:
                    raise
