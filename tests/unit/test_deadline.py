import math
from types import SimpleNamespace

import pytest

from enrollment.aws.deadline import ending_before, seconds_left


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("enrollment.aws.deadline.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.usefixtures("now")
def test_outside_an_invocation_nothing_is_late() -> None:
    assert seconds_left() == math.inf


def test_what_is_left_shrinks_and_leaves_a_quarter_of_a_second_to_answer(now: list[float]) -> None:
    with ending_before(3000):
        assert seconds_left() == 2.75
        now[0] += 2.75
        assert seconds_left() == 0
    assert seconds_left() == math.inf
