"""Sequences of requests that Hypothesis makes up, answered by the service and by the model."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, cast, override
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from enrollment.callers import TokenKind
from enrollment.store.actions import change, delete
from enrollment.store.attributes import Item, elements
from enrollment.store.items import stored_acs_credential_pool, stored_acs_system, stored_acs_user, stored_user_identity
from enrollment.store.keys import Key, page_cursor_key, token_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import NewToken, create_token, revoke_token
from enrollments.directory.importing import import_rows
from enrollments.directory.rows import RawRow, read_row
from enrollments.local.stack import Stack
from experiments.reliability.model import (
    AUTOMATIONS,
    ROUTES,
    AcsUser,
    Answer,
    Automation,
    Call,
    Identity,
    Json,
    Model,
    Pool,
    System,
    Token,
)
from local_aws.gateway import Gateway, Request
from tests.fixtures import put_all
from tests.invariants import violations
from tests.items import Attributes, by_key, unsigned

UNKNOWN = "00000000-0000-4000-8000-000000000000"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MOST_PAGES = 200
_MOST_TOKENS = 8
_FEWEST = 5
_MOST_SYSTEMS = 6

_client = httpx.Client(trust_env=False)


@dataclass
class Counts:
    """Counts of what has been done so far."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    examples: int = 0


class Service:
    """The deployed system behind its gateway, in a table that is otherwise empty.

    The gateway's clock is ours: it keeps the authorizer's decisions over many requests, but none over the change of a
    token, whatever the time that passes really.

    Args:
        stack: The stack.
        read: Returns the whole table's items as DynamoDB's JSON.
    """

    def __init__(self, stack: Stack, read: Callable[[], Iterable[Attributes]]) -> None:
        self.table = stack.table
        self._table_name = stack.table_name
        self._read = read
        self._now = 0.0
        api = stack.gateway.api
        self._longest_kept = max(authorizer.cache_seconds for authorizer in api.authorizers.values())
        self._gateway = Gateway(api, stack.functions.invoke, lambda: self._now)

    def send(self, request: Request) -> tuple[int, Json]:
        """Send a request, a second after the one before."""
        self._now += 1
        response = self._gateway.handle(request)
        return response.status, json.loads(response.body)

    def outlast_decisions(self) -> None:
        """Let so much time pass that the gateway asks the authorizer anew."""
        self._now += self._longest_kept + 1

    def items(self) -> dict[Key, Item]:
        """Return the whole table."""
        return by_key(self._read())

    def clear(self) -> None:
        """Delete all items but the secret of page cursors, which functions keep."""
        keys = [key for key in self.items() if key != page_cursor_key()]
        requests = [{"DeleteRequest": delete(key)["Delete"]} for key in keys]
        for some in batched(requests, 25, strict=False):
            answer = self.table.client.batch_write_item(RequestItems={self._table_name: cast("Any", some)})
            assert not answer["UnprocessedItems"]


def from_server(address: str, table_name: str) -> Iterable[Attributes]:
    """Return a table's items with requests of our own: botocore takes its time to parse an answer of that size."""
    request: Json = {"TableName": table_name, "ConsistentRead": True}
    while True:
        answer = _client.post(address, json=request, headers=unsigned("Scan")).raise_for_status().json()
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


# What is drawn is names and numbers, never ids: a sequence that failed can be played again, and be made smaller.
_ODD = ["capitals", "elsewhere", "foreign", "gone", "unknown", "no uuid"]
WHICH: st.SearchStrategy[int | str] = st.sampled_from([*range(5)] * 8 + _ODD)
WHICH_OR_NONE_SUCH: st.SearchStrategy[int | str] = st.sampled_from([*range(5)] * 3 + _ODD)
WHICH_IF_ANY: st.SearchStrategy[int | str | None] = st.sampled_from([None] * 30 + [*range(5)] * 5 + _ODD)
_GOOD = ["key 0"] * 10 + ["person 0"] * 4 + ["key 1"] * 3 + ["person 1"] * 2
_BAD = ["nobody", "stranger", "malformed", "person nowhere", "person elsewhere"]
_ISSUED = ["issued 0", "issued 1", "issued 2"]
WHO = st.sampled_from(_GOOD * 4 + _ISSUED * 2 + _BAD)
READER = st.sampled_from(_GOOD * 4 + ["session 0", "session 1"] * 12 + _ISSUED * 2 + _BAD)
METHOD = st.sampled_from([0, 1])
LIMIT = st.sampled_from([None] * 8 + [1, 2, 3] * 4 + [1000, 0])
EMAIL = st.sampled_from(["jane@example.com", "JANE@example.com", "Jane@Example.COM", "john@example.com", "a@b.org"])
PHONE = st.sampled_from(["+15555550100", "+15555550101", "+4912"])
KEY = st.sampled_from(["jane", "Jane", "j#1"])
# Twice the same name: "ë" is one character or two.
NAME = st.sampled_from(["Jane Doe", "JOHN ROE", "Zo\u00eb", "Zoe\u0308"])
SEARCH = st.sampled_from(["jane", "ROE", "\u00eb", "E\u0308", "zoe", "+155555501", "example.com", "-4", "no such"])
PROFILE = st.fixed_dictionaries(
    {},
    optional={
        "user_identity_key": st.one_of(KEY, st.none()),
        "email_address": st.one_of(EMAIL, EMAIL, EMAIL, st.sampled_from([None, None, "nobody"])),
        "phone_number": st.one_of(PHONE, PHONE, PHONE, st.sampled_from([None, None, "555"])),
        "full_name": st.one_of(NAME, st.none()),
    },
)
PERSON = st.fixed_dictionaries(
    {"full_name": NAME},
    optional={
        "email_address": EMAIL,
        "phone_number": PHONE,
        "access_schedule": st.sampled_from(
            [
                {"starts_at": "2026-01-01T00:00:00.000Z"},
                {"starts_at": "2026-01-01T00:00:00.000Z", "ends_at": "2999-01-01T00:00:00.000Z"},
                {"starts_at": "2999-01-01T00:00:00.000Z", "ends_at": "2998-01-01T00:00:00.000Z"},
            ]
        ),
    },
)


