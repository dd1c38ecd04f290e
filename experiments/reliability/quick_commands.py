"""The command ``enrollments``, whose waits pass a hundred times as quickly; for experiments that kill it."""

import time
from datetime import UTC, datetime

from enrollment.use_cases import waits
from enrollments.main import main

_TIMES_AS_QUICK = 100
_BEGAN = time.time()


def _now() -> datetime:
    return datetime.fromtimestamp(_BEGAN + _TIMES_AS_QUICK * (time.time() - _BEGAN), UTC)


def _sleep(seconds: float) -> None:
    time.sleep(seconds / _TIMES_AS_QUICK)


if __name__ == "__main__":
    waits.CLOCK = waits.Clock(_now, _sleep)
    main()
