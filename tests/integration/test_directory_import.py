"""Importing a directory: what is written, what stays, and what becomes of an import that is killed."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from enrollment.callers import Caller
from enrollment.errors import ServiceUnavailable
from enrollment.resources.user_identities import AddAcsUserRequest
from enrollment.store.actions import change, delete
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_system, stored_acs_user
from enrollment.store.keys import Key, acs_credential_pool_key, acs_system_key, acs_user_key, acs_user_listing_key
from enrollment.use_cases.user_identities import add_acs_user
from enrollments.directory.importing import Outcome, Result, import_rows
from enrollments.directory.rows import RawRow, read_row
from tests.fixtures import Store, Workspace

FILE_TIME = "2026-02-01T00:00:00.000Z"
EARLIER = "2026-01-01T00:00:00.000Z"
LATER = "2026-03-01T00:00:00.000Z"

type Row = dict[str, Any]
type Import = Callable[..., list[Result]]


def system(**more: Any) -> Row:
    known = {"name": "Main Tower", "is_credential_manager": True, "connected_account_id": str(uuid4())}
    return {"acs_system_id": str(uuid4()), **known, **more}


def pool(of: Row, **more: Any) -> Row:
    known = {"acs_credential_pool_id": str(uuid4()), "acs_system_id": of["acs_system_id"], "display_name": "Pool"}
    return {**known, **more}


def user(of: Row, **more: Any) -> Row:
    return {"acs_user_id": str(uuid4()), "acs_system_id": of["acs_system_id"], **more}


@pytest.fixture
def import_(store: Store, workspace: Workspace) -> Import:
    def import__(*rows: Row, dry_run: bool = False) -> list[Result]:
        read = [read_row(RawRow(line, line, row)) for line, row in enumerate(rows, 1)]
        return list(import_rows(store.table, workspace.workspace_id, read, FILE_TIME, dry_run=dry_run))

    return import__


@pytest.fixture
def item(store: Store, workspace: Workspace) -> Callable[[Row], Item]:
    """Return what the table has of a row's record."""
    keys = {
        "acs_user_id": acs_user_key,
        "acs_credential_pool_id": acs_credential_pool_key,
        "acs_system_id": acs_system_key,
    }

    def item_(row: Row) -> Item:
        name = next(name for name in keys if name in row)
        return store.items()[keys[name](workspace.workspace_id, row[name])]

    return item_


def outcomes(results: list[Result]) -> dict[str, int]:
    return dict(Counter(str(result.outcome) for result in results))


def problem(results: list[Result], line: int = 1) -> tuple[str | None, str]:
    (found,) = (result for result in results if result.line == line)
    ((field, reason),) = found.problems
    return field, reason


def test_new_records_are_there_with_all_that_belongs_to_them(
    import_: Import, item: Callable[[Row], Item], workspace: Workspace
) -> None:
    manager = system(location={"time_zone": "Europe/Berlin"}, created_at="2026-01-09T06:45:33.0684+01:00")
    garage = system(
        is_credential_manager=False,
        compatible_credential_manager_acs_system_ids=[manager["acs_system_id"]],
        customer_key="c",
    )
    person = user(garage, email_address="Jane@example.com", phone_number="+15555550100", user_identity_id=str(uuid4()))

    results = import_(manager, garage, pool(manager), person)

    assert outcomes(results) == {"created": 4}
    assert item(manager) == {
        "acs_system_id": manager["acs_system_id"],
        "workspace_id": workspace.workspace_id,
        "name": "Main Tower",
        "is_credential_manager": True,
        "connected_account_id": manager["connected_account_id"],
        "time_zone": "Europe/Berlin",
        "created_at": "2026-01-09T05:45:33.068Z",
    }
    assert item(garage)["compatible_credential_manager_acs_system_ids"] == frozenset({manager["acs_system_id"]})
    assert item(person) == {
        "acs_user_id": person["acs_user_id"],
        "acs_system_id": garage["acs_system_id"],
        "workspace_id": workspace.workspace_id,
        "email_address": "Jane@example.com",
        "phone_number": "+15555550100",
        "created_at": FILE_TIME,
    }