@dataclass
class OpenList:
    """A list that is read page by page while other things happen."""

    call: Call
    who: str
    id_name: str
    there_at_first: set[str]
    seen: list[str]
    cursor: str


class Machine(RuleBasedStateMachine):
    """Two workspaces, with some ACS systems and pools, which no route creates."""

    def __init__(self, service: Service, counts: Counts) -> None:
        super().__init__()
        self.service = service
        self.counts = counts
        self.model = Model()
        self.workspaces = [str(uuid4()), str(uuid4())]
        self.open_lists: list[OpenList] = []
        service.clear()
        for workspace in self.workspaces:
            self._issue(TokenKind.API_KEY, [workspace])
            self._put_directory(workspace)
        self.person = self._issue(TokenKind.PERSONAL_ACCESS_TOKEN, self.workspaces)
        counts.examples += 1
        counts.steps -= 1  # the table is looked at before the first step, too

    @override
    def teardown(self) -> None:
        self.service.clear()

    # Automations

    # Several rules, because Hypothesis leaves some out of each sequence.

    @rule(who=WHO, identity=WHICH_OR_NONE_SUCH, manager=WHICH, creates=st.sampled_from([None, False]))
    def launch(self, who: str, identity: int | str, manager: int | str, creates: bool | None) -> None:  # noqa: FBT001
        self._launch(who, identity, manager, creates=creates)

    @rule(who=WHO, identity=WHICH, manager=WHICH, pool=WHICH_IF_ANY)
    def launch_with_whatever_acs_user(
        self, who: str, identity: int | str, manager: int | str, pool: int | str | None
    ) -> None:
        self._launch(who, identity, manager, pool=pool, creates=True)

    @rule(who=WHO, identity=WHICH, manager=WHICH, pool=WHICH, creates=st.sampled_from([None, True]))
    def launch_from_pool(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        pool: int | str,
        creates: bool | None,  # noqa: FBT001
    ) -> None:
        self._launch(who, identity, manager, pool=pool, creates=creates)

    @rule(who=WHO, identity=WHICH, manager=WHICH, named=WHICH, creates=st.sampled_from([None, None, False, True]))
    def launch_with_named_acs_user(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        named: int | str,
        creates: bool | None,  # noqa: FBT001
    ) -> None:
        self._launch(who, identity, manager, creates=creates, named=named)

    def _launch(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        *,
        pool: int | str | None = None,
        creates: bool | None = None,
        named: int | str | None = None,
    ) -> None:
        manager_id = self.pick(who, manager, self.model.systems, lambda one: one.is_manager)
        parameters: Json = {
            "user_identity_id": self.pick(who, identity, self.model.identities),
            "credential_manager_acs_system_id": manager_id,
        }
        if pool is not None:
            parameters["acs_credential_pool_id"] = self.pick(
                who, pool, self.model.pools, lambda one: one.system.id == manager_id
            )
        if creates is not None:
            parameters["create_credential_manager_user"] = creates
        if named is not None:
            parameters["credential_manager_acs_user_id"] = self.pick(
                who, named, self.model.acs_users, lambda one: one.system.id == manager_id
            )
        self.ask(who, 0, f"{AUTOMATIONS}/launch", parameters)

    @precondition(lambda self: self.model.automations)
    @rule(who=WHO, automation=WHICH, differs=st.sampled_from(["not", "not", "in flag", "in pool", "in ACS user"]))
    def launch_again(self, who: str, automation: int | str, differs: str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        found = [one for one in self.model.automations if one.id == automation_id]
        if not found:
            return
        pool, creates, named = found[0].asked
        named_id = named and named.id
        manager = found[0].system
        if differs == "in flag":
            creates, named_id = not creates, None
        if differs == "in pool":
            pool = None if pool else next((one for one in self.model.pools if one.system is manager), None)
        if differs == "in ACS user":
            creates, named_id = False, self.pick(who, 0, self.model.acs_users, lambda one: one.system is manager)
        parameters = {
            "user_identity_id": found[0].identity.id,
            "credential_manager_acs_system_id": manager.id,
            "create_credential_manager_user": creates,
            **({"acs_credential_pool_id": pool.id} if pool else {}),
            **({"credential_manager_acs_user_id": named_id} if named_id else {}),
        }
        self.ask(who, 0, f"{AUTOMATIONS}/launch", parameters)

    @precondition(lambda self: self.model.automations)
    @rule(who=READER, method=METHOD, automation=WHICH)
    def get_automation(self, who: str, method: int, automation: int | str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        self.ask(who, method, f"{AUTOMATIONS}/get", {"enrollment_automation_id": automation_id})

    @precondition(lambda self: self.model.automations)
    @rule(who=WHO, method=METHOD, automation=WHICH)
    def delete_automation(self, who: str, method: int, automation: int | str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        self.ask(who, method, f"{AUTOMATIONS}/delete", {"enrollment_automation_id": automation_id})

    # User identities

    @rule(
        who=WHO,
        profile=PROFILE,
        systems=st.one_of(st.none(), st.lists(WHICH, max_size=3)),
    )
    def create_identity(self, who: str, profile: Json, systems: list[int | str] | None) -> None:
        parameters = dict(profile)
        if systems is not None:
            parameters["acs_system_ids"] = [self.pick(who, one, self.model.systems) for one in systems]
        self.ask(who, 0, "/user_identities/create", parameters)

    @rule(who=WHO, method=METHOD, identity=WHICH_IF_ANY, key=st.one_of(st.none(), KEY))
    def get_identity(self, who: str, method: int, identity: int | str | None, key: str | None) -> None:
        self.ask(who, method, "/user_identities/get", self._id_or_key(who, identity, key))

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.one_of(st.none(), SEARCH),
        before=WHICH_IF_ANY,
        manager=WHICH_IF_ANY,
        ids=st.one_of(st.none(), st.none(), st.lists(WHICH, max_size=4)),
    )
    def list_identities(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        before: int | str | None,
        manager: int | str | None,
        ids: list[int | str] | None,
    ) -> None:
        parameters = self._filters(limit, search, before, self.model.identities)
        if manager is not None:
            parameters["credential_manager_acs_system_id"] = self.pick(who, manager, self.model.systems)
        if ids is not None:
            parameters["user_identity_ids"] = [self.pick(who, one, self.model.identities) for one in ids]
        self.ask(who, method, "/user_identities/list", parameters)

    @rule(who=WHO, method=METHOD, identity=WHICH, profile=PROFILE)
    def update_identity(self, who: str, method: int, identity: int | str, profile: Json) -> None:
        identity_id = self.pick(who, identity, self.model.identities)
        self.ask(who, method, "/user_identities/update", {"user_identity_id": identity_id, **profile})

    @precondition(lambda self: len(self.model.identities) >= _FEWEST)
    @rule(who=WHO, method=METHOD, identity=WHICH)
    def delete_identity(self, who: str, method: int, identity: int | str) -> None:
        self.ask_about_identity(who, method, "/user_identities/delete", identity)

    @rule(who=WHO, method=METHOD, acs_user=WHICH, identity=WHICH_IF_ANY, key=st.one_of(st.none(), KEY))
    def add_acs_user(
        self, who: str, method: int, acs_user: int | str, identity: int | str | None, key: str | None
    ) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users)
        parameters = {"acs_user_id": acs_user_id, **self._id_or_key(who, identity, key)}
        self.ask(who, method, "/user_identities/add_acs_user", parameters)

    @rule(who=WHO, method=METHOD, acs_user=WHICH, identity=WHICH_IF_ANY)
    def remove_acs_user(self, who: str, method: int, acs_user: int | str, identity: int | str | None) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users, lambda one: one.identity is not None)
        own = [one.identity.id for one in self.model.acs_users if one.id == acs_user_id and one.identity]
        identity_id = own[0] if own and identity is None else self.pick(who, identity or 0, self.model.identities)
        parameters = {"user_identity_id": identity_id, "acs_user_id": acs_user_id}
        self.ask(who, method, "/user_identities/remove_acs_user", parameters)

    @rule(
        who=READER,
        method=METHOD,
        identity=WHICH,
        path=st.sampled_from(["enrollment_automations/list", "list_acs_users", "list_acs_systems"]),
    )
    def list_what_an_identity_has(self, who: str, method: int, identity: int | str, path: str) -> None:
        self.ask_about_identity(who, method, f"/user_identities/{path}", identity)

    # ACS systems, pools, users

    @rule(
        who=WHO,
        method=METHOD,
        system=WHICH,
        path=st.sampled_from(
            [
                "/acs/systems/get",
                "/acs/systems/list_compatible_credential_manager_acs_systems",
                "/acs/credential_pools/list",
            ]
        ),
        limit=LIMIT,
    )
    def read_about_system(self, who: str, method: int, system: int | str, path: str, limit: int | None) -> None:
        paging = self._filters(limit) if "pools" in path else {}
        self.ask(who, method, path, {"acs_system_id": self.pick(who, system, self.model.systems), **paging})

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.sampled_from([None, None, "main", "-4", "no such"]),
        account=WHICH_IF_ANY,
        customer=st.sampled_from([None, None, None, "customer", "no such"]),
    )
    def list_systems(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        account: int | str | None,
        customer: str | None,
    ) -> None:
        parameters = self._filters(limit, search)
        if account is not None:
            systems = [one for one in self.model.systems if one.id == self.pick(who, account, self.model.systems)]
            parameters["connected_account_id"] = systems[0].connected_account if systems else UNKNOWN
        if customer is not None:
            parameters["customer_key"] = customer
        self.ask(who, method, "/acs/systems/list", parameters)

    @rule(who=WHO, system=WHICH, identity=WHICH_IF_ANY, person=PERSON)
    def create_acs_user(self, who: str, system: int | str, identity: int | str | None, person: Json) -> None:
        parameters = {"acs_system_id": self.pick(who, system, self.model.systems), **person}
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        self.ask(who, 0, "/acs/users/create", parameters)

    @rule(
        who=WHO,
        method=METHOD,
        acs_user=WHICH,
        way=st.sampled_from(["by id", "by id", "in its system", "in a system", "by identity", "both"]),
        system=WHICH,
        deletes=st.sampled_from([False, False, True]),
    )
    def get_or_delete_acs_user(
        self,
        who: str,
        method: int,
        acs_user: int | str,
        way: str,
        system: int | str,
        deletes: bool,  # noqa: FBT001 - drawn
    ) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users)
        found = [one for one in self.model.acs_users if one.id == acs_user_id]
        parameters = {"acs_user_id": acs_user_id}
        if found and way == "in its system":
            parameters["acs_system_id"] = found[0].system.id
        elif way == "in a system":
            parameters["acs_system_id"] = self.pick(who, system, self.model.systems)
        elif way == "by identity":
            own = [one.identity.id for one in found if one.identity]
            parameters = {
                "user_identity_id": own[0] if own else self.pick(who, acs_user, self.model.identities),
                "acs_system_id": found[0].system.id if found else self.pick(who, system, self.model.systems),
            }
        elif way == "both":
            parameters["user_identity_id"] = self.pick(who, acs_user, self.model.identities)
        self.ask(who, method, f"/acs/users/{'delete' if deletes else 'get'}", parameters)

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.one_of(st.none(), SEARCH),
        before=WHICH_IF_ANY,
        system=WHICH_IF_ANY,
        identity=WHICH_IF_ANY,
        person=st.fixed_dictionaries(
            {},
            optional={
                "user_identity_email_address": st.one_of(EMAIL, st.none()),
                "user_identity_phone_number": st.one_of(PHONE, st.none()),
            },
        ),
    )
    def list_acs_users(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        before: int | str | None,
        system: int | str | None,
        identity: int | str | None,
        person: Json,
    ) -> None:
        parameters = {**self._filters(limit, search, before, self.model.acs_users), **person}
        if system is not None:
            parameters["acs_system_id"] = self.pick(who, system, self.model.systems)
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        self.ask(who, method, "/acs/users/list", parameters)

    # Directory files

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        system=st.integers(0, 3),
        is_new=st.sampled_from([False, False, False, True]),
        person=st.fixed_dictionaries(
            {},
            optional={
                "full_name": st.one_of(NAME, NAME, st.none()),
                "email_address": st.one_of(EMAIL, EMAIL, st.none()),
                "phone_number": st.one_of(PHONE, PHONE, st.none()),
                "created_at": st.sampled_from(["2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"]),
            },
        ),
    )
    def import_acs_user(
        self,
        workspace: int,
        which: int,
        system: int,
        is_new: bool,  # noqa: FBT001 - drawn
        person: Json,
    ) -> None:
        who = f"key {workspace}"
        acs_user_id = str(uuid4()) if is_new else self.pick(who, which, self.model.acs_users)
        own = [one.system.id for one in self.model.acs_users if one.id == acs_user_id]
        # One drawn number of four names another system than the record's.
        system_id = own[0] if own and system else self.pick(who, system, self.model.systems)
        self._import(workspace, {"acs_user_id": acs_user_id, "acs_system_id": system_id, **person})

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        system=st.integers(0, 3),
        is_new=st.booleans(),
        properties=st.fixed_dictionaries({}, optional={"display_name": st.sampled_from(["Pool", "Spare"])}),
    )
    def import_pool(
        self,
        workspace: int,
        which: int,
        system: int,
        is_new: bool,  # noqa: FBT001 - drawn
        properties: Json,
    ) -> None:
        who = f"key {workspace}"
        pool_id = str(uuid4()) if is_new else self.pick(who, which, self.model.pools)
        own = [one.system.id for one in self.model.pools if one.id == pool_id]
        system_id = own[0] if own and system else self.pick(who, system, self.model.systems)
        self._import(workspace, {"acs_credential_pool_id": pool_id, "acs_system_id": system_id, **properties})

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        is_new=st.sampled_from([False, False, False, True]),
        properties=st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["Main", "Main Tower"]),
                "is_credential_manager": st.booleans(),
                "connected_account_id": st.just(UNKNOWN),
            },
        ),
    )
    def import_system(
        self,
        workspace: int,
        which: int,
        is_new: bool,  # noqa: FBT001 - drawn
        properties: Json,
    ) -> None:
        systems = [one for one in self.model.systems if one.workspace == self.workspaces[workspace]]
        if is_new and len(systems) < _MOST_SYSTEMS:
            self._import(workspace, {"acs_system_id": str(uuid4()), **properties})
            return
        changes = {name: value for name, value in properties.items() if name != "connected_account_id"}
        self._import(workspace, {"acs_system_id": systems[which % len(systems)].id, **changes})

    def _import(self, workspace: int, row: Json) -> None:
        now = timestamp(datetime.now(UTC))
        expected = self.model.import_row(self.workspaces[workspace], row, now)
        rows = [read_row(RawRow(1, 1, row))]
        (result,) = import_rows(self.service.table, self.workspaces[workspace], rows, now)
        note(f"  import {row} into {self.workspaces[workspace]}: {result}")
        assert result.outcome == expected, f"{result} instead of {expected}"
        self.counts.operations["import a row"] += 1
        if "created_at" in row:  # it has another place in lists, so it may come again or not at all
            for opened in self.open_lists:
                opened.there_at_first.discard(row["acs_user_id"])
                opened.seen = [one for one in opened.seen if one != row["acs_user_id"]]

    # Pages of one list, with anything in between

    @rule(who=st.sampled_from(["key 0", "key 0", "person 1"]), limit=st.sampled_from([1, 2, 3]), users=st.booleans())
    def begin_list(self, who: str, limit: int, users: bool) -> None:  # noqa: FBT001 - drawn
        id_name = "acs_user_id" if users else "user_identity_id"
        path = "/acs/users/list" if users else "/user_identities/list"
        call = self._call(who, 1, path, {"limit": limit})
        status, body = self.service.send(_request(call))
        self._count(call, status, body)
        assert status == 200, body
        there = self._ids(call, id_name)
        records = next(iter(body.values()))
        assert len(records) <= limit
        opened = OpenList(call, who, id_name, there, [one[id_name] for one in records], "")
        self._go_on(opened, body["pagination"])

    @precondition(lambda self: self.open_lists)
    @rule(which=st.integers(0, 3), limit=st.sampled_from([1, 2, 5]))
    def go_on_with_list(self, which: int, limit: int) -> None:
        opened = self.open_lists.pop(which % len(self.open_lists))
        call = self._call(opened.who, 1, opened.call.path, {"limit": limit, "page_cursor": opened.cursor})
        status, body = self.service.send(_request(call))
        self._count(call, status, body)
        assert status == 200, body
        records = next(iter(body.values()))
        assert len(records) <= limit
        new = [one[opened.id_name] for one in records]
        assert set(new) <= self._ids(opened.call, opened.id_name), "a page has what is not there"
        opened.seen += new
        self._go_on(opened, body["pagination"])

    @precondition(lambda self: self.open_lists)
    @rule(which=st.integers(0, 3), misuse=st.sampled_from(["elsewhere", "another list", "garbled"]), method=METHOD)
    def misuse_cursor(self, which: int, misuse: str, method: int) -> None:
        opened = self.open_lists[which % len(self.open_lists)]
        who, parameters = opened.who, {"page_cursor": opened.cursor}
        if misuse == "elsewhere":
            who = "key 1" if who == "key 0" else "key 0"
        elif misuse == "another list":
            parameters["search"] = "jane"
        else:
            parameters["page_cursor"] = opened.cursor[::-1]
        call = self._call(who, method, opened.call.path, parameters)
        status, body = self.service.send(_request(call))
        self._count(call, status, body)
        assert (status, body["error"]["type"]) == (400, "invalid_input")
        assert "page_cursor" in body["error"]["validation_errors"]

    def _go_on(self, opened: OpenList, pagination: Json) -> None:
        assert len(set(opened.seen)) == len(opened.seen), "a record comes twice"
        if pagination["has_next_page"]:
            opened.cursor = pagination["next_page_cursor"]
            self.open_lists.append(opened)
            return
        # Ids never come back: what was there at first and is there now was there all the time.
        missed = opened.there_at_first & self._ids(opened.call, opened.id_name) - set(opened.seen)
        assert not missed, f"{missed} was there all the time, and on no page"

    def _ids(self, call: Call, id_name: str) -> set[str]:
        _, records = self.model.answer(call).listed
        return {one[id_name] for one in records}

    # What is no route, or no parameters

    @rule(
        who=WHO,
        path=st.sampled_from([*ROUTES, "/user_identities/merge"]),
        oddity=st.sampled_from(["method", "content type", "json", "parameters", "null"]),
    )
    def odd_request(self, who: str, path: str, oddity: str) -> None:
        route = ROUTES.get(path)
        method = "POST"
        if route is not None and oddity == "method":
            method = next(one for one in ("GET", "PUT", "DELETE") if one not in route.methods)
        elif "POST" not in (route.methods if route else ("POST",)):
            return
        # Not nothing at all, which is enough for some routes.
        parameters: Json = {"_strict": True, "user_identity_key": 5}
        if route is not None and oddity == "null":
            parameters = dict.fromkeys(name for name, kind in route.parameters.items() if not kind.endswith("?"))
        token, workspace = self._tokens(who)
        content_type = "text/plain" if oddity == "content type" else "application/json"
        self._answer(Call(method, path, parameters, token, workspace, content_type, is_json=oddity != "json"))

    # Tokens

    @precondition(lambda self: len(self._issued()) < _MOST_TOKENS)
    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        kind=st.sampled_from(["session", "session", "key", "person", "people"]),
        identities=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    )
    def issue_token(self, workspace: int, kind: str, identities: list[int]) -> None:
        here = self.workspaces[workspace]
        if kind == "session":
            ids = sorted({self.pick(f"key {workspace}", one, self.model.identities) for one in identities})
            self._issue(TokenKind.CLIENT_SESSION, [here], ids)
        elif kind == "key":
            self._issue(TokenKind.API_KEY, [here])
        else:
            self._issue(TokenKind.PERSONAL_ACCESS_TOKEN, self.workspaces if kind == "people" else [here])
        self.counts.operations["issue a client session" if kind == "session" else "issue a token"] += 1

    @precondition(lambda self: any(one.is_good for one in self._issued()))
    @rule(which=st.integers(0, 5), expires=st.booleans())
    def end_token(self, which: int, expires: bool) -> None:  # noqa: FBT001 - drawn
        good = [one for one in self._issued() if one.is_good]
        token = good[which % len(good)]
        short, now = token.text.split("_")[1], datetime.now(UTC)
        if expires:
            expiry = {"expires_at": timestamp(now - timedelta(milliseconds=1))}
            assert not self.service.table.transact({"token": change(token_key(short), assign=expiry)})
        else:
            assert revoke_token(self.service.table, short, now)
        token.is_good = False
        self.service.outlast_decisions()
        self.counts.operations["a token expires" if expires else "revoke a token"] += 1

    # After each step

    @invariant()
    def table_is_sound_and_the_models(self) -> None:
        self.counts.steps += 1
        items = self.service.items()
        wrong = violations(items)
        assert not wrong, wrong[0]
        model = self.model
        assert _stored(items, "ENROLLMENT_AUTOMATION") == {
            one.id: (one.workspace, one.identity.id, one.system.id, one.created_at) for one in model.automations
        }
        assert _stored(items, "USER_IDENTITY") == {
            one.id: (
                *(one.workspace, one.key, one.email, one.phone, one.name, one.created_at),
                sorted(acs_user.id for acs_user in model.acs_users_of(one)),
            )
            for one in model.identities
        }
        assert _stored(items, "ACS_USER") == {
            one.id: (
                *(one.workspace, one.system.id, one.name, one.email, one.phone, one.created_at),
                one.identity and one.identity.id,
                (one.schedule or {}).get("starts_at"),
                (one.schedule or {}).get("ends_at"),
            )
            for one in model.acs_users
        }
        assert _stored(items, "ACS_SYSTEM") == {
            one.id: (one.workspace, one.name, one.is_manager, one.created_at) for one in model.systems
        }
        assert _stored(items, "ACS_CREDENTIAL_POOL") == {
            one.id: (one.workspace, one.system.id, one.name, one.created_at) for one in model.pools
        }

    # Asking

    def ask(self, who: str, method: int, path: str, parameters: Json) -> None:
        """Have a request answered by both, and compare the answers."""
        self._answer(self._call(who, method, path, parameters))

    def ask_about_identity(self, who: str, method: int, path: str, identity: int | str) -> None:
        self.ask(who, method, path, {"user_identity_id": self.pick(who, identity, self.model.identities)})

    def pick[Thing: (Identity, System, Pool, AcsUser, Automation)](
        self,
        who: str,
        which: int | str,
        things: Sequence[Thing],
        is_suited: Callable[[Thing], bool] = lambda _: True,
    ) -> str:
        """Return an id as drawn, in the workspace that the request is for."""
        workspace = self._workspace(who)
        here = [one for one in things if one.workspace == workspace]
        suited = [one for one in here if is_suited(one)]
        candidates: Sequence[Identity | System | Pool | AcsUser | Automation] = suited
        if which == "elsewhere":
            candidates = [one for one in here if not is_suited(one)]
        elif which == "foreign":
            candidates = [one for one in things if one.workspace != workspace]
        elif which == "gone":
            candidates = [one for one in self.model.gone if one.workspace == workspace]
        if which == "no uuid":
            return "no uuid"
        if which == "unknown" or not candidates:
            return UNKNOWN
        found = candidates[which % len(candidates) if isinstance(which, int) else -1].id
        return found.upper() if which == "capitals" else found

    def _call(self, who: str, method: int, path: str, parameters: Json) -> Call:
        methods = ROUTES[path].methods
        authorization, workspace = self._tokens(who)
        return Call(methods[method % len(methods)], path, parameters, authorization, workspace)

    def _answer(self, call: Call) -> None:
        expected = self.model.answer(call)
        before = timestamp(datetime.now(UTC))
        status, body = self.service.send(_request(call))
        after = timestamp(datetime.now(UTC))
        self._count(call, status, body)
        note(f"  {call.method} {call.path} {call.parameters} of {call.token} in {call.workspace}: {status} {body}")
        said = f"{status} {body}"
        assert status == expected.status, f"{said} instead of {expected.status} {expected.errors}"
        if expected.errors:
            error = body["error"]
            assert (error["type"], error.get("data", {})) in expected.errors, f"{said} instead of {expected.errors}"
            assert set(error.get("validation_errors", {})) - {"_errors"} == expected.fields, said
            return
        assert body["ok"] is True
        expected.learn(body)
        if expected.ask is not None:
            path, parameters = expected.ask()
            asked = Call("POST", path, parameters, call.token, call.workspace)
            status, told = self.service.send(_request(asked))
            assert status == 200, told
            expected.tell(told)
        while self.model.new:
            created_at = self.model.new.pop().created_at
            assert _MOMENT.fullmatch(created_at)
            assert before <= created_at <= after
        if expected.body is None:
            self._compare_list(call, expected, body)
        else:
            assert body == expected.body(), f"{body} instead of {expected.body()}"

    def _compare_list(self, call: Call, expected: Answer, body: Json) -> None:
        name, wanted = expected.listed
        records = list(body[name])
        limit = call.parameters.get("limit", 1000)
        assert len(records) <= limit
        for _ in range(_MOST_PAGES):
            pagination = body.get("pagination", {"has_next_page": False})
            if not pagination["has_next_page"]:
                break
            request = _request(_replace(call, page_cursor=pagination["next_page_cursor"]))
            if call.method == "GET":  # the address of the next page, as it is
                url = urlsplit(pagination["next_page_url"])
                request = _request(call, target=f"{url.path}?{url.query}")
            status, body = self.service.send(request)
            assert status == 200, body
            assert len(body[name]) <= limit
            records += body[name]
        else:
            raise AssertionError("the list does not end")
        in_any_order = sorted(map(_sort_key, wanted))
        assert sorted(map(_sort_key, records)) == in_any_order, f"{records} instead of {list(wanted)}"
        if expected.is_ordered:
            ages = [one["created_at"] for one in records]
            assert ages == sorted(ages, reverse=True), f"not newest first: {ages}"

    def _count(self, call: Call, status: int, body: Json) -> None:
        is_route = call.path in ROUTES and call.method in ROUTES[call.path].methods
        self.counts.operations[f"{call.method} {call.path}" if is_route else "no route"] += 1
        self.counts.outcomes["result" if status == 200 else body["error"]["type"]] += 1

    # Drawn names

    def _workspace(self, who: str) -> str:
        kind, _, which = who.partition(" ")
        if kind in {"key", "person"} and which.isdigit():
            return self.workspaces[int(which)]
        if kind in {"issued", "session"} and (token := self._named_token(kind, int(which))):
            return token.workspaces[0]
        return self.workspaces[0]

    def _tokens(self, who: str) -> tuple[str | None, str | None]:
        """Return the token and the header ``seam-workspace`` of who asks."""
        kind, _, which = who.partition(" ")
        if kind == "key":
            return self.model.tokens[int(which)].text, None
        if kind == "person":
            named = {"nowhere": None, "elsewhere": UNKNOWN}
            return self.person.text, named[which] if which in named else self.workspaces[int(which)]
        if kind in {"issued", "session"} and (token := self._named_token(kind, int(which))):
            return token.text, token.workspaces[0] if token.kind == TokenKind.PERSONAL_ACCESS_TOKEN else None
        if kind in {"issued", "session"}:  # there is none yet
            return self.model.tokens[0].text, None
        unknown = {"stranger": "seam_" + "1" * 8 + "_" + "2" * 24, "malformed": "seam_nonsense"}
        return unknown.get(kind), None

    def _issued(self) -> list[Token]:
        return self.model.tokens[3:]

    def _named_token(self, kind: str, which: int) -> Token | None:
        tokens = [one for one in self._issued() if kind == "issued" or one.kind == TokenKind.CLIENT_SESSION]
        return tokens[which % len(tokens)] if tokens else None

    def _id_or_key(self, who: str, identity: int | str | None, key: str | None) -> Json:
        named: Json = {} if key is None else {"user_identity_key": key}
        if identity is not None or key is None:
            named["user_identity_id"] = self.pick(who, identity or 0, self.model.identities)
        return named

    def _filters(
        self,
        limit: int | None,
        search: str | None = None,
        before: int | str | None = None,
        things: Sequence[Identity | AcsUser] = (),
    ) -> Json:
        filters: Json = {}
        if limit is not None:
            filters["limit"] = limit
        if search is not None:
            filters["search"] = search
        if isinstance(before, int) and things:
            filters["created_before"] = things[before % len(things)].created_at
        return filters

    # What no route creates

    def _issue(self, kind: TokenKind, workspaces: Sequence[str], identities: Sequence[str] = ()) -> Token:
        text = create_token(self.service.table, NewToken(kind, workspaces, identities))
        token = Token(text, kind.value, tuple(workspaces), tuple(identities))
        self.model.tokens.append(token)
        return token

    def _put_directory(self, workspace: str) -> None:
        """Put two credential managers with pools and another system, and some people to begin with."""
        created_at = timestamp(datetime.now(UTC))
        items: dict[Key, Item] = {}
        systems: list[System] = []
        for name in ("Main", "Annex", "Garage"):
            is_manager = name != "Garage"
            default = None if is_manager else systems[1].id
            customer = "customer" if name == "Main" else None
            system = System(workspace, name, is_manager, str(uuid4()), str(uuid4()), created_at, default, customer)
            systems.append(system)
            items |= stored_acs_system(
                {
                    "workspace_id": workspace,
                    "acs_system_id": system.id,
                    "created_at": created_at,
                    "name": name,
                    "is_credential_manager": is_manager,
                    "connected_account_id": system.connected_account,
                    **({"default_credential_manager_acs_system_id": default} if default else {}),
                    **({"customer_key": customer} if customer else {}),
                }
            )
        for system in (systems[0], systems[0], systems[1]):
            pool = Pool(workspace, system, str(uuid4()), created_at)
            self.model.pools.append(pool)
            items |= stored_acs_credential_pool(
                {
                    "workspace_id": workspace,
                    "acs_credential_pool_id": pool.id,
                    "acs_system_id": system.id,
                    "created_at": created_at,
                    "display_name": "Pool",
                    "external_type": "hid_part_number",
                    "external_type_display_name": "HID",
                }
            )
        self.model.systems += systems
        for email in ("Jane@example.com", "john@example.com", None):
            identity = Identity(workspace, email=email, id=str(uuid4()), created_at=created_at)
            self.model.identities.append(identity)
            known = {} if email is None else {"email_address": email}
            common = {"workspace_id": workspace, "created_at": created_at, **known}
            items |= stored_user_identity({"user_identity_id": identity.id, **common})
            acs_user = AcsUser(workspace, systems[0], email=email, id=str(uuid4()), created_at=created_at)
            self.model.acs_users.append(acs_user)
            items |= stored_acs_user({"acs_user_id": acs_user.id, "acs_system_id": systems[0].id, **common})
        put_all(self.service.table, items)


