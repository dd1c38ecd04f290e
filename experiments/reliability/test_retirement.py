"""A launch while its credential manager is deleted, in every order of the requests that the two make.

A process may have read the credential manager before, so that it launches without another look.  What it knows lives
for a minute, and a request is answered within half of one.  The deletion waits for both, and that is what makes every
order right: either the system is there, or nobody has been enrolled with it.  It takes half a minute.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import combinations

import pytest

from enrollment.callers import Caller
from enrollment.errors import AcsSystemNotFound
from enrollment.store.items import is_there
from enrollment.store.keys import automation_key
from enrollment.use_cases.automations import KnownItems, known_items
from enrollment.use_cases.retirement import HasDependantsError, Thing, delete_unused
from enrollment.use_cases.waits import Clock
from experiments.reliability.interleaving import Call, Interleaving
from tests.fixtures import Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import UNKNOWN, Directory
from tests.invariants import violations

pytestmark = pytest.mark.races

# A pause before each request and one after it.
DELETION_PAUSES, LAUNCH_PAUSES = 18, 4


def orders() -> Iterator[frozenset[int]]:
    """Yield at which of all steps it is the launch's turn."""
    steps = range(DELETION_PAUSES + LAUNCH_PAUSES)
    yield from map(frozenset, combinations(steps, LAUNCH_PAUSES))


class Round:
    """One launch and one deletion.

    Args:
        is_warm: Whether the process of the launch has read the credential manager before.
    """

    def __init__(self, *, is_warm: bool) -> None:
        self.database = InMemory()
        workspace = Workspace(self.database.table, UNKNOWN)
        self.thing = Thing.system(UNKNOWN, workspace.credential_manager())
        self.jane = workspace.user_identity()
        self.known = known_items()
        if is_warm:
            self._launch_and_undo(workspace.user_identity(), self.known)
        self.has_waited = False
        self.launch: Call | None = None
        self.calls = Interleaving(self.database, lambda: None)

    def run(self, turns_of_launch: frozenset[int]) -> Call:
        """Run both in an order, and return the deletion."""
        deletion = self.calls.begin("deletion", self._delete)
        for step in range(DELETION_PAUSES + LAUNCH_PAUSES):
            if step not in turns_of_launch:
                self._go_on(deletion)
            elif self.launch is None:
                known = known_items() if self.has_waited else self.known
                self.launch = self.calls.begin("launch", partial(self._launch, self.jane, known))
            else:
                self._go_on(self.launch)
            if self._waits(deletion):
                # Whatever was begun before is over when the wait is.
                self._finish(self.launch)
                self.has_waited = True
        self._finish(self.launch)
        self._finish(deletion)
        return deletion

    def _waits(self, deletion: Call) -> bool:
        return deletion.sends == "wait" and not self.has_waited

    def _delete(self) -> None:
        clock = Clock(lambda: datetime.now(UTC), lambda _: self.calls.come_by("wait"))
        delete_unused(self.database.table, self.thing, lambda *_: None, clock)

    def _launch(self, user_identity_id: str, known: KnownItems) -> None:
        Directory(self.database.table, Caller(UNKNOWN), known).launch(user_identity_id, self.thing.id)

    def _launch_and_undo(self, user_identity_id: str, known: KnownItems) -> None:
        directory = Directory(self.database.table, Caller(UNKNOWN), known)
        directory.delete_automation(directory.launch(user_identity_id, self.thing.id).enrollment_automation_id)

    def _finish(self, call: Call | None) -> None:
        while call is not None and not call.is_over:
            self.calls.go_on(call)

    def _go_on(self, call: Call) -> None:
        if not call.is_over:
            self.calls.go_on(call)


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_nobody_is_enrolled_with_a_system_that_is_gone_in_any_order(is_warm: bool) -> None:  # noqa: FBT001
    endings = set()
    for turns in orders():
        each = Round(is_warm=is_warm)

        deletion = each.run(turns)

        items = each.database.items()
        is_enrolled = automation_key(UNKNOWN, each.jane, each.thing.id) in items
        launched = each.launch.error if each.launch else None
        assert violations(items) == []
        assert (is_enrolled, is_there(items.get(each.thing.key))) in {(True, True), (False, False)}
        assert type(deletion.error) in ({HasDependantsError} if is_enrolled else {type(None)})
        assert type(launched) in ({type(None)} if is_enrolled else {AcsSystemNotFound})
        endings.add(is_enrolled)

    assert endings == {True, False}