def test_importing_the_same_rows_twice_changes_nothing_and_writes_nothing(store: Store, import_: Import) -> None:
    manager = system(compatible_credential_manager_acs_system_ids=[str(uuid4()), str(uuid4())], created_at=EARLIER)
    rows = [manager, pool(manager), user(manager, email_address="a@example.com")]
    import_(*rows)
    before = store.items()
    requests = store.count_requests()

    results = import_(*rows)

    assert outcomes(results) == {"unchanged": 3}
    assert {request.rpartition(".")[2] for request in requests} == {"BatchGetItem"}
    assert store.items() == before


def test_what_a_row_does_not_name_stays(import_: Import, item: Callable[[Row], Item]) -> None:
    manager = system(image_url="https://example.com", customer_key="c", created_at=EARLIER)
    import_(manager)

    results = import_({"acs_system_id": manager["acs_system_id"], "location": {"time_zone": "Europe/Vienna"}})

    assert outcomes(results) == {"updated": 1}
    assert item(manager) == manager | {
        "workspace_id": item(manager)["workspace_id"],
        "time_zone": "Europe/Vienna",
    }


def test_what_is_null_is_removed_and_counted(import_: Import, item: Callable[[Row], Item]) -> None:
    manager = system(image_url="https://example.com", customer_key="c", created_at=EARLIER)
    manager["compatible_credential_manager_acs_system_ids"] = [str(uuid4())]
    import_(manager)

    (result,) = import_(
        manager
        | {
            "image_url": "",
            "customer_key": None,
            "compatible_credential_manager_acs_system_ids": [],
            "default_credential_manager_acs_system_id": None,
            "created_at": None,
        }
    )

    assert (result.outcome, result.removed) == (Outcome.UPDATED, 3)
    assert item(manager)["created_at"] == EARLIER
    assert not item(manager).keys() & {"image_url", "customer_key", "compatible_credential_manager_acs_system_ids"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_removed_values_are_those_that_were_there(import_: Import, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
    manager = system()
    person = user(manager, full_name="Jane Doe", email_address="jane@example.com")
    import_(manager, person)

    (result,) = import_(person | {"full_name": None, "phone_number": None}, dry_run=dry_run)

    assert result.removed == 1


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ({"acs_system_id": str(uuid4())}, ["name", "is_credential_manager", "connected_account_id"]),
        ({"acs_credential_pool_id": str(uuid4())}, ["acs_system_id", "display_name"]),
        ({"acs_user_id": str(uuid4())}, ["acs_system_id"]),
    ],
)
def test_a_new_record_has_what_it_needs(import_: Import, row: Row, missing: list[str]) -> None:
    (result,) = import_(row)

    assert list(result.problems) == [(name, "Required") for name in missing]


@pytest.mark.parametrize("make", [pool, user])
def test_a_row_need_not_say_which_system_a_known_record_is_in(
    import_: Import, item: Callable[[Row], Item], make: Callable[..., Row]
) -> None:
    manager = system()
    row = make(manager)
    import_(manager, row)
    changed = {name: value for name, value in row.items() if name != "acs_system_id"} | {"created_at": LATER}

    results = import_(changed)

    assert outcomes(results) == {"updated": 1}
    assert (item(row)["created_at"], item(row)["acs_system_id"]) == (LATER, manager["acs_system_id"])


def test_a_pool_whose_type_s_name_is_removed_has_the_usual_one(import_: Import, item: Callable[[Row], Item]) -> None:
    manager = system()
    place = pool(manager, external_type_display_name="Part")
    import_(manager, place)

    (result,) = import_(place | {"external_type_display_name": None})

    assert (result.outcome, result.removed) == (Outcome.UPDATED, 0)
    assert item(place)["external_type_display_name"] == "HID part number"


def test_blanks_around_a_name_do_not_change_it(import_: Import) -> None:
    manager = system()
    person = user(manager, full_name="Jane Doe")
    import_(manager, person)

    results = import_(person | {"full_name": "\u00a0 Jane Doe "})

    assert outcomes(results) == {"unchanged": 1}


