"""Every operation of the service, with every fault at every request that it makes to DynamoDB.

Each is met by one request, which botocore tries again, or by all from that one on.  Then the fault ends, and the same
is asked for again: the table must be as if nothing had happened.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import botocore.session
import pytest
from urllib3.util.timeout import Timeout

from enrollment.store.actions import change
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, user_identity_key
from enrollment.store.table import Table
from enrollments.local.stack import open_stack
from experiments.figures import record
from experiments.reliability.operations import ID_NAMES, Answer, Operation, Site, World, build_world, operations
from experiments.reliability.proxy import Fault, Plan, Proxy, open_proxy
from local_aws.moto_server import serve_moto
from tests.fixtures import PROJECT, Store, put_all
from tests.invariants import violations
from tests.items import by_key, in_moto

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DATABASES = ("moto", "DynamoDB Local")
# What operations are called does not depend on the world.
NAMES = tuple(operations(World("", {}, dict.fromkeys(ID_NAMES, "a_b_c"))))

# How long a client waits for an answer that does not come; for others it waits as long as it does on AWS.
_SILENCE_SECONDS = 0.04

# Of what is new: ids, moments, tokens and what is made of them, page cursors.
_NEW = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:]{5,8}(?:[.\d]*Z)?|[0-9a-f]{64}|seam_\w+"
    r"|(?<=TOKEN#)\w+|\bcst1\w{8}\b|(?<=page_cursor=)[\w%-]+"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The id of a registration comes from those of its phone and its credential manager, and is not stored.
_DERIVED = re.compile(r'"phone_registration_id": "[^"]+"')

type Table_ = tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """A service, its database and what can go wrong between them.

    Attributes:
        database: Which one it is.
        proxy: What is between them.
        store: The table, past the proxy.
        world: What is in the table before each case.
        site: Where to ask.
        known: Where every id is that is in the world.
        items: Returns the whole table.
    """

    database: str
    proxy: Proxy
    store: Store
    world: World
    site: Site
    known: str
    items: Callable[[], dict[Key, Item]]

    def prepare(self, operation: Operation) -> None:
        """Have the table as it is before each case, and functions that have just started."""
        self._restore()
        self.site.cursors.clear()
        self._forget()
        if operation.before is not None:
            operation.before(self.site)
        if not operation.is_warm:
            self._forget()

    def _restore(self) -> None:
        present = self.items()
        gone = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in present.keys() - self.world.items.keys()]
        for start in range(0, len(gone), 25):
            requests = [{"DeleteRequest": {"Key": key}} for key in gone[start : start + 25]]
            self.store.client.batch_write_item(RequestItems={self.store.table_name: requests})
        put_all(self.store.table, {key: item for key, item in self.world.items.items() if present.get(key) != item})

    def _forget(self) -> None:
        functions = self.site.stack.functions
        for name in functions.definitions:
            handler: Any = functions.handler(name)
            function: dict[str, Any] = handler.__globals__
            if "known" in function:
                function["known"].clear()
            if "cursors" in function:
                function["cursors"].key = None

    def settled(self, value: Any) -> Any:
        """Return a value in which everything that is new looks the same."""
        if isinstance(value, Mapping):
            return {name: self.settled(inner) for name, inner in value.items() if name != "next_page_cursor"}
        if isinstance(value, list | set | frozenset):
            inner = [self.settled(element) for element in value]
            return sorted(inner) if all(isinstance(element, str) for element in inner) else inner
        if not isinstance(value, str):
            return value
        return _NEW.sub(lambda match: match[0] if match[0] in self.known else "new", value)

    def answer(self, answer: Answer) -> tuple[int | None, Any]:
        return answer.status, self.settled(answer.body)

    def table(self, items: Mapping[Key, Item]) -> Table_:
        return tuple(
            sorted(
                json.dumps(
                    [self.settled(key.pk), "new" if self._is_new(key) else self.settled(key.sk), self.settled(item)]
                )
                for key, item in items.items()
            )
        )

    def _is_new(self, key: Key) -> bool:
        return key.pk == "TOKENS" and key.sk not in self.known

    def lost(self, answer: Answer, items: Mapping[Key, Item]) -> set[str]:
        """Return the ids that an answer names and nothing in the table has."""
        table = f"{items}"
        named = _UUID.findall(_DERIVED.sub("", json.dumps(answer.body)))
        return {found for found in named if found not in self.known + table}


@dataclass(frozen=True)
class Usual:
    """What an operation does that nothing disturbs, and what it does if it is asked for once more.

    Attributes:
        requests: What it asks the database for.
        before: The table before; and so on.
    """

    requests: tuple[str, ...]
    before: Table_
    first: tuple[int | None, Any]
    after_first: Table_
    second: tuple[int | None, Any]
    after_second: Table_


@dataclass
class Count:
    """What has become of cases, by fault."""

    requests: Counter[str] = field(default_factory=Counter)
    outcomes: dict[Fault, Counter[str]] = field(default_factory=lambda: {fault: Counter() for fault in Fault})


@pytest.fixture(scope="module")
def counts() -> Iterator[dict[str, Count]]:
    counts = {database: Count() for database in DATABASES}
    yield counts
    whole = {database: count for database, count in counts.items() if count.requests.keys() == set(NAMES)}
    if whole:
        record("faults", *_figures(whole))


@pytest.fixture(scope="module", params=DATABASES)
def experiment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experiment]:
    database = request.param
    with pytest.MonkeyPatch.context() as patch:
        if database == "moto":
            with serve_moto("127.0.0.1") as moto:
                yield from _experiment(database, moto.url, patch, tmp_path_factory.mktemp("faults"))
        else:
            endpoint = request.getfixturevalue("dynamodb_local")
            yield from _experiment(database, endpoint, patch, tmp_path_factory.mktemp("faults"))


def _experiment(database: str, endpoint: str, patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Experiment]:
    with (
        open_proxy(endpoint, remembers_transactions=database == "moto") as proxy,
        open_stack(
            PROJECT / "template.yaml", dynamodb_endpoint=proxy.address, log=io.StringIO(), terminal=io.StringIO()
        ) as stack,
    ):
        client: Any = botocore.session.get_session().create_client("dynamodb", endpoint_url=endpoint)
        store = Store(Table(client, stack.table_name), client, stack.table_name)
        held = store.items()
        try:
            store.restore({})
            # The clients are those of the service but for what would make the experiment long: they do not wait before
            # they try again, and not long for what will not come.
            read_timeout = vars(Timeout)["read_timeout"].fget
            patch.setattr(
                Timeout,
                "read_timeout",
                property(lambda timeout: _SILENCE_SECONDS if proxy.is_silent_next() else read_timeout(timeout)),
            )
            waiting = SimpleNamespace(sleep=lambda _: proxy.client_waits())
            patch.setattr("botocore.endpoint.time", waiting)
            patch.setattr("enrollment.store.table._FIRST_DELAY_SECONDS", 0)
            world = build_world(store)
            file = _write_directory(folder, world)
            site = Site(stack, proxy.address, str(file))
            items = (lambda: by_key(in_moto(stack.table_name))) if database == "moto" else store.items
            known = f"{world.items} {world.ids} {file.read_text()}"
            yield Experiment(database, proxy, store, world, site, known, items)
        finally:
            store.restore(held)


def _write_directory(folder: Path, world: World) -> Path:
    """Write rows that change what is there, and more new ones than an import puts into a transaction."""
    rows: list[dict[str, str | None]] = [
        {"acs_user_id": world.cleos, "acs_system_id": world.manager, "email_address": "cleo@x.com"},
        {"acs_user_id": world.anns, "acs_system_id": world.manager, "full_name": "Ann", "email_address": "ann@x.com"},
    ]
    rows += [
        {
            "acs_credential_pool_id": str(UUID(int=number, version=4)),
            "acs_system_id": world.manager,
            "display_name": f"Pool {number}",
        }
        for number in range(26)
    ]
    path = folder / "directory.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_answered_as_the_contract_says_and_a_repeat_converges(
    experiment: Experiment, counts: dict[str, Count], name: str
) -> None:
    operation = operations(experiment.world)[name]
    _usual(experiment, operation)  # DynamoDB Local is slow with what it does for the first time
    usual = _usual(experiment, operation)
    # A creation without anything unique, and nothing else, makes another one each time.
    assert (usual.after_first != usual.after_second) == operation.doubles

    problems, count = [], counts[experiment.database]
    for fault in Fault:
        requests = [
            request for request in usual.requests if request == "TransactWriteItems" or not fault.is_for_transactions
        ]
        for plan in (Plan(fault, at, lasts) for at in range(1, len(requests) + 1) for lasts in (False, True)):
            outcome, found = _try(experiment, operation, usual, plan)
            count.outcomes[fault].update(["cases", *outcome, *["wrong"] * bool(found)])
            problems += [
                f"{fault.value}, request {plan.at} {'and all others' * plan.is_lasting}: {problem}" for problem in found
            ]
    count.requests[name] = len(usual.requests)

    assert not problems, f"{name} on {experiment.database}:\n" + "\n".join(problems)


def test_an_answer_that_is_cut_off_within_a_character_is_an_outage(experiment: Experiment) -> None:
    world = experiment.world
    get = operations(world)["identity: get"]
    experiment.prepare(get)
    key = user_identity_key(world.workspace_id, world.jane)
    experiment.store.table.transact({"name": change(key, assign={"full_name": "Zoë"})})

    experiment.proxy.arm(Plan(Fault.CUT_OFF, 1, is_lasting=True))
    answer = get.ask(experiment.site)
    experiment.proxy.disarm()

    assert answer.is_unavailable
    assert get.ask(experiment.site).body["user_identity"]["full_name"] == "Zoë"


def _usual(experiment: Experiment, operation: Operation) -> Usual:
    experiment.prepare(operation)
    before = experiment.items()
    experiment.proxy.arm()
    first = operation.ask(experiment.site)
    counts = experiment.proxy.disarm()
    after_first = experiment.items()
    second = operation.ask(experiment.site)
    after_second = experiment.items()
    assert violations(after_first) + violations(after_second) == []
    return Usual(
        counts.requests,
        experiment.table(before),
        experiment.answer(first),
        experiment.table(after_first),
        experiment.answer(second),
        experiment.table(after_second),
    )


def _try(experiment: Experiment, operation: Operation, usual: Usual, plan: Plan) -> tuple[list[str], list[str]]:
    """Return what a case is counted as, and what is wrong with it."""
    experiment.prepare(operation)
    experiment.proxy.arm(plan)
    answer = operation.ask(experiment.site)
    counts = experiment.proxy.disarm()
    items = experiment.items()
    repeated = operation.ask(experiment.site)
    items_at_last = experiment.items()

    table, table_at_last = experiment.table(items), experiment.table(items_at_last)
    is_usual = experiment.answer(answer) == usual.first
    is_done = table == usual.after_first
    is_half_done = table not in {usual.before, usual.after_first}
    problems = [f"after the fault: {wrong}" for wrong in violations(items)]
    problems += [f"after the repeat: {wrong}" for wrong in violations(items_at_last)]
    if not counts.met:
        problems.append("no request met it")
    if is_half_done and not operation.is_in_steps:
        problems.append(f"half done: {_difference(usual.after_first, table)}")
    met = usual.requests[plan.at - 1 :] if plan.is_lasting else usual.requests[plan.at - 1 : plan.at]
    is_lost_quietly = set(met) == {operation.may_lose}
    if is_lost_quietly and not is_usual:
        problems.append(f"not as usual, though nothing was lost but what may be: {answer}")
    if plan.is_lasting and not answer.is_unavailable and not is_lost_quietly:
        problems.append(f"answered {answer}")
    if not plan.is_lasting and not is_lost_quietly and not (is_usual and is_done):
        problems.append(f"not as usual: {answer}")
    if lost := experiment.lost(repeated, items_at_last) | (experiment.lost(answer, items) if is_usual else set()):
        problems.append(f"named, but not there: {lost}")

    # What is done, or was nothing to do, is asked for once more.
    is_second = is_done and usual.after_first != usual.before
    wanted, wanted_table = (usual.second, usual.after_second) if is_second else (usual.first, usual.after_first)
    is_wanted = repeated.status == wanted[0] if is_half_done else experiment.answer(repeated) == wanted
    if not is_wanted:
        problems.append(f"the repeat was answered {repeated}")
    if table_at_last != wanted_table:
        problems.append(f"in the end: {_difference(wanted_table, table_at_last)}")
    is_doubled = operation.doubles and answer.is_unavailable and is_second
    return [
        "as usual" if is_usual else "unavailable" if answer.is_unavailable else "otherwise",
        *["half done"] * is_half_done,
        *["done, unavailable"] * (answer.is_unavailable and is_second),
        "second one made" if is_doubled else "converged",
    ], problems


def _difference(wanted: Table_, found: Table_) -> str:
    missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    return f"missing {list(missing)}, too much {list(extra)}"


def _figures(counts: Mapping[str, Count]) -> tuple[str, list[dict[str, str | int | float]]]:
    requests = next(iter(counts.values())).requests
    title = f"Faults at the wire: {len(requests)} operations, at each of their {requests.total()} requests to DynamoDB"
    rows: list[dict[str, str | int | float]] = []
    total: Counter[str] = Counter()
    for fault in Fault:
        row: Counter[str] = Counter()
        for database, count in counts.items():
            row.update(count.outcomes[fault])
            row[database] = count.outcomes[fault]["cases"]
        total.update(row)
        rows.append(_row(fault.value, row, list(counts)))
    return title, [*rows, _row("all", total, list(counts))]


def _row(fault: str, row: Counter[str], databases: list[str]) -> dict[str, str | int | float]:
    return {
        "fault": fault,
        **{f"cases, {database}": row[database] for database in databases},
        "answered as usual": row["as usual"],
        "unavailable": row["unavailable"],
        "of these done": row["done, unavailable"],
        "half done": row["half done"],
        "repeat converged": row["converged"],
        "repeat made a second one": row["second one made"],
        "wrong": row["wrong"],
    }
