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
from enrollment.use_cases import automations, user_identities
from experiments import figures
from experiments.reliability.machine.service import Counts
from experiments.reliability.removed_conditions import CONDITIONS, VARIABLE
from experiments.reliability.test_model import BOUNDED, on_moto, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 110

type Actions = dict[str, Action]
type Plant = Callable[[Actions], Actions]


def without(*names: str) -> Plant:
    """Leave actions out."""
    return lambda actions: {name: action for name, action in actions.items() if name not in names}


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


LAUNCH = (automations, "_transaction")
CREATE = (user_identities, "_put_user_identity")
PLANTS: dict[str, tuple[tuple[Any, str], Plant]] = {
    "launch: the user identity is not required": (LAUNCH, without("user_identity")),
    "launch: the item that finds an automation by its id is not put": (LAUNCH, without("automation_by_id")),
    "launch: the entry among the enrolled is not put": (LAUNCH, without("enrolled")),
    "launch: an automation that is there is replaced": (LAUNCH, unconditionally("automation")),
    "launch: the ACS user is not claimed": (LAUNCH, without("acs_user")),
    "launch: the ACS user is claimed whoever has it": (LAUNCH, unconditionally("acs_user")),
    "launch: the link is not put": (LAUNCH, without("link")),
    "launch: another link is replaced": (LAUNCH, unconditionally("link")),
    "user identity: its email address is not kept for it": (CREATE, without("unique_email_address")),
    "user identity: an email address that is taken is taken over": (CREATE, unconditionally("unique_email_address")),
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
    (module, function), plant = PLANTS[name]
    original = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *arguments: plant(original(*arguments)))
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
    plugin, tests = "experiments.reliability.removed_conditions", "tests/integration/test_conditions.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", plugin, tests]

    run = subprocess.run(  # noqa: S603 - our own tests
        command, cwd=project, env={**os.environ, VARIABLE: name}, capture_output=True, text=True, check=False
    )

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
