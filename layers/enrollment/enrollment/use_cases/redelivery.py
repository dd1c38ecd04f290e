"""Redelivery: when a durable execution is started for deliveries that failed, and what it does.

An execution is for one event, or for a webhook whose breaker is open.  All of its I/O is in named steps, whose results
AWS keeps.  After an interruption the code runs again from the beginning, with these results.
"""

import hashlib
from collections.abc import Callable, Mapping
from itertools import batched, islice
from typing import Any, Protocol

from enrollment.outbound.queues import MOST_MESSAGES, Queue
from enrollment.use_cases.deliveries import Deliverer, Message, Outcome, Result

type Start = Callable[[str, Any], None]

# The contract's waits before each further attempt ("Webhooks"), in seconds.
WAITS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
# Times differ by up to a tenth, so that what failed together does not come back together.
_JITTER = 0.1
# A webhook is switched off after five days, so this many waits are never over before.
_MOST_PROBES = len(WAITS) + 15
# A day's events can be too many for the time of one invocation, so a step sends so many of them.
MOST_SENT = 1000


class Steps(Protocol):
    """What an execution can do so that AWS keeps its place."""

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Run a function at least once, and return its result, which is JSON."""

    def wait(self, name: str, seconds: int) -> None:
        """Wait."""


def deliver_first(message: Message, deliverer: Deliverer, start: Start) -> Result:
    """Attempt a delivery for the first time, and start the execution that its result needs.

    Args:
        message: The message.
        deliverer: Makes the attempt.
        start: Starts an execution, by its name and its input.

    Raises:
        ServiceUnavailable: AWS stays out of reach.
        RefusedError: The execution cannot be started.
    """
    result = _deliver(message, deliverer, start)
    if result.outcome is Outcome.FAILED:
        start(*_execution_of_event(message))
    return result


def _deliver(message: Message, deliverer: Deliverer, start: Start) -> Result:
    """Attempt a delivery.  If the event is held, start the execution for the webhook."""
    result = deliverer.deliver(message)
    if result.outcome is Outcome.HELD:
        start(*_execution_of_breaker(message.workspace_id, message.webhook_id, str(result.breaker_opened_at)))
    return result


def _execution_of_event(message: Message) -> tuple[str, dict[str, Any]]:
    """Return the name and the input of the execution that delivers an event again.

    The same event and webhook have the same name, so AWS starts it once.
    """
    digest = hashlib.sha256(message.webhook_id.encode()).hexdigest()[:16]
    return f"event-{message.event['event_id']}-{digest}", {"message": message.to_json()}


def _execution_of_breaker(workspace_id: str, webhook_id: str, opened_at: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the input of the execution that waits until a webhook's address answers again."""
    digest = hashlib.sha256(f"{webhook_id}{opened_at}".encode()).hexdigest()[:12]
    return f"breaker-{webhook_id}-{digest}", {"breaker": {"workspace_id": workspace_id, "webhook_id": webhook_id}}


def redeliver(given: Mapping[str, Any], steps: Steps, deliverer: Deliverer, queue: Queue, start: Start) -> str:
    """Do what an execution is for.  Return how it ended.

    Args:
        given: The execution's input.
        steps: What it can do.
        deliverer: Makes attempts.
        queue: The queue of deliveries.
        start: Starts another execution, by its name and its input.

    Raises:
        ServiceUnavailable: AWS stays out of reach; the step is run again.
    """
    if "breaker" in given:
        return _close_breaker(given["breaker"], steps, deliverer, queue)
    return _redeliver_event(Message.from_json(given["message"]), steps, deliverer, start)


def _redeliver_event(message: Message, steps: Steps, deliverer: Deliverer, start: Start) -> str:
    key = f"{message.webhook_id}{message.event['event_id']}"

    for number, seconds in enumerate(WAITS, 2):
        steps.wait(f"before attempt {number}", _with_jitter(seconds, key))
        outcome = str(steps.run(f"attempt {number}", lambda: _deliver(message, deliverer, start).outcome))
        if outcome != Outcome.FAILED:
            return outcome
    return "given_up"


def _close_breaker(given: Mapping[str, str], steps: Steps, deliverer: Deliverer, queue: Queue) -> str:
    workspace_id, webhook_id = given["workspace_id"], given["webhook_id"]

    def send_held() -> int:
        """Put into the queue what is held, up to a limit.  An interruption can put an event there twice."""
        count = 0
        for some in batched(islice(deliverer.held(workspace_id, webhook_id), MOST_SENT), MOST_MESSAGES, strict=False):
            queue.send([message.to_json() for _, message in some])
            deliverer.drop_held(*(key for key, _ in some))
            count += len(some)
        return count

    for number in range(1, _MOST_PROBES + 1):
        seconds = WAITS[min(number, len(WAITS)) - 1]
        steps.wait(f"before probe {number}", _with_jitter(seconds, f"{webhook_id}{number}"))
        outcome = str(steps.run(f"probe {number}", lambda: deliverer.probe(workspace_id, webhook_id).outcome))
        if outcome == Outcome.FAILED:
            continue
        part = 1
        while steps.run(f"send what is held, part {part}", send_held) == MOST_SENT:
            part += 1
        return outcome
    return "given_up"


def _with_jitter(seconds: int, key: str) -> int:
    """Return a time that is a little different for each key, and the same whenever the code runs again."""
    drawn = hashlib.sha256(key.encode()).digest()[0] / 255
    return max(1, round(seconds * (1 + _JITTER * (2 * drawn - 1))))