def _replace(call: Call, **parameters: Any) -> Call:
    changed = {**call.parameters, **parameters}
    return Call(call.method, call.path, changed, call.token, call.workspace)


def _request(call: Call, target: str | None = None) -> Request:
    headers = [("Host", "localhost")]
    if call.token is not None:
        headers.append(("Authorization", f"Bearer {call.token}"))
    if call.workspace is not None:
        headers.append(("seam-workspace", call.workspace))
    if call.method in {"GET", "DELETE"}:
        query = {name: _in_query(value) for name, value in call.parameters.items()}
        return Request(call.method, target or f"{call.path}?{urlencode(query, doseq=True)}", headers)
    headers.append(("Content-Type", call.content_type))
    body = json.dumps(call.parameters) if call.is_json else "{"
    return Request(call.method, call.path, headers, body.encode())


def _in_query(value: Any) -> Any:
    return "" if value in (None, []) else value


def _sort_key(record: Json) -> str:
    return json.dumps(record, sort_keys=True)


def _stored(items: dict[Key, Item], kind: str) -> dict[str, tuple[Any, ...]]:
    """Return the table's records of a kind as the model has them."""
    found: dict[str, tuple[Any, ...]] = {}
    for key, item in items.items():
        if kind == "ENROLLMENT_AUTOMATION" and key.sk.startswith("ENROLLMENT_AUTOMATION#"):
            names = ["workspace_id", "user_identity_id", "credential_manager_acs_system_id", "created_at"]
            found[str(item["enrollment_automation_id"])] = tuple(item[name] for name in names)
        elif kind == key.sk == "USER_IDENTITY":
            names = ["workspace_id", "user_identity_key", "email_address", "phone_number", "full_name", "created_at"]
            listed = elements(item.get("acs_user_ids"))
            found[str(item["user_identity_id"])] = (*(item.get(name) for name in names), listed)
        elif kind == key.sk == "ACS_USER":
            names = ["workspace_id", "acs_system_id", "full_name", "email_address", "phone_number", "created_at"]
            names += ["user_identity_id", "access_starts_at", "access_ends_at"]
            found[str(item["acs_user_id"])] = tuple(item.get(name) for name in names)
        elif kind == key.sk == "ACS_SYSTEM":
            names = ["workspace_id", "name", "is_credential_manager", "created_at"]
            found[str(item["acs_system_id"])] = tuple(item[name] for name in names)
        elif kind == key.sk == "ACS_CREDENTIAL_POOL":
            names = ["workspace_id", "acs_system_id", "display_name", "created_at"]
            found[str(item["acs_credential_pool_id"])] = tuple(item[name] for name in names)
    return found