def test_a_new_name_is_as_it_is_written(import_: Import, item: Callable[[Row], Item]) -> None:
    manager = system()
    person = user(manager, full_name="Jane Doe")
    import_(manager, person)

    import_(person | {"full_name": " John  Doe "})

    assert item(person)["full_name"] == " John  Doe "


STARTS, ENDS = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
NO_START = ("access_schedule.starts_at", "Required with access_schedule.ends_at")
NOT_AFTER = ("access_schedule", "ends_at must be after starts_at, by a millisecond at least")


def schedule_of(item: Item) -> tuple[object, object]:
    return item.get("access_starts_at"), item.get("access_ends_at")


@pytest.mark.parametrize(
    ("said", "schedule", "removed"),
    [
        ({}, (STARTS, ENDS), 0),
        ({"access_schedule": {}}, (STARTS, ENDS), 0),
        ({"access_schedule": {"ends_at": LATER}}, (STARTS, LATER), 0),
        ({"access_schedule": {"starts_at": "2026-01-02T00:00:00Z"}}, ("2026-01-02T00:00:00.000Z", ENDS), 0),
        ({"access_schedule": {"ends_at": None}}, (STARTS, None), 1),
        ({"access_schedule": {"starts_at": None}}, (None, None), 2),
        ({"access_schedule": {"starts_at": None, "ends_at": None}}, (None, None), 2),
        ({"access_schedule": None}, (None, None), 2),
        ({"access_schedule.ends_at": None}, (STARTS, None), 1),
    ],
)
def test_an_access_schedule_changes_where_a_row_names_a_part_of_it(
    import_: Import, item: Callable[[Row], Item], said: Row, schedule: tuple[object, object], removed: int
) -> None:
    manager = system()
    person = user(manager, access_schedule={"starts_at": STARTS, "ends_at": ENDS})
    import_(manager, person)

    (result,) = import_({"acs_user_id": person["acs_user_id"], **said})

    assert (schedule_of(item(person)), result.removed) == (schedule, removed)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"starts_at": ENDS}, NOT_AFTER),
        ({"ends_at": STARTS}, NOT_AFTER),
        ({"ends_at": "2026-01-01T00:00:00.0009Z"}, NOT_AFTER),
        ({"starts_at": None, "ends_at": LATER}, NO_START),
    ],
)
def test_an_access_schedule_is_checked_together_with_what_is_there(
    import_: Import, said: Row, reason: tuple[str, str]
) -> None:
    manager = system()
    person = user(manager, access_schedule={"starts_at": STARTS, "ends_at": ENDS})
    import_(manager, person)

    results = import_({"acs_user_id": person["acs_user_id"], "access_schedule": said})

    assert problem(results) == reason


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"ends_at": ENDS}, NO_START),
        ({"starts_at": ENDS, "ends_at": STARTS}, NOT_AFTER),
        ({"starts_at": "2026-01-01T12:00:00.0001Z", "ends_at": "2026-01-01T12:00:00.0004Z"}, NOT_AFTER),
    ],
)
def test_a_new_access_schedule_ends_after_it_starts_as_it_is_stored(
    import_: Import, schedule: Row, reason: tuple[str, str]
) -> None:
    manager = system()

    results = import_(manager, user(manager, access_schedule=schedule))

    assert problem(results, 2) == reason


def test_a_schedule_that_is_there_already_is_not_checked_again(import_: Import, workspace: Workspace) -> None:
    manager_id = workspace.credential_manager()
    moment = {"access_starts_at": STARTS, "access_ends_at": STARTS}  # as releases before this one let it be
    known = {"acs_user_id": workspace.acs_user(manager_id, **moment), "acs_system_id": manager_id}

    results = import_(known | {"full_name": "Jane Doe", "access_schedule": {"starts_at": STARTS, "ends_at": STARTS}})

    assert outcomes(results) == {"updated": 1}


