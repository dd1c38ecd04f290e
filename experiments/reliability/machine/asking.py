"""Asking the service and the model, and comparing what they answer."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, override
from urllib.parse import urlsplit
from uuid import uuid4

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

from enrollment.callers import TokenKind
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import NewToken, create_token
from experiments.reliability.machine.directory import put_directory, put_sandbox
from experiments.reliability.machine.requests import replaced, sort_key, to_request
from experiments.reliability.machine.service import Counts, Service
from experiments.reliability.model.automations import AUTOMATIONS
from experiments.reliability.model.calls import Answer, Call, Json
from experiments.reliability.model.contract import ROUTES, answer
from experiments.reliability.model.records import Pool, System, Thing, Token, Workspace
from experiments.reliability.model.state import State

if TYPE_CHECKING:
    from experiments.reliability.machine.open_list import OpenList

OK = 200
UNKNOWN = "00000000-0000-4000-8000-000000000000"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MOST_PAGES = 200
# After them a token is asked about anew, as if the time had passed for which the gateway keeps the authorizer's answer.
_CHANGES_SESSIONS = {
    "/client_sessions/get_or_create",
    "/client_sessions/grant_access",
    "/client_sessions/revoke",
    "/client_sessions/delete",
    "/user_identities/delete",
}


class Asking(RuleBasedStateMachine):
    """Two workspaces, with some ACS systems and pools, which no route creates."""

    def __init__(self, service: Service, counts: Counts) -> None:
        super().__init__()
        self.service = service
        self.counts = counts
        self.model = State()
        self.workspaces = [str(uuid4()), str(uuid4())]
        self.open_lists: list[OpenList] = []
        service.clear()
        for workspace in self.workspaces:
            self._issue(TokenKind.API_KEY, [workspace])
            put_directory(service.table, self.model, workspace)
        put_sandbox(service.table, self.model, self.workspaces[0])
        self.model.workspaces[self.workspaces[1]] = Workspace(self.workspaces[1], self.workspaces[1], is_sandbox=False)
        self.person = self._issue(TokenKind.PERSONAL_ACCESS_TOKEN, self.workspaces)
        counts.examples += 1
        counts.steps -= 1  # the table is looked at before the first step, too
        self._begin()

    def _begin(self) -> None:
        """Have one person go through what follows a launch, so that few sequences have nothing of it."""
        identity = {"user_identity_id": self.pick("key 0", 0, self.model.identities)}
        manager_id = self.pick("key 0", 0, self.model.systems, lambda one: one.is_manager)
        launch = {"credential_manager_acs_system_id": manager_id, "create_credential_manager_user": True}
        kind = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True, "acs_system_id": manager_id}
        self.ask("key 0", 0, f"{AUTOMATIONS}/launch", {**identity, **launch})
        self.ask("key 0", 0, "/acs/credentials/create", {**identity, **kind})
        self.ask("key 0", 0, "/client_sessions/create", identity)
        self.ask("key 0", 0, "/phones/simulate/create_sandbox_phone", identity)

    @override
    def teardown(self) -> None:
        self.service.clear()

    # Asking

    def ask(self, who: str, method: int, path: str, parameters: Json) -> None:
        """Have a request answered by both, and compare the answers."""
        self._answer(self._call(who, method, path, parameters))

    def ask_about_identity(self, who: str, method: int, path: str, identity: int | str) -> None:
        self.ask(who, method, path, {"user_identity_id": self.pick(who, identity, self.model.identities)})

    def pick[T: Thing | System | Pool](
        self,
        who: str,
        which: int | str,
        things: Sequence[T],
        is_suited: Callable[[T], bool] = lambda _: True,
    ) -> str:
        """Return an id as drawn, in the workspace that the request is for."""
        workspace = self._workspace(who)
        here = [one for one in things if one.workspace == workspace]
        suited = [one for one in here if is_suited(one)]
        candidates: Sequence[Thing | System | Pool] = suited
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
        expected = answer(self.model, call)
        before = timestamp(datetime.now(UTC))
        status, body = self.service.send(to_request(call))
        after = timestamp(datetime.now(UTC))
        self._count(call, status, body)
        note(f"  {call.method} {call.path} {call.parameters} of {call.token} in {call.workspace}: {status} {body}")
        said = f"{status} {body}"
        if expected.errors:
            assert status != OK, f"{said} instead of {expected.errors}"
            error = body["error"]
            told = (status, error["type"], error.get("data", {}))
            assert told in expected.errors, f"{said} instead of {expected.errors}"
            assert set(error.get("validation_errors", {})) - {"_errors"} == expected.fields, said
            return
        assert status == OK, f"{said} instead of a result"
        assert body["ok"] is True
        expected.learn(body)
        if expected.ask is not None:
            expected.tell(self._told(call, *expected.ask()))
        if call.path in _CHANGES_SESSIONS:
            self.service.outlast_decisions()
        while self.model.new:
            created_at = self.model.new.pop().created_at
            assert _MOMENT.fullmatch(created_at)
            assert before <= created_at <= after
        if expected.body is None:
            self._compare_list(call, expected, body)
        else:
            assert body == expected.body(), f"{body} instead of {expected.body()}"

    def _told(self, call: Call, path: str, parameters: Json) -> Json:
        """Ask with the API key of the workspace that a call was for."""
        token = next(one for one in self.model.tokens if one.text == call.token)
        workspace = call.workspace if token.kind == TokenKind.PERSONAL_ACCESS_TOKEN else token.workspaces[0]
        key = self.model.tokens[self.workspaces.index(str(workspace))]
        status, told = self.service.send(to_request(Call("POST", path, parameters, key.text)))
        assert status == OK, told
        return told

    def _compare_list(self, call: Call, expected: Answer, body: Json) -> None:
        name, wanted = expected.listed
        records = list(body[name])
        limit = call.parameters.get("limit", 1000)
        assert len(records) <= limit
        for _ in range(_MOST_PAGES):
            pagination = body.get("pagination", {"has_next_page": False})
            if not pagination["has_next_page"]:
                break
            request = to_request(replaced(call, page_cursor=pagination["next_page_cursor"]))
            if call.method == "GET":  # the address of the next page, as it is
                url = urlsplit(pagination["next_page_url"])
                request = to_request(call, target=f"{url.path}?{url.query}")
            status, body = self.service.send(request)
            assert status == OK, body
            assert len(body[name]) <= limit
            records += body[name]
        else:
            raise AssertionError("the list does not end")
        in_any_order = sorted(map(sort_key, wanted))
        assert sorted(map(sort_key, records)) == in_any_order, f"{records} instead of {list(wanted)}"
        if expected.is_ordered:
            ages = [one["created_at"] for one in records]
            assert ages == sorted(ages, reverse=True), f"not newest first: {ages}"

    def _count(self, call: Call, status: int, body: Json) -> None:
        is_route = call.path in ROUTES and call.method in ROUTES[call.path].methods
        self.counts.operations[f"{call.method} {call.path}" if is_route else "no route"] += 1
        self.counts.outcomes["result" if status == OK else body["error"]["type"]] += 1

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
        """Return the first tokens if any kind is asked for, else the newest client sessions, good ones if there are."""
        if kind == "issued":
            return self._issued()[which % len(self._issued())] if self._issued() else None
        sessions = [one for one in self._issued() if one.kind == TokenKind.CLIENT_SESSION]
        newest = ([one for one in sessions if one.is_good] or sessions)[::-1]
        return newest[which % len(newest)] if newest else None

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
        things: Sequence[Thing] = (),
    ) -> Json:
        filters: Json = {}
        if limit is not None:
            filters["limit"] = limit
        if search is not None:
            filters["search"] = search
        if isinstance(before, int) and things:
            filters["created_before"] = things[before % len(things)].created_at
        return filters

    def _issue(self, kind: TokenKind, workspaces: Sequence[str], identities: Sequence[str] = ()) -> Token:
        text = create_token(self.service.table, NewToken(kind, workspaces, identities))
        token = Token(text, kind.value, tuple(workspaces), tuple(identities))
        self.model.tokens.append(token)
        return token
