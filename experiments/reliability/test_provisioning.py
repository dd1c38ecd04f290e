"""Provisioning comes to the same end, whatever goes wrong: made-up rounds (``rounds``).

``ENROLLMENTS_PROVISIONING_ROUNDS`` is how many, ``ENROLLMENTS_PROVISIONING_SEED`` the seed of the first.  Defects that
are planted in the product are found by them, or by what is taken away at any moment.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from enrollment.managers.protocol import RequestType
from enrollment.store import actions
from enrollment.store.keys import user_identity_key
from enrollment.use_cases import convergence, manager_checks, manager_requests, phone_items, provisioning, table_steps
from enrollment.use_cases.convergence import Register
from enrollment.use_cases.manager_requests import Asking
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
_COUNTED_AT_CONNECTORS = {
    **_COUNTED,
    "requests that reached a connector": "requests that reached a connector",
    "changes of connectors": "changes of connectors",
}
# Of so many rounds, one has connectors.
_OF_ROUNDS = 3

type Replace = Callable[[Callable[..., Any]], Callable[..., Any]]


def test_whatever_goes_wrong_the_end_is_the_same() -> None:
    counts = counts_of_rounds(ROUNDS, has_connectors=False)

    told = {name: counts[key] for name, key in _COUNTED.items()}
    figures.record(
        "provisioning",
        "Made-up rounds of provisioning, with what went wrong in them",
        [{"rounds": ROUNDS, **told, "violations": 0}],
    )


def test_whatever_goes_wrong_with_connectors_the_end_is_the_same() -> None:
    rounds = max(1, ROUNDS // _OF_ROUNDS)

    counts = counts_of_rounds(rounds, has_connectors=True)

    told = {name: counts[key] for name, key in _COUNTED_AT_CONNECTORS.items()}
    figures.record(
        "connectors",
        "Made-up rounds of provisioning through connectors, with what went wrong in them",
        [{"rounds": rounds, **told, "violations": 0}],
    )


def counts_of_rounds(rounds: int, *, has_connectors: bool) -> Counter[str]:
    """Play rounds in which nothing may be wrong, and count what happens in them."""
    counts: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + rounds):
        played = play_round(seed, has_connectors=has_connectors)

        assert not played.wrong, f"seed {seed}: {played.wrong[:5]}\n" + "\n".join(played.log)
        counts += played.counts
    return counts


def without(*names: str) -> Replace:
    """Have a function return its actions, or its condition, but for these."""

    def replacing(original: Callable[..., Any]) -> Callable[..., Any]:
        def returned(*arguments: Any, **options: Any) -> dict[str, Any]:
            return {key: one for key, one in original(*arguments, **options).items() if key not in names}

        return returned

    return replacing


def without_assigning(name: str) -> Replace:
    """Have ``change`` not set an attribute."""

    def replacing(original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(key: Any, *, assign: Any = (), **more: Any) -> Any:
            kept = {one: value for one, value in dict(assign).items() if one != name}
            return original(key, assign=kept, **more)

        return changed

    return replacing


def under_a_new_id(original: Callable[..., Asking]) -> Callable[..., Asking]:
    """Have each request to issue a credential name another id."""

    def asking(view: Any, registration: Any, child: Any, kind: RequestType, actions: Any) -> Asking:
        made = original(view, registration, child, kind, actions)
        if kind is not RequestType.CREDENTIAL_ISSUE:
            return made
        data = {**made.request.data, "acs_credential_id": str(uuid.uuid4())}
        return replace(made, request=made.request._replace(data=data))

    return asking


def written_after_the_request(original: Callable[..., Asking]) -> Callable[..., Asking]:
    """Have a phone's new credential, or its registration, not written before the manager is asked."""

    def asking(view: Any, step: Any, now: str) -> Asking:
        made = original(view, step, now)
        return replace(made, actions={name: one for name, one in made.actions.items() if "Put" not in one})

    return asking


PLANTS_AT_CONNECTORS: dict[str, tuple[Any, str, Replace]] = {
    "each repetition has a new id": (manager_requests, "_about_credential", under_a_new_id),
    "a credential is written after the request": (provisioning, "prepare", written_after_the_request),
    "a lease is taken that another execution has": (provisioning, "as_read", without("lease_id", "executor")),
    "a credential is issued under a deleted one": (manager_requests, "_guards_of_issue", without("parent")),
    "the next credential of a phone has the id of the last": (table_steps, "change", without_assigning("removals")),
    "what another connector has told is written": (manager_checks, "as_read", without("revision", "executor")),
    "a credential that is not valid any more is kept": (
        convergence,
        "_marks_of_what_is_not_valid",
        lambda _: lambda *_: iter(()),
    ),
    "a phone is registered before there is something to issue": (
        convergence,
        "_register",
        lambda _: lambda _, device_id, attempt, __: iter([Register(device_id, attempt)]),
    ),
}


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
    module, function, replaced = PLANTS[name]
    monkeypatch.setattr(module, function, replaced(getattr(module, function)))

    meetings = (wrong_at_any_meeting(ending) for ending in ENDINGS)
    rounds = (play_round(seed).wrong for seed in range(_MOST_ROUNDS_WITH_A_DEFECT))

    assert any(wrong for wrong in chain(meetings, rounds))


@pytest.mark.soak
@pytest.mark.parametrize("name", PLANTS_AT_CONNECTORS)
def test_a_defect_that_is_planted_beside_connectors_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, replaced = PLANTS_AT_CONNECTORS[name]
    monkeypatch.setattr(module, function, replaced(getattr(module, function)))

    rounds = (play_round(seed, has_connectors=True).wrong for seed in range(_MOST_ROUNDS_WITH_A_DEFECT))

    assert any(rounds)
