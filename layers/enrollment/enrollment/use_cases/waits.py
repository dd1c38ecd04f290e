"""How long something can still be under way that began before an operator's command, and the clock for such waits."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

# The time-outs of the functions in template.yaml.  The authorizer decides within the first.  A request is answered
# within the second.  What follows the table's stream, and what asks credential managers, ends within the third.
LONGEST_DECISION = timedelta(seconds=10)
LONGEST_REQUEST = timedelta(seconds=28)
LONGEST_INVOCATION = timedelta(seconds=60)


class Clock(NamedTuple):
    """The time, as a command sees it that has to wait.

    Attributes:
        now: Returns the time.
        sleep: Waits for a number of seconds.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


# The real time.
CLOCK = Clock()
