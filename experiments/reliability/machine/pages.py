"""Pages of one list, with anything in between."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import METHOD
from experiments.reliability.machine.open_list import OpenList
from experiments.reliability.machine.requests import to_request
from experiments.reliability.model.calls import Call, Json
from experiments.reliability.model.contract import answer


class PageRules(Asking):
    """Pages of one list, with anything in between."""

    @rule(who=st.sampled_from(["key 0", "key 0", "person 1"]), limit=st.sampled_from([1, 2, 3]), users=st.booleans())
    def begin_list(self, who: str, limit: int, users: bool) -> None:  # noqa: FBT001 - drawn
        id_name = "acs_user_id" if users else "user_identity_id"
        path = "/acs/users/list" if users else "/user_identities/list"
        call = self._call(who, 1, path, {"limit": limit})
        status, body = self.service.send(to_request(call))
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
        status, body = self.service.send(to_request(call))
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
        status, body = self.service.send(to_request(call))
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
        _, records = answer(self.model, call).listed
        return {one[id_name] for one in records}