def test_a_changed_set_of_ids_is_changed(import_: Import, item: Callable[[Row], Item]) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    garage = system(compatible_credential_manager_acs_system_ids=ids[:2])
    import_(garage)

    results = import_(garage | {"compatible_credential_manager_acs_system_ids": ids[1:]})

    assert outcomes(results) == {"updated": 1}
    assert item(garage)["compatible_credential_manager_acs_system_ids"] == frozenset(ids[1:])


def test_changed_addresses_and_moments_of_creation_move_what_finds_a_record(store: Store, import_: Import) -> None:
    manager = system(created_at=EARLIER)
    person = user(manager, email_address="a@example.com", phone_number="+15555550100", created_at=EARLIER)
    place = pool(manager, created_at=EARLIER)
    import_(manager, place, person)
    count = len(store.items())

    results = import_(
        manager | {"created_at": LATER},
        place | {"created_at": LATER},
        person | {"created_at": LATER, "email_address": "b@example.com", "phone_number": None},
    )

    assert outcomes(results) == {"updated": 3}
    assert len(store.items()) == count - 1  # nothing finds it by a phone number any more; the rest is the invariants'


def test_an_acs_user_s_link_is_left_alone(import_: Import, item: Callable[[Row], Item], workspace: Workspace) -> None:
    manager_id, identity_id = workspace.credential_manager(), workspace.user_identity()
    known = {"acs_user_id": workspace.acs_user(manager_id), "acs_system_id": manager_id}
    link(workspace, identity_id, known["acs_user_id"])

    results = import_(known | {"full_name": "Jane Doe", "email_address": "j@example.com", "user_identity_id": None})

    assert outcomes(results) == {"updated": 1}
    assert (item(known)["full_name"], item(known)["user_identity_id"]) == ("Jane Doe", identity_id)


def link(workspace: Workspace, user_identity_id: str, acs_user_id: str) -> None:
    request = AddAcsUserRequest(user_identity_id=user_identity_id, acs_user_id=acs_user_id)
    add_acs_user(workspace.table, Caller(workspace.workspace_id), request)


def test_what_is_missing_of_a_record_is_put_back(store: Store, import_: Import, workspace: Workspace) -> None:
    manager = system(created_at=EARLIER)
    person = user(manager, email_address="a@example.com", created_at=EARLIER)
    import_(manager, person)
    whole = store.items()
    listing = acs_user_listing_key(workspace.workspace_id, EARLIER, person["acs_user_id"])
    store.table.transact({"entry": delete(listing)})

    results = import_(manager, person)

    assert outcomes(results) == {"unchanged": 1, "updated": 1}
    assert store.items() == whole


def test_records_are_those_of_the_workspace(import_: Import, other_workspace: Workspace) -> None:
    elsewhere = {"acs_system_id": other_workspace.credential_manager()}

    assert problem(import_(pool(elsewhere))) == ("acs_system_id", "Access control system not found")
    assert outcomes(import_(system(**elsewhere))) == {"created": 1}


@pytest.mark.parametrize("make", [pool, user])
def test_what_is_in_a_system_comes_after_it(import_: Import, make: Callable[..., Row]) -> None:
    manager = system()
    early, late = make(manager), make(manager)

    results = import_(early, manager, late)

    assert problem(results) == ("acs_system_id", "Access control system not found")
    assert outcomes(results) == {"bad": 1, "created": 2}
    assert outcomes(import_(early, manager, late)) == {"created": 1, "unchanged": 2}


def test_a_system_may_change_behind_what_is_in_it(import_: Import) -> None:
    manager = system()
    import_(manager)

    results = import_(pool(manager), manager | {"name": "Annex"}, pool(manager), user(manager))

    assert outcomes(results) == {"created": 3, "updated": 1}


def test_only_a_credential_manager_has_pools(import_: Import) -> None:
    garage = system(is_credential_manager=False)

    results = import_(garage, pool(garage))

    assert problem(results, 2) == ("acs_system_id", "Access control system is not a credential manager")
    assert outcomes(import_(garage | {"is_credential_manager": True}, pool(garage))) == {"updated": 1, "created": 1}


