"""Queues of messages for other functions."""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from enrollment.errors import ServiceUnavailable
from enrollment.outbound.failures import telling_failures

# SQS takes ten messages, and 1 MiB in all, with one request (SQS API reference, "SendMessageBatch").
MOST_MESSAGES = 10


class Queue:
    """An SQS queue.

    Args:
        client: From ``outbound.clients``.
        url: The queue's URL.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Send messages, in JSON.

        Args:
            messages: The messages, each of a few kB at most.

        Raises:
            ServiceUnavailable: SQS did not take one of them.  Others may have been taken.
            RefusedError: There is no such queue, or it does not let this function in.
        """
        for some in batched(messages, MOST_MESSAGES, strict=False):
            entries = [{"Id": str(index), "MessageBody": json.dumps(message)} for index, message in enumerate(some)]
            with telling_failures():
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise ServiceUnavailable
