"""Provisioning comes to the same end, whatever goes wrong: made-up rounds (``rounds``).

``ENROLLMENTS_PROVISIONING_ROUNDS`` is how many, ``ENROLLMENTS_PROVISIONING_SEED`` the seed of the first.  Defects that
are planted in the product are found by them, or by what is taken away at any moment.
"""

import os
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from enrollment.store import actions
from enrollment.store.keys import user_identity_key
from enrollment.use_cases import manager_requests, phone_items, provisioning, table_steps
from experiments import figures
from experiments.reliability.rounds import play_round
from tests.integration.test_provisioning_order import ENDINGS, wrong_at_any_meeting

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("ENROLLMENTS_PROVISIONING_ROUNDS", "24"))
FIRST = int(os.environ.get("ENROLLMENTS_PROVISIONING_SEED", "0"))
_MOST_ROUNDS_WITH_A_DEFECT = 1000
_COUNTED = {
    "requests": "request",
    "executions run": "execution",
    "requests to managers": "requests to managers",
    "starts doubled": "doubled starts",
    "late": "late starts",
    "lost": "lost starts",
    "processes ended": "killed",
    "requests that came late": "late request",
}

type Replace = Callable[[Callable[..., Any]], Callable[..., Any]]


def test_whatever_goes_wrong_the_end_is_the_same() -> None:
    counts: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + ROUNDS):
        played = play_round(seed)

        assert not played.wrong, f"seed {seed}: {played.wrong[:5]}\n" + "\n".join(played.log)
        counts += played.counts
    told = {name: counts[key] for name, key in _COUNTED.items()}
    figures.record(
        "provisioning",
        "Made-up rounds of provisioning, with what went wrong in them",
        [{"rounds": ROUNDS, **told, "violations": 0}],
    )


def without(*names: str) -> Replace:
    """Have a function return its actions, or its condition, but for these."""

    def replace(original: Callable[..., Any]) -> Callable[..., Any]:
        def returned(*arguments: Any, **options: Any) -> dict[str, Any]:
            return {key: one for key, one in original(*arguments, **options).items() if key not in names}

        return returned

    return replace


def without_assigning(name: str) -> Replace:
    """Have ``change`` not set an attribute."""

    def replace(original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(key: Any, *, assign: Any = (), **more: Any) -> Any:
            kept = {one: value for one, value in dict(assign).items() if one != name}
            return original(key, assign=kept, **more)

        return changed

    return replace


PLANTS: dict[str, tuple[Any, str, Replace]] = {
    "a lease is taken that another execution has": (provisioning, "as_read", without("lease_id", "executor")),
    "a credential is issued under a deleted one": (manager_requests, "_guards_of_issue", without("parent")),
    "a credential is issued to a deactivated phone": (manager_requests, "_guards_of_issue", without("phone")),
    "a credential is issued to a deleted person": (manager_requests, "_guards_of_issue", without("user_identity")),
    "a phone of a person who is being deleted is registered": (
        manager_requests,
        "use_user_identity",
        lambda _: lambda workspace_id, identity_id: actions.require(user_identity_key(workspace_id, identity_id)),
    ),
    "the next credential of a phone has the id of the last": (table_steps, "change", without_assigning("removals")),
    "a person's deletion forgets what is at managers": (
        phone_items,
        "_is_at_manager",
        lambda _: lambda item: "being_deleted_at" in item,
    ),
}


@pytest.mark.soak
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, replace = PLANTS[name]
    monkeypatch.setattr(module, function, replace(getattr(module, function)))

    meetings = (wrong_at_any_meeting(ending) for ending in ENDINGS)
    rounds = (play_round(seed).wrong for seed in range(_MOST_ROUNDS_WITH_A_DEFECT))

    assert any(wrong for wrong in chain(meetings, rounds))