@pytest.mark.parametrize("make", [pool, user])
def test_nothing_moves_to_another_system(import_: Import, make: Callable[..., Row]) -> None:
    here, there = system(), system()
    row = make(here)
    import_(here, there, row)

    results = import_(row | {"acs_system_id": there["acs_system_id"]})

    assert problem(results) == ("acs_system_id", f"Cannot change: it is in the system {here['acs_system_id']}")


NEVER_DEMOTED = ("is_credential_manager", "Cannot change to false: a credential manager stays one")


def test_a_credential_manager_stays_one(import_: Import, item: Callable[[Row], Item]) -> None:
    manager, other = system(), system()
    import_(manager, pool(manager), other)

    results = import_(
        manager | {"is_credential_manager": False},
        other | {"is_credential_manager": False, "name": "Annex"},
        user(other),
    )

    assert [problem(results, line) for line in (1, 2)] == [NEVER_DEMOTED, NEVER_DEMOTED]
    assert outcomes(results) == {"bad": 2, "created": 1}
    assert (item(other)["is_credential_manager"], item(other)["name"]) == (True, "Main Tower")


def test_a_dry_run_tells_that_a_credential_manager_stays_one(import_: Import) -> None:
    manager = system()
    import_(manager)

    results = import_(manager | {"is_credential_manager": False}, pool(manager), dry_run=True)

    assert problem(results) == NEVER_DEMOTED
    assert outcomes(results) == {"bad": 1, "created": 1}


def test_a_row_that_does_not_say_so_leaves_a_credential_manager_one(
    import_: Import, item: Callable[[Row], Item]
) -> None:
    manager = system()
    import_(manager)

    results = import_({"acs_system_id": manager["acs_system_id"], "name": "Annex"}, pool(manager))

    assert outcomes(results) == {"updated": 1, "created": 1}
    assert item(manager)["is_credential_manager"] is True


def test_a_record_is_in_the_file_once(import_: Import, item: Callable[[Row], Item]) -> None:
    manager = system()
    same_id = user(manager, acs_user_id=manager["acs_system_id"])  # another kind's, so another record

    results = import_(manager, same_id, manager | {"name": "Annex"})

    assert problem(results, 3) == ("acs_system_id", "Already in line 1")
    assert outcomes(results) == {"created": 2, "bad": 1}
    assert item(manager)["name"] == "Main Tower"


def test_bad_rows_keep_no_good_one_out_and_results_are_in_their_order(import_: Import) -> None:
    manager = system()
    rows = [manager, *({} if number % 10 else user(manager) for number in range(250))]

    results = import_(*rows)

    assert [result.line for result in results] == list(range(1, 252))
    assert outcomes(results) == {"created": 26, "bad": 225}


def test_a_dry_run_tells_what_an_import_would_and_writes_nothing(store: Store, import_: Import) -> None:
    manager, garage = system(), system(is_credential_manager=False)
    import_(garage)
    rows = [
        manager,
        *(user(manager) for _ in range(30)),
        *({} for _ in range(90)),  # so that what follows is of another batch
        pool(manager),
        garage | {"name": "Garage"},
        pool(garage),
        pool(system()),
        manager,
    ]
    before = store.items()

    told = import_(*rows, dry_run=True)

    assert store.items() == before
    assert import_(*rows) == told
    assert outcomes(told) == {"created": 32, "updated": 1, "bad": 93}


def test_the_largest_rows_fit_into_transactions(store: Store, import_: Import) -> None:
    texts = ("name", "external_type_display_name", "image_url", "image_alt_text", "customer_key")
    sizes: list[int] = []

    def largest(letter: str, systems: list[Row]) -> list[Row]:
        ids = [str(uuid4()) for _ in range(1000)]
        rest = {"compatible_credential_manager_acs_system_ids": ids}
        return [{**row, **dict.fromkeys(texts, 1000 * letter), **rest} for row in systems]

    def measure(request: Any, **_: Any) -> None:
        sizes.append(len(json.dumps(json.loads(request.body), ensure_ascii=False).encode()))

    store.watch("before-send.dynamodb.TransactWriteItems", measure)
    systems = [system() for _ in range(30)]

    assert outcomes(import_(*largest("😀", systems))) == {"created": 30}
    assert outcomes(import_(*largest("😁", systems))) == {"updated": 30}
    assert 2_000_000 < max(sizes) < 4_000_000


