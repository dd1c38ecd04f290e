"""Defects planted in the product are found: in transactions by the model, in conditions by the tests of conditions."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from enrollment.store.actions import Action
from enrollment.use_cases import (
    acs_users,
    automations,
    client_session_items,
    client_sessions,
    credential_owners,
    phones,
    user_identities,
)
from enrollment.use_cases.credential_owners import Owner
from experiments import figures
from experiments.reliability.machine.service import Counts
from experiments.reliability.removed_conditions import CONDITIONS, VARIABLE
from experiments.reliability.test_model import BOUNDED, on_moto, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 110

type Actions = dict[str, Action]
type Plant = Callable[[Actions], Actions]
type Replace = Callable[[Callable[..., Any]], Callable[..., Any]]


def without(*names: str) -> Plant:
    """Leave actions out."""
    return lambda actions: {name: action for name, action in actions.items() if name not in names}


def without_those_of(kind: str) -> Plant:
    """Leave out the actions whose names tell that they are on a kind of item."""
    return lambda actions: {name: action for name, action in actions.items() if kind not in name}


def unconditionally(name: str) -> Plant:
    """Remove an action's condition."""

    def plant(actions: Actions) -> Actions:
        return actions | {key: _without_condition(action) for key, action in actions.items() if key == name}

    return plant


def _without_condition(action: Mapping[str, Any]) -> Action:
    ((kind, parameters),) = action.items()
    kept = {name: value for name, value in parameters.items() if name != "ConditionExpression"}
    if kind == "Put":
        kept = {"Item": kept["Item"]}
    if kind == "Update":
        used = kept["UpdateExpression"]
        for group in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            kept[group] = {name: value for name, value in kept[group].items() if name in used}
    return {kind: kept}


def planted(plant: Plant) -> Replace:
    """Have a function return other actions."""
    return lambda original: lambda *arguments, **options: plant(original(*arguments, **options))


def of_owner(plant: Plant) -> Replace:
    """Have the choice of a credential's owner come with other actions."""
    return lambda original: lambda *arguments: _replaced(original(*arguments), plant)


def _replaced(owner: Owner, plant: Plant) -> Owner:
    return owner._replace(actions=plant(dict(owner.actions)))


def no_action(_: Callable[..., Any]) -> Callable[..., Any]:
    """Have a function do, or return, nothing."""
    return lambda *_, **__: {}


LAUNCH = (automations, "_transaction")
CREATE = (user_identities, "_put_user_identity")
SESSION_CHANGE = (client_sessions, "change_session")
PLANTS: dict[str, tuple[tuple[Any, str], Replace]] = {
    "launch: the user identity is not required": (LAUNCH, planted(without("user_identity"))),
    "launch: the item that finds an automation by its id is not put": (LAUNCH, planted(without("automation_by_id"))),
    "launch: the entry among the enrolled is not put": (LAUNCH, planted(without("enrolled"))),
    "launch: an automation that is there is replaced": (LAUNCH, planted(unconditionally("automation"))),
    "launch: the ACS user is not claimed": (LAUNCH, planted(without("acs_user"))),
    "launch: the ACS user is claimed whoever has it": (LAUNCH, planted(unconditionally("acs_user"))),
    "launch: the link is not put": (LAUNCH, planted(without("link"))),
    "launch: another link is replaced": (LAUNCH, planted(unconditionally("link"))),
    "user identity: its email address is not kept for it": (CREATE, planted(without("unique_email_address"))),
    "user identity: an email address that is taken is taken over": (
        CREATE,
        planted(unconditionally("unique_email_address")),
    ),
    "user identity: its deletion leaves client sessions": (
        (user_identities, "end_sessions_of_user_identity"),
        no_action,
    ),
    "user identity: its deletion leaves phones": ((user_identities, "delete_all_of_user_identity"), no_action),
    "ACS user: its deletion leaves credentials": ((acs_users, "delete_credentials_of_acs_user"), no_action),
    "ACS user: its removal leaves credentials": ((user_identities, "delete_credentials_of_acs_user"), no_action),
    "credential: its ACS user does not name it": ((credential_owners, "_existing"), of_owner(without("acs_user"))),
    "credential: the new link of its ACS user is not put": (
        (credential_owners, "_linked_or_created"),
        of_owner(without("link")),
    ),
    "phone: its installation is not kept": ((phones, "_put_phone"), planted(without_those_of("INSTALLATION#"))),
    "client session: a token outlives its revocation": (
        (client_sessions, "revoke_session"),
        planted(without("token")),
    ),
    "client session: what has ended is still found": ((client_session_items, "_release"), no_action),
    "client session: its token does not see what is granted": (SESSION_CHANGE, planted(without("token"))),
    "client session: it is not listed with what is granted": (SESSION_CHANGE, planted(without("new_entry_0"))),
}


@pytest.fixture(scope="module")
def rows() -> Iterator[list[dict[str, str | int]]]:
    found: list[dict[str, str | int]] = []
    yield found
    found.sort(key=lambda row: list(PLANTS).index(str(row["planted"])))
    figures.record("planted", "Defects planted in transactions, and how the model finds them", found)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_found(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, str | int]]
) -> None:
    (module, function), replace = PLANTS[name]
    monkeypatch.setattr(module, function, replace(getattr(module, function)))
    counts, begun = Counts(), time.monotonic()

    with on_moto(project) as service, pytest.raises(AssertionError) as failure:
        run(service, counts, settings(BOUNDED, phases=[Phase.generate], max_examples=400))

    rows.append(
        {
            "planted": name,
            "steps": counts.steps,
            "seconds": round(time.monotonic() - begun),
            "found by": _told(failure.value),
        }
    )


def _told(failure: AssertionError) -> str:
    line = _ID.sub("…", str(failure).splitlines()[0]).replace("WORKSPACE#…#", "")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_that_is_removed_is_found(project: Path, name: str) -> None:
    plugin, tests = "experiments.reliability.removed_conditions", f"tests/integration/{CONDITIONS[name].tests}.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", plugin, tests]

    run = subprocess.run(  # noqa: S603 - our own tests
        command, cwd=project, env={**os.environ, VARIABLE: name}, capture_output=True, text=True, check=False
    )

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
