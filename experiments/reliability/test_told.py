"""What an operator is told of phones and credentials is what executions decide, whatever goes wrong: made-up rounds."""

import os
from unittest.mock import patch

import pytest

from enrollment.use_cases import provisioning
from enrollment.use_cases.convergence import DeleteEnrollment, Nothing, Step, UpdateParent, Wait, next_step
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.waiting import waiting_credentials, waiting_phones
from experiments.reliability.rounds import play_round

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("ENROLLMENTS_PROVISIONING_ROUNDS", "24"))
FIRST = int(os.environ.get("ENROLLMENTS_PROVISIONING_SEED", "0"))


def test_what_is_told_is_what_executions_decide() -> None:
    untrue: list[tuple[Step, View, str]] = []
    decisions = 0

    def decide(view: View, now: str) -> Step:
        nonlocal decisions
        step = next_step(view, now)
        decisions += 1
        if not _is_told(step, view, now):
            untrue.append((step, view, now))
        return step

    with patch.object(provisioning, "next_step", decide):
        for seed in range(FIRST, FIRST + ROUNDS):
            play_round(seed)

            assert not untrue, f"seed {seed}: {untrue[0]}"
    assert decisions > ROUNDS


def _is_told(step: Step, view: View, now: str) -> bool:
    """Return whether what is told fits what is decided."""
    is_going = view.user_identity is not None and not view.is_wanted  # its phones are about to be deleted
    if is_going or isinstance(step, UpdateParent | DeleteEnrollment):
        return True
    rows = [*waiting_phones(view, now), *waiting_credentials(view, now)]
    is_due = any(row.is_due for row in rows)
    next_at = min((row.next_at for row in rows if row.next_at is not None), default=None)
    if isinstance(step, Nothing):
        return not is_due and next_at is None
    if isinstance(step, Wait):
        # An execution looks earlier, and finds that the manager is paused.
        return not is_due and next_at == max(step.until, str((view.pause or {}).get("paused_until", "")))
    return is_due