# ------------------------------------------------------------------------------------------------------ Meanwhile


@pytest.fixture
def meanwhile(store: Store) -> Callable[[Callable[[], object]], None]:
    """Return a function that has something done when the next transaction is on its way."""

    def meanwhile_(act: Callable[[], object]) -> None:
        acts = [act]

        def act_once(**_: Any) -> None:
            if acts:
                acts.pop()()

        store.watch("before-send.dynamodb.TransactWriteItems", act_once)

    return meanwhile_


def test_a_link_that_is_made_meanwhile_is_kept(
    import_: Import, item: Callable[[Row], Item], workspace: Workspace, meanwhile: Callable[..., None]
) -> None:
    manager_id, identity_id = workspace.credential_manager(), workspace.user_identity()
    known = {"acs_user_id": workspace.acs_user(manager_id), "acs_system_id": manager_id}
    meanwhile(lambda: link(workspace, identity_id, known["acs_user_id"]))

    results = import_(known | {"full_name": "Jane Doe"})

    assert outcomes(results) == {"updated": 1}
    assert (item(known)["full_name"], item(known)["user_identity_id"]) == ("Jane Doe", identity_id)


def test_a_record_that_is_changed_meanwhile_is_read_again(
    store: Store, import_: Import, item: Callable[[Row], Item], workspace: Workspace, meanwhile: Callable[..., None]
) -> None:
    manager = system(created_at=EARLIER)
    person = user(manager, email_address="a@example.com", created_at=EARLIER)
    import_(manager, person)
    other_import = [read_row(RawRow(1, 1, person | {"email_address": "b@example.com"}))]
    meanwhile(lambda: list(import_rows(store.table, workspace.workspace_id, other_import, FILE_TIME)))

    results = import_(manager | {"name": "Annex"}, person | {"email_address": "c@example.com"})

    assert outcomes(results) == {"updated": 2}
    assert (item(manager)["name"], item(person)["email_address"]) == ("Annex", "c@example.com")


def test_a_record_that_is_created_meanwhile_is_left_as_the_row_says(
    store: Store, import_: Import, workspace: Workspace, meanwhile: Callable[..., None]
) -> None:
    manager = system()
    rows = [manager, pool(manager), user(manager)]
    other_import = [read_row(RawRow(line, line, row)) for line, row in enumerate(rows, 1)]
    meanwhile(lambda: list(import_rows(store.table, workspace.workspace_id, other_import, FILE_TIME)))

    assert outcomes(import_(*rows)) == {"unchanged": 3}


def test_a_system_that_becomes_a_credential_manager_meanwhile_stays_one(
    import_: Import, item: Callable[[Row], Item], meanwhile: Callable[..., None]
) -> None:
    garage = system(is_credential_manager=False)
    import_(garage)
    meanwhile(lambda: import_(garage | {"is_credential_manager": True}))

    results = import_(garage | {"name": "Annex"})

    assert problem(results) == NEVER_DEMOTED
    assert (item(garage)["is_credential_manager"], item(garage)["name"]) == (True, "Main Tower")


def test_a_schedule_that_is_changed_meanwhile_is_checked_anew(import_: Import, meanwhile: Callable[..., None]) -> None:
    manager = system()
    person = user(manager, access_schedule={"starts_at": STARTS})
    import_(manager, person)
    meanwhile(lambda: import_(person | {"access_schedule": {"starts_at": LATER}}))

    results = import_({"acs_user_id": person["acs_user_id"], "access_schedule": {"ends_at": ENDS}})

    assert problem(results) == NOT_AFTER


