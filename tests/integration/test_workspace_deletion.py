"""The deletion of a workspace: all of it goes, whatever happens meanwhile, and nothing of another one."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched

import pytest

from enrollment.callers import Caller, TokenKind
from enrollment.errors import Unauthorized
from enrollment.resources.user_identities import UserIdentityRequest
from enrollment.store.actions import delete, put
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, deleted_workspace_key, event_key, phones_partition, token_key
from enrollment.store.table import MOST_ACTIONS
from enrollment.use_cases import user_identities
from enrollment.use_cases.tokens import NewToken, authenticate, create_token
from enrollment.use_cases.waiting import Why
from enrollment.use_cases.waits import Clock
from enrollment.use_cases.workspace_deletion import (
    DeletionOverError,
    OtherTermsError,
    Progress,
    RemovalsPendingError,
    Step,
    StillAtManagersError,
    Terms,
    WorkspaceNotFoundError,
    delete_workspace,
    left_of_workspace,
    mark_deleted,
)
from tests.connectors import World
from tests.fixtures import Workspace

TERMS = Terms(timedelta(seconds=60), timedelta(minutes=15), at_once=1)


LEAVING = Terms(timedelta(seconds=60), timedelta(minutes=15), is_left_at_managers=True, at_once=1)


class Killed(BaseException):
    """The command ended here."""


@dataclass
class Tenants:
    """A workspace that is to be deleted, and another one beside it.

    Attributes:
        world: The workspace, its person, and its credential manager with a connector.
        other: The other workspace.
        told: What was told of the deletion.
        while_waiting: Called when the deletion waits, with the step for which it does.
        is_at_work: Whether executions are at work.
        before: The table at a moment that a test chooses.
    """

    world: World = field(default_factory=World)
    told: list[Progress] = field(default_factory=list)
    while_waiting: Callable[[Step], None] = lambda _: None
    is_at_work: bool = True
    before: Mapping[Key, Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        table = self.world.memory.table
        self.workspace_id = self.world.workspace.workspace_id
        self.other = Workspace(table, "00000000-0000-4000-8000-0000000000ee")
        self.other.exist("Other", is_sandbox=True)
        self.key = create_token(table, NewToken(TokenKind.API_KEY, [self.workspace_id]))
        self.shared = create_token(
            table, NewToken(TokenKind.PERSONAL_ACCESS_TOKEN, [self.other.workspace_id, self.workspace_id])
        )
        create_token(table, NewToken(TokenKind.API_KEY, [self.other.workspace_id]))
        self._fill(self.other)

    def enroll(self) -> None:
        """Give the person a phone with credentials, by the connector."""
        self.world.set_connector()
        self.world.provisioning.settle(minutes=10)
        self.world.launch()
        self.world.create_credential()
        self.world.start_app("installation")
        self.world.provisioning.settle(minutes=10)
        self._fill(self.world.workspace)

    def _fill(self, workspace: Workspace) -> None:
        identity_id = workspace.user_identity(email_address="joe@example.com")
        workspace.client_session(identity_id)
        workspace.event(event_type="acs_user.created")
        workspace.acs_user(workspace.acs_system(), email_address="x@example.com")

    def delete(self, terms: Terms = TERMS) -> int:
        return delete_workspace(
            self.world.memory.table,
            self.workspace_id,
            terms,
            self.told.append,
            Clock(self.world.clock.now, self._sleep),
        )

    def delete_person(self) -> None:
        """Delete the person, whom the manager is not asked about yet."""
        caller, person_id = Caller(self.workspace_id), self.world.person_id
        user_identities.delete(self.world.memory.table, caller, UserIdentityRequest(user_identity_id=person_id))

    def _sleep(self, seconds: float) -> None:
        self.while_waiting(self.told[-1].step)
        if self.is_at_work:
            self.world.provisioning.pass_time(seconds=seconds)
        else:
            self.world.clock.turn(seconds=seconds)

    def items_of_others(self) -> dict[Key, Item]:
        """Return what must stay as it is: all but the workspace, its mark, and the tokens that may enter it."""
        its_own = (self.workspace_id, *(token.split("_")[1] for token in (self.key, self.shared)))
        return {
            key: item
            for key, item in self.world.memory.items().items()
            if not any(text in f"{key.pk}{key.sk}" for text in its_own)
            and item.get("workspace_ids") != self.workspace_id
        }

    def left(self) -> list[Key]:
        return list(left_of_workspace(self.world.memory.table, self.workspace_id))


@pytest.fixture
def tenants() -> Tenants:
    return Tenants()


def test_all_of_a_workspace_goes_and_nothing_of_another(tenants: Tenants) -> None:
    tenants.enroll()
    others = tenants.items_of_others()

    tenants.delete()

    assert tenants.left() == []
    assert tenants.items_of_others() == others
    assert tenants.world.wrong == []


def test_credential_managers_are_asked_to_take_everything_back_first(tenants: Tenants) -> None:
    tenants.enroll()
    assert tenants.world.manufacturer.record().credentials

    tenants.delete()

    assert not tenants.world.manufacturer.record().credentials
    assert [one.type for one in tenants.world.asked("phone.deregister")] == ["phone.deregister"]


def test_tokens_end_and_one_of_several_workspaces_only_loses_this_one(tenants: Tenants) -> None:
    table = tenants.world.memory.table

    tenants.delete()

    found = authenticate(table, f"Bearer {tenants.shared}", datetime.now(UTC)).principal
    assert found.workspace_ids == (tenants.other.workspace_id,)
    with pytest.raises(Unauthorized):
        authenticate(table, f"Bearer {tenants.key}", datetime.now(UTC))


def test_the_mark_stays_and_names_nobody(tenants: Tenants) -> None:
    tenants.delete()

    mark = tenants.world.memory.items()[deleted_workspace_key(tenants.workspace_id)]
    assert mark.keys() == {
        *("workspace_id", "started_at", "taken_back_since", "removals_pending", "finished_at", "is_left_at_managers")
    }


def test_it_waits_for_what_was_let_in_before_and_for_what_is_under_way(tenants: Tenants) -> None:
    tenants.delete()

    waits = [(one.step, one.number) for one in tenants.told if one.step.startswith("wait_for_")]
    assert waits == [
        (Step.WAIT_FOR_REQUESTS, 98),
        (Step.WAIT_FOR_INVOCATIONS, 60),
    ]


def test_what_a_request_made_that_was_let_in_before_goes_too(tenants: Tenants) -> None:
    """A launch checks no workspace, and a client session that is made so late is one more."""
    tenants.enroll()

    def use_the_token(step: Step) -> None:
        if step is Step.WAIT_FOR_REQUESTS and not tenants.told[:-1][2:]:
            identity_id = tenants.world.directory.create(email_address="late@example.com").user_identity_id
            tenants.world.directory.launch(identity_id, tenants.world.manager_id)
            tenants.world.workspace.client_session(identity_id)

    tenants.while_waiting = use_the_token

    tenants.delete()

    assert tenants.left() == []
    sessions = [item for key, item in tenants.world.memory.items().items() if key.pk.startswith(token_key("cst1").pk)]
    assert {item["workspace_ids"] for item in sessions} == {tenants.other.workspace_id}


def test_what_an_invocation_writes_after_the_sweep_goes_too(tenants: Tenants) -> None:
    def write_late(step: Step) -> None:
        if step is Step.WAIT_FOR_INVOCATIONS and not tenants.left()[2:]:
            tenants.while_waiting = lambda _: None
            late = event_key(tenants.workspace_id, "00000000-0000-4000-8000-0000000000e1")
            tenants.world.memory.table.transact({"late": put(late, {"event_type": "x"})})

    tenants.while_waiting = write_late

    tenants.delete()

    assert tenants.left() == []


def test_a_manager_that_gives_nothing_back_is_named_and_nothing_else_is_deleted(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.world.remove_connector()

    with pytest.raises(StillAtManagersError) as raised:
        tenants.delete()

    assert raised.value.people == {(tenants.world.manager_id, Why.NO_CONNECTOR): 1}
    partition = phones_partition(tenants.workspace_id, tenants.world.person_id)
    assert any(key.pk == partition for key in tenants.left())
    assert tenants.world.manufacturer.record().credentials


def test_a_workspace_that_has_moved_leaves_everything_at_its_managers(tenants: Tenants) -> None:
    tenants.enroll()
    before, asked = tenants.world.manufacturer.record(), len(tenants.world.provisioning.asked)

    tenants.delete(Terms(timedelta(0), timedelta(0), is_left_at_managers=True, at_once=1))
    tenants.world.provisioning.settle(hours=5)

    assert tenants.left() == []
    assert tenants.world.manufacturer.record() == before
    assert len(tenants.world.provisioning.asked) == asked


LEFT_AT_MANAGERS = Terms(timedelta(0), timedelta(0), is_left_at_managers=True, at_once=1)


def test_a_workspace_is_not_left_at_its_managers_while_they_have_something_of_deleted_people(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.delete_person()
    before = tenants.world.memory.items()

    with pytest.raises(RemovalsPendingError) as raised:
        tenants.delete(LEFT_AT_MANAGERS)

    assert raised.value.people == {tenants.world.manager_id: 1}
    assert tenants.world.memory.items() == before


def test_removals_that_are_pending_are_given_up_when_that_is_asked_for(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.delete_person()

    tenants.delete(replace(LEFT_AT_MANAGERS, is_without_removals=True))

    assert tenants.left() == []


def test_a_deletion_that_waits_for_managers_can_leave_what_they_have(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.world.remove_connector()
    with pytest.raises(StillAtManagersError):
        tenants.delete()

    tenants.delete(LEFT_AT_MANAGERS)

    assert tenants.left() == []


def test_an_execution_that_was_lost_is_started_again(tenants: Tenants) -> None:
    tenants.enroll()

    def lose_executions(step: Step) -> None:
        if step is Step.WAIT_FOR_MANAGERS:
            tenants.while_waiting = lambda _: None
            tenants.world.provisioning.seen = dict(tenants.world.memory.items())

    tenants.while_waiting = lose_executions

    tenants.delete()

    assert tenants.left() == []
    assert not tenants.world.manufacturer.record().credentials


def test_a_phone_that_a_late_session_registers_is_taken_back_too(tenants: Tenants) -> None:
    """A request that was let in before makes a session while the deletion waits, and the app opens it."""
    tenants.enroll()
    moments = iter(["session", "phone"])

    def use_what_was_let_in(step: Step) -> None:
        moment = next(moments, "") if step is Step.WAIT_FOR_REQUESTS else ""
        if moment == "session":
            tenants.world.workspace.client_session(tenants.world.person_id)
        if moment == "phone":
            tenants.world.start_app("another installation")
            tenants.world.provisioning.settle(minutes=1)

    tenants.while_waiting = use_what_was_let_in

    tenants.delete()

    assert tenants.left() == []
    assert not tenants.world.manufacturer.record().credentials
    assert [one.step for one in tenants.told].count(Step.WAIT_FOR_REQUESTS) == 2


def test_each_run_waits_after_it_has_ended_access(tenants: Tenants) -> None:
    def kill(step: Step) -> None:
        assert step is Step.WAIT_FOR_REQUESTS
        raise Killed

    tenants.while_waiting = kill
    with pytest.raises(Killed):
        tenants.delete()
    tenants.world.clock.turn(hours=1)
    tenants.while_waiting = lambda _: None
    tenants.told.clear()

    tenants.delete()

    assert [one.number for one in tenants.told if one.step is Step.WAIT_FOR_REQUESTS] == [98]


def test_a_workspace_that_was_brought_back_meanwhile_is_not_deleted(tenants: Tenants) -> None:
    tenants.enroll()
    items = tenants.world.memory.items()
    table = tenants.world.memory.table

    def bring_back(step: Step) -> None:
        if step is Step.WAIT_FOR_INVOCATIONS:
            gone = items.keys() - tenants.world.memory.items().keys()
            for some in batched(sorted(gone), MOST_ACTIONS, strict=False):
                table.transact({str(key): put(key, items[key]) for key in some})
            table.transact({"mark": delete(deleted_workspace_key(tenants.workspace_id))})

    tenants.while_waiting = bring_back

    with pytest.raises(DeletionOverError):
        tenants.delete()

    assert set(tenants.left()) >= {key for key in items if tenants.workspace_id in key.pk}


@pytest.mark.parametrize("moment", [Step.WAIT_FOR_REQUESTS, Step.WAIT_FOR_MANAGERS])
def test_nothing_of_a_workspace_that_is_there_again_is_touched(tenants: Tenants, moment: Step) -> None:
    """Another operator has finished the deletion meanwhile, and has imported the workspace again."""
    tenants.enroll()
    tenants.is_at_work = False
    table, new = tenants.world.memory.table, ""

    def bring_back(step: Step) -> None:
        nonlocal new
        if step is moment and not new:
            table.transact({"mark": delete(deleted_workspace_key(tenants.workspace_id))})
            new = create_token(table, NewToken(TokenKind.API_KEY, [tenants.workspace_id]))
            tenants.world.workspace.user_identity(email_address="restored@example.com")
            tenants.before = tenants.world.memory.items()

    tenants.while_waiting = bring_back

    with pytest.raises(DeletionOverError):
        tenants.delete()

    assert authenticate(table, f"Bearer {new}", datetime.now(UTC)).principal.workspace_ids == (tenants.workspace_id,)
    assert tenants.world.memory.items() == tenants.before


def test_a_deletion_takes_nothing_back_once_another_operator_leaves_it_at_the_managers(tenants: Tenants) -> None:
    tenants.enroll()
    before, table = tenants.world.manufacturer.record(), tenants.world.memory.table

    def leave(step: Step) -> None:
        if step is Step.WAIT_FOR_REQUESTS:
            mark_deleted(table, tenants.workspace_id, LEAVING, tenants.world.clock.now())

    tenants.while_waiting = leave

    with pytest.raises(DeletionOverError):
        tenants.delete()

    assert tenants.world.manufacturer.record() == before


def test_what_was_pending_before_a_deletion_is_not_given_up_silently(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.world.pause_connector()
    tenants.world.directory.delete(tenants.world.person_id)
    with pytest.raises(StillAtManagersError):
        tenants.delete()

    with pytest.raises(RemovalsPendingError):
        tenants.delete(LEAVING)


def test_what_an_earlier_run_left_at_managers_is_said(tenants: Tenants) -> None:
    def kill(_: Step) -> None:
        raise Killed

    tenants.while_waiting = kill
    with pytest.raises(Killed):
        tenants.delete(LEAVING)
    tenants.while_waiting = lambda _: None

    with pytest.raises(OtherTermsError):
        tenants.delete()
    tenants.delete(LEAVING)

    assert tenants.left() == []


def test_a_person_whom_a_late_request_deletes_is_not_forgotten_at_the_manager(tenants: Tenants) -> None:
    tenants.enroll()
    tenants.world.pause_connector()

    def delete_person(step: Step) -> None:
        if step is Step.WAIT_FOR_REQUESTS:
            tenants.while_waiting = lambda _: None
            tenants.world.directory.delete(tenants.world.person_id)

    tenants.while_waiting = delete_person

    with pytest.raises(RemovalsPendingError) as raised:
        tenants.delete(LEAVING)

    assert raised.value.people == {tenants.world.manager_id: 1}


def test_a_token_that_no_list_has_goes_too(tenants: Tenants) -> None:
    """A request of the sweep can delete a client session and not its token."""
    lost = {"kind": "client_session", "workspace_ids": tenants.workspace_id, "user_identity_ids": "", "name": ""}
    tenants.world.memory.table.transact({"token": put(token_key("cst1lostlost"), lost)})

    tenants.delete()

    assert token_key("cst1lostlost") not in tenants.world.memory.items()


def test_a_workspace_that_does_not_exist_is_not_found(tenants: Tenants) -> None:
    tenants.workspace_id = "00000000-0000-4000-8000-0000000000ff"

    with pytest.raises(WorkspaceNotFoundError):
        tenants.delete()

    assert deleted_workspace_key(tenants.workspace_id) not in tenants.world.memory.items()


def test_deleting_it_again_finds_nothing_and_does_not_wait(tenants: Tenants) -> None:
    tenants.delete()
    tenants.told.clear()

    assert tenants.delete() == 0

    assert [one.step for one in tenants.told] == [Step.MARK]


def _requests_of_a_deletion(moment: str) -> int:
    tenants, requests = Tenants(), 0
    tenants.enroll()

    def count(_: str) -> None:
        nonlocal requests
        requests += 1

    setattr(tenants.world.memory, moment, count)
    tenants.delete()
    return requests


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_deletion_that_is_killed_at_any_request_is_finished_by_another(moment: str) -> None:
    everything = _requests_of_a_deletion(moment)
    assert everything > 50

    for last in range(0, everything, 3):
        tenants = Tenants()
        tenants.enroll()
        others, left = tenants.items_of_others(), last

        def kill(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        usual = getattr(tenants.world.memory, moment)
        setattr(tenants.world.memory, moment, kill)
        with suppress(Killed):  # how often executions look is a matter of chance, so the last requests may not come
            tenants.delete()
        setattr(tenants.world.memory, moment, usual)
        tenants.delete()

        assert tenants.left() == []
        assert tenants.items_of_others() == others
        assert not tenants.world.manufacturer.record().credentials