def test_a_record_that_never_keeps_still_is_a_bad_row(store: Store, import_: Import, workspace: Workspace) -> None:
    manager = system()
    import_(manager)
    key = acs_system_key(workspace.workspace_id, manager["acs_system_id"])
    busy = [False]

    def keep_renaming(**_: Any) -> None:
        if not busy[0]:
            busy[0] = True
            store.table.transact({"a": change(key, assign={"name": str(uuid4())})})
            busy[0] = False

    store.watch("before-send.dynamodb.TransactWriteItems", keep_renaming)

    results = import_(manager | {"name": "Annex"})

    assert problem(results) == (None, "Another client keeps changing it; import it again")


# ---------------------------------------------------------------------------------------------------------- Killed


class Killed(BaseException):
    """What no code survives."""


@pytest.fixture
def die(store: Store) -> Callable[[str, int], None]:
    """Return a function that kills whoever makes a request, the one with that number, before it or after it."""

    def die_(event: str, number: int) -> None:
        numbers: Iterator[int] = iter(range(number + 1))

        def die_at_last(**_: Any) -> None:
            if next(numbers, None) == number:
                raise Killed

        store.watch(event, die_at_last)

    return die_


def changes_of_all_kinds() -> tuple[list[Row], list[Row]]:
    """Return rows to begin with, and rows to import: more of them than a transaction takes."""
    manager, garage = system(created_at=EARLIER), system(is_credential_manager=False, created_at=EARLIER)
    people = [user(manager, email_address=f"{number}@example.com", created_at=EARLIER) for number in range(3)]
    first = [manager, garage, pool(manager, created_at=EARLIER), *people]
    second = [
        *({**row, "created_at": LATER} for row in first),
        *(user(garage, phone_number=f"+155555501{number}") for number in range(10, 30)),
        garage | {"acs_system_id": str(uuid4())},
        people[0] | {"acs_user_id": str(uuid4())},
        garage,  # a second time
        pool(garage),
    ]
    second[3]["email_address"] = "changed@example.com"
    second[4]["email_address"] = None
    return first, second


@pytest.mark.parametrize("event", ["before-send.dynamodb", "after-call.dynamodb"])
def test_an_import_that_is_killed_at_any_request_and_run_again_ends_in_the_same_state(
    store: Store, import_: Import, die: Callable[[str, int], None], event: str
) -> None:
    first, second = changes_of_all_kinds()
    import_(*first)
    beginning = store.items()
    requests = store.count_requests()
    import_(*second)
    count, end = len(requests), store.items()
    assert sum("TransactWriteItems" in request for request in requests) > 1

    states: list[Mapping[Key, Item]] = []
    for number in range(count):
        store.restore(beginning)
        die(event, number)
        with pytest.raises(Killed):
            import_(*second)
        states.append(store.items())
        import_(*second)
        assert store.items() == end

    assert all(not _halves(state) for state in states)


def _halves(state: Mapping[Key, Item]) -> list[Key]:
    """Return what is missing of a record that is there."""
    stored = {"ACS_SYSTEM": stored_acs_system, "ACS_USER": stored_acs_user}
    return [key for own, item in state.items() if own.sk in stored for key in stored[own.sk](item) if key not in state]


def test_what_is_done_is_told_before_the_database_is_lost(store: Store, workspace: Workspace) -> None:
    manager = system()
    rows = [manager, *(user(manager) for _ in range(80))]
    transactions: list[None] = []

    def lose(**_: Any) -> None:
        transactions.append(None)
        if len(transactions) > 1:
            raise ServiceUnavailable

    store.watch("before-send.dynamodb.TransactWriteItems", lose)
    read = [read_row(RawRow(line, line, row)) for line, row in enumerate(rows, 1)]
    results = import_rows(store.table, workspace.workspace_id, read, FILE_TIME)

    told: list[Result] = []
    with pytest.raises(ServiceUnavailable):
        told.extend(results)

    assert len(told) == sum(key.sk in {"ACS_SYSTEM", "ACS_USER"} for key in store.items())
    assert {result.outcome for result in told} == {Outcome.CREATED}
