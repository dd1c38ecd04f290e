"""Client sessions: the use cases, on moto."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enrollment.callers import Caller
from enrollment.errors import (
    ClientSessionNotFound,
    ConnectedAccountNotFound,
    ConnectWebviewNotFound,
    EnrollmentError,
    InvalidInput,
    ServiceUnavailable,
    Unauthorized,
    UserIdentityNotFound,
)
from enrollment.resources.client_sessions import (
    ClientSession,
    ClientSessionRequest,
    CreateClientSessionRequest,
    GetClientSessionRequest,
    GrantAccessRequest,
    ListClientSessionsRequest,
)
from enrollment.store.actions import change
from enrollment.store.keys import client_session_key, token_key, user_identity_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import client_sessions
from enrollment.use_cases.client_session_items import end_sessions_of_user_identity
from enrollment.use_cases.tokens import authenticate
from tests.fixtures import MASTER, Store, Workspace
from tests.integration.conftest import UNKNOWN, Outage
from tests.invariants import violations


@dataclass(frozen=True)
class Sessions:
    """The calls of a token in its workspace.  Parameters go through the routes' models."""

    table: Table
    caller: Caller

    def create(self, *user_identity_ids: str, **more: Any) -> ClientSession:
        request = CreateClientSessionRequest.model_validate({"user_identity_ids": [*user_identity_ids], **more})
        return client_sessions.create(self.table, self.caller, request, master=MASTER)

    def get_or_create(self, *user_identity_ids: str, **more: Any) -> ClientSession:
        request = CreateClientSessionRequest.model_validate({"user_identity_ids": [*user_identity_ids], **more})
        return client_sessions.get_or_create(self.table, self.caller, request, master=MASTER)

    def get(self, **named: str) -> ClientSession:
        request = GetClientSessionRequest.model_validate(named)
        return client_sessions.get(self.table, self.caller, request, master=MASTER)

    def listed(self, **parameters: Any) -> list[str]:
        request = ListClientSessionsRequest.model_validate(parameters)
        page = client_sessions.list_page(self.table, self.caller, request, master=MASTER)
        return [session.client_session_id for session in page.records]

    def grant(self, *user_identity_ids: str, **more: Any) -> ClientSession:
        request = GrantAccessRequest.model_validate({"user_identity_ids": [*user_identity_ids], **more})
        return client_sessions.grant_access(self.table, self.caller, request, master=MASTER)

    def revoke(self, client_session_id: str) -> None:
        client_sessions.revoke(self.table, self.caller, ClientSessionRequest(client_session_id=client_session_id))

    def delete(self, client_session_id: str) -> None:
        client_sessions.delete(self.table, self.caller, ClientSessionRequest(client_session_id=client_session_id))

    def seen_by(self, session: ClientSession) -> set[str]:
        """Return the user identities that a session's token sees."""
        return set(authenticate(self.table, f"Bearer {session.token}", datetime.now(UTC)).principal.user_identity_ids)

    def itself(self, session: ClientSession) -> "Sessions":
        """Return the calls of a session's own token."""
        principal = authenticate(self.table, f"Bearer {session.token}", datetime.now(UTC)).principal
        return Sessions(self.table, principal.enter(None))

    def expire(self, session: ClientSession) -> None:
        ended = {"expires_at": timestamp(datetime.now(UTC) - timedelta(seconds=1))}
        keys = [client_session_key(session.workspace_id, session.client_session_id), token_of(session)]
        assert not self.table.transact({str(key): change(key, assign=ended) for key in keys})

    def mark_as_being_deleted(self, user_identity_id: str) -> None:
        key = user_identity_key(self.caller.workspace_id, user_identity_id)
        assert not self.table.transact({"mark": change(key, assign={"being_deleted_at": "2026-01-01T00:00:00.000Z"})})


def token_of(session: ClientSession) -> Any:
    return token_key(session.token.split("_")[1])


@pytest.fixture
def sessions(store: Store, workspace: Workspace) -> Sessions:
    return Sessions(store.table, Caller(workspace.workspace_id))


@pytest.fixture
def elsewhere(store: Store, other_workspace: Workspace) -> Sessions:
    return Sessions(store.table, Caller(other_workspace.workspace_id))


@pytest.fixture
def ann(workspace: Workspace) -> str:
    return workspace.user_identity()


@pytest.fixture
def bea(workspace: Workspace) -> str:
    return workspace.user_identity()


# -------------------------------------------------------------------------------------------------------------- create


def test_a_new_sessions_token_sees_its_user_identities(sessions: Sessions, ann: str, bea: str) -> None:
    created = sessions.create(ann, user_identity_id=bea)

    assert sessions.seen_by(created) == set(created.user_identity_ids) == {ann, bea}
    assert created.user_identity_id is None


def test_a_session_of_one_user_identity_names_it_in_both_ways(sessions: Sessions, ann: str) -> None:
    created = sessions.create(ann, user_identity_id=ann)

    assert (created.user_identity_id, created.user_identity_ids) == (ann, [ann])


def test_a_session_without_user_identities_sees_none(sessions: Sessions) -> None:
    assert sessions.seen_by(sessions.create()) == set()


def test_a_session_expires_after_a_year_unless_the_request_says_when(sessions: Sessions) -> None:
    by_default = datetime.fromisoformat(sessions.create().expires_at) - datetime.now(UTC)
    named = sessions.create(expires_at="2100-01-01T00:00:00+02:00").expires_at

    assert timedelta(days=364) < by_default <= timedelta(days=365)
    assert named == "2099-12-31T22:00:00.000Z"


def test_the_secret_is_in_every_answer_and_not_in_the_table(sessions: Sessions, store: Store, ann: str) -> None:
    created = sessions.create(ann, user_identifier_key="ann")
    session_id = created.client_session_id

    answers = [
        sessions.get(client_session_id=session_id),
        sessions.get_or_create(user_identifier_key="ann"),
        sessions.grant(client_session_id=session_id),
        sessions.itself(created).get(),
    ]

    assert answers == [created] * 4
    assert created.token.rpartition("_")[2] not in str(store.items())


def test_tokens_of_two_sessions_have_nothing_in_common(sessions: Sessions, ann: str) -> None:
    one, other = sessions.create(ann).token.split("_"), sessions.create(ann).token.split("_")

    assert (one[1] != other[1], one[2] != other[2]) == (True, True)


@pytest.fixture(params=["create", "get_or_create"])
def creation(request: pytest.FixtureRequest, sessions: Sessions) -> Callable[..., ClientSession]:
    made: Callable[..., ClientSession] = getattr(sessions, request.param)
    return made


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"connected_account_ids": ["x"]}, ConnectedAccountNotFound),
        ({"connect_webview_ids": ["x"]}, ConnectWebviewNotFound),
        ({"user_identity_id": UNKNOWN}, UserIdentityNotFound),
        ({"expires_at": "2020-01-01T00:00:00Z"}, InvalidInput),
    ],
)
def test_what_does_not_exist_creates_nothing(
    creation: Callable[..., ClientSession], store: Store, more: dict[str, Any], error: type[EnrollmentError]
) -> None:
    with pytest.raises(error):
        creation(**more)

    assert store.items() == {}


def test_empty_lists_of_what_does_not_exist_here_are_fine(creation: Callable[..., ClientSession]) -> None:
    assert creation(connected_account_ids=[], connect_webview_ids=[]).connected_account_ids == ()


def test_a_user_identity_of_another_workspace_does_not_exist(
    creation: Callable[..., ClientSession], other_workspace: Workspace
) -> None:
    foreign = other_workspace.user_identity()

    with pytest.raises(UserIdentityNotFound):
        creation(foreign)


def test_a_user_identity_that_is_being_deleted_does_not_exist(
    creation: Callable[..., ClientSession], sessions: Sessions, ann: str
) -> None:
    sessions.mark_as_being_deleted(ann)

    with pytest.raises(UserIdentityNotFound):
        creation(ann)


def test_a_user_identity_that_is_marked_during_the_request_gets_no_session(
    sessions: Sessions, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact = Table.transact

    def marked_first(table: Table, actions: Any) -> Any:
        monkeypatch.setattr(Table, "transact", transact)
        sessions.mark_as_being_deleted(ann)
        return table.transact(actions)

    monkeypatch.setattr(Table, "transact", marked_first)

    with pytest.raises(UserIdentityNotFound):
        sessions.create(ann)
    assert sessions.listed() == []


def test_a_session_has_40_user_identities_at_most(sessions: Sessions, workspace: Workspace) -> None:
    ids = [workspace.user_identity() for _ in range(41)]

    created = sessions.create(*ids[:40], user_identifier_key="k")

    assert len(created.user_identity_ids) == 40
    with pytest.raises(ValueError, match="40 user identities"):
        sessions.create(*ids[:40], user_identity_id=ids[40])
    with pytest.raises(InvalidInput, match="40 user identities"):
        sessions.grant(ids[40], client_session_id=created.client_session_id)


# ------------------------------------------------------------------------------------------------------- get_or_create


def test_the_same_request_gets_the_same_session(sessions: Sessions, ann: str, bea: str) -> None:
    first = sessions.get_or_create(ann, bea)

    assert sessions.get_or_create(bea, ann) == first
    assert sessions.listed() == [first.client_session_id]


def test_a_session_that_was_created_is_found_by_its_key_and_by_its_user_identities(
    sessions: Sessions, ann: str
) -> None:
    created = sessions.create(ann, user_identifier_key="ann")

    assert sessions.get_or_create(user_identifier_key="ann") == created
    assert sessions.get_or_create(ann) == created


def test_other_user_identities_or_another_key_get_another_session(sessions: Sessions, ann: str, bea: str) -> None:
    first = sessions.get_or_create(ann)

    others = [
        sessions.get_or_create(ann, bea),
        sessions.get_or_create(),
        sessions.get_or_create(ann, user_identifier_key="ann"),
    ]

    assert len({session.client_session_id for session in [first, *others]}) == 4


def test_a_session_found_by_its_key_is_granted_what_it_lacks(sessions: Sessions, ann: str, bea: str) -> None:
    first = sessions.get_or_create(ann, user_identifier_key="ann")

    again = sessions.get_or_create(bea, user_identifier_key="ann")

    assert (again.token, set(again.user_identity_ids)) == (first.token, {ann, bea})
    assert sessions.seen_by(again) == {ann, bea}


def test_a_new_end_applies_to_the_session_that_is_found(sessions: Sessions, ann: str) -> None:
    first = sessions.get_or_create(ann)

    again = sessions.get_or_create(ann, expires_at="2100-01-01T00:00:00Z")

    assert (again.token, again.expires_at) == (first.token, "2100-01-01T00:00:00.000Z")
    assert sessions.get(client_session_id=first.client_session_id) == again


@pytest.mark.parametrize(
    "end",
    [
        lambda sessions, session: sessions.revoke(session.client_session_id),
        lambda sessions, session: sessions.delete(session.client_session_id),
        lambda sessions, session: sessions.expire(session),
    ],
    ids=["revoked", "deleted", "expired"],
)
@pytest.mark.parametrize("more", [{}, {"user_identifier_key": "ann"}], ids=["user identities", "key"])
def test_a_session_that_has_ended_is_not_found(
    sessions: Sessions, ann: str, end: Callable[[Sessions, ClientSession], None], more: dict[str, str]
) -> None:
    first = sessions.get_or_create(ann, **more)
    end(sessions, first)

    second = sessions.get_or_create(ann, **more)

    assert second.client_session_id != first.client_session_id
    assert sessions.get_or_create(ann, **more) == second


@pytest.mark.parametrize("more", [{}, {"user_identifier_key": "ann"}], ids=["user identities", "key"])
def test_if_the_first_has_ended_another_live_one_is_found(sessions: Sessions, ann: str, more: dict[str, str]) -> None:
    first, second = sessions.create(ann, **more), sessions.create(ann, **more)
    assert sessions.get_or_create(ann, **more) == first

    sessions.revoke(first.client_session_id)

    assert [sessions.get_or_create(ann, **more) for _ in range(2)] == [second] * 2


def test_the_loser_of_two_at_once_gets_the_winners_session(
    sessions: Sessions, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact, winners = Table.transact, list[ClientSession]()

    def after_the_winner(table: Table, actions: Any) -> Any:
        monkeypatch.setattr(Table, "transact", transact)
        winners.append(sessions.get_or_create(ann))
        return table.transact(actions)

    monkeypatch.setattr(Table, "transact", after_the_winner)

    assert sessions.get_or_create(ann) == winners[0]
    assert sessions.listed() == [winners[0].client_session_id]


def test_a_session_revoked_during_the_request_is_not_granted_anything(
    sessions: Sessions, ann: str, bea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sessions.get_or_create(ann, user_identifier_key="ann")
    transact = Table.transact

    def revoked_first(table: Table, actions: Any) -> Any:
        monkeypatch.setattr(Table, "transact", transact)
        sessions.revoke(first.client_session_id)
        return table.transact(actions)

    monkeypatch.setattr(Table, "transact", revoked_first)

    second = sessions.get_or_create(bea, user_identifier_key="ann")

    assert (second.client_session_id != first.client_session_id, second.user_identity_ids) == (True, [bea])


def test_a_session_that_no_pointer_names_is_not_granted_anything_when_it_is_revoked_during_the_request(
    sessions: Sessions, ann: str, bea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.create(ann)
    second = sessions.create(ann).client_session_id
    transact = Table.transact

    def revoked_first(table: Table, actions: Any) -> Any:
        monkeypatch.setattr(Table, "transact", transact)
        sessions.revoke(second)
        return table.transact(actions)

    monkeypatch.setattr(Table, "transact", revoked_first)

    with pytest.raises(ClientSessionNotFound):
        sessions.grant(bea, client_session_id=second)


def test_an_end_in_the_past_is_refused_whether_or_not_the_user_identities_exist(sessions: Sessions) -> None:
    for creation in (sessions.create, sessions.get_or_create):
        with pytest.raises(InvalidInput, match="expires_at"):
            creation(UNKNOWN, expires_at="2020-01-01T00:00:00.000Z")


def test_another_workspace_has_sessions_of_its_own(sessions: Sessions, elsewhere: Sessions) -> None:
    here, there = (one.get_or_create(user_identifier_key="k") for one in (sessions, elsewhere))

    assert here.client_session_id != there.client_session_id
    for call in (
        lambda: elsewhere.get(client_session_id=here.client_session_id),
        lambda: elsewhere.grant(client_session_id=here.client_session_id),
        lambda: elsewhere.revoke(here.client_session_id),
        lambda: elsewhere.delete(here.client_session_id),
    ):
        with pytest.raises(ClientSessionNotFound):
            call()
    assert elsewhere.listed() == [there.client_session_id]


# ----------------------------------------------------------------------------------------------------------------- get


def test_a_session_gets_itself_and_no_other(sessions: Sessions, ann: str) -> None:
    created, other = sessions.create(ann, user_identifier_key="ann"), sessions.create(user_identifier_key="other")
    itself = sessions.itself(created)

    answers = [
        itself.get(),
        itself.get(client_session_id=created.client_session_id),
        itself.get(user_identifier_key="ann"),
    ]

    assert answers == [created] * 3
    with pytest.raises(ClientSessionNotFound):
        itself.get(client_session_id=other.client_session_id)
    with pytest.raises(ClientSessionNotFound):
        itself.get(user_identifier_key="other")


def test_a_session_of_an_older_release_gets_nothing(sessions: Sessions) -> None:
    old = Sessions(sessions.table, Caller(sessions.caller.workspace_id, frozenset(), "cst1Unknown1"))

    with pytest.raises(ClientSessionNotFound):
        old.get()


def test_a_server_has_to_name_the_session(sessions: Sessions) -> None:
    with pytest.raises(InvalidInput, match="Specify client_session_id or user_identifier_key"):
        sessions.get()


def test_both_names_have_to_fit(sessions: Sessions) -> None:
    created = sessions.create(user_identifier_key="a")

    assert sessions.get(client_session_id=created.client_session_id, user_identifier_key="a") == created
    with pytest.raises(ClientSessionNotFound):
        sessions.get(client_session_id=created.client_session_id, user_identifier_key="b")


def test_of_several_with_a_key_a_live_one_is_got_and_else_an_expired_one(sessions: Sessions) -> None:
    first, second = (sessions.create(user_identifier_key="k") for _ in range(2))
    sessions.expire(first)

    assert sessions.get(user_identifier_key="k") == second
    sessions.revoke(second.client_session_id)
    assert sessions.get(user_identifier_key="k").client_session_id == first.client_session_id


# ---------------------------------------------------------------------------------------------------------------- list


def test_a_list_has_the_newest_first_in_pages(sessions: Sessions) -> None:
    ids = [sessions.create().client_session_id for _ in range(3)]
    request = ListClientSessionsRequest(limit=2)

    first = client_sessions.list_page(sessions.table, sessions.caller, request, master=MASTER)
    last = client_sessions.list_page(sessions.table, sessions.caller, request, first.next_position, master=MASTER)

    found = [session.client_session_id for session in [*first.records, *last.records]]
    assert (set(found), len(first.records), last.next_position) == (set(ids), 2, None)
    positions = [(session.created_at, session.client_session_id) for session in [*first.records, *last.records]]
    assert positions == sorted(positions, reverse=True)


def test_filters_find_what_they_name(sessions: Sessions, ann: str, bea: str) -> None:
    anns = sessions.create(ann, user_identifier_key="ann").client_session_id
    both = sessions.create(ann, bea).client_session_id
    nobodys = sessions.create().client_session_id
    every = {anns, both, nobodys}
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "ann's": {"user_identity_id": ann},
        "bea's": {"user_identity_id": bea},
        "nobody's": {"user_identity_id": None},
        "by key": {"user_identifier_key": "ann"},
        "another's key": {"user_identifier_key": "bea"},
        "without key": {"without_user_identifier_key": True},
        "with or without key": {"without_user_identifier_key": False},
        "by id": {"client_session_id": both},
        "not an id": {"client_session_id": "x"},
        "not an identity": {"user_identity_id": "x"},
        "of a webview": {"connect_webview_id": "x"},
        "of no webview": {"connect_webview_id": None},
        "ann's without key": {"user_identity_id": ann, "without_user_identifier_key": True},
        "by id and key": {"client_session_id": both, "user_identifier_key": "ann"},
    }

    found = {text: set(sessions.listed(**named)) for text, named in filters.items()}

    assert found == {
        "all": every,
        "ann's": {anns, both},
        "bea's": {both},
        "nobody's": {nobodys},
        "by key": {anns},
        "another's key": set(),
        "without key": {both, nobodys},
        "with or without key": every,
        "by id": {both},
        "not an id": set(),
        "not an identity": set(),
        "of a webview": set(),
        "of no webview": every,
        "ann's without key": {both},
        "by id and key": set(),
    }


def test_filters_find_ids_in_any_case(sessions: Sessions, ann: str) -> None:
    created = sessions.create(ann).client_session_id

    assert sessions.listed(client_session_id=created.upper()) == [created]
    assert sessions.listed(user_identity_id=ann.upper()) == [created]


def test_an_expired_session_is_listed_and_a_revoked_one_is_not(sessions: Sessions) -> None:
    expired, revoked = sessions.create(), sessions.create()
    sessions.expire(expired)
    sessions.revoke(revoked.client_session_id)

    assert sessions.listed() == [expired.client_session_id]


# -------------------------------------------------------------------------------------------------------- grant_access


@pytest.mark.parametrize("by", ["client_session_id", "user_identifier_key"])
def test_what_is_granted_is_seen(sessions: Sessions, ann: str, bea: str, by: str) -> None:
    created = sessions.create(ann, user_identifier_key="ann")

    granted = sessions.grant(bea, **{by: str(getattr(created, by))})

    assert (granted.token, sessions.seen_by(granted)) == (created.token, {ann, bea})
    assert sessions.listed(user_identity_id=bea) == [created.client_session_id]


def test_after_a_grant_a_session_is_found_by_what_it_has_now(sessions: Sessions, ann: str, bea: str) -> None:
    created = sessions.create(ann)

    sessions.grant(bea, client_session_id=created.client_session_id)

    assert sessions.get_or_create(ann, bea).client_session_id == created.client_session_id
    assert sessions.get_or_create(ann).client_session_id != created.client_session_id


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"user_identity_id": UNKNOWN}, UserIdentityNotFound),
        ({"connected_account_ids": ["x"]}, ConnectedAccountNotFound),
        ({"connect_webview_ids": ["x"]}, ConnectWebviewNotFound),
    ],
)
def test_what_does_not_exist_is_not_granted(
    sessions: Sessions, store: Store, more: dict[str, Any], error: type[EnrollmentError]
) -> None:
    created = sessions.create()
    before = store.items()

    with pytest.raises(error):
        sessions.grant(client_session_id=created.client_session_id, **more)

    assert store.items() == before


# -------------------------------------------------------------------------------------------------- revoke and delete


def test_a_revoked_session_is_refused_and_not_found_but_can_be_deleted(sessions: Sessions, store: Store) -> None:
    created = sessions.create(user_identifier_key="k")

    sessions.revoke(created.client_session_id)
    sessions.revoke(created.client_session_id)

    with pytest.raises(Unauthorized, match="Client session has been revoked"):
        sessions.seen_by(created)
    with pytest.raises(ClientSessionNotFound):
        sessions.get(client_session_id=created.client_session_id)
    with pytest.raises(ClientSessionNotFound):
        sessions.get(user_identifier_key="k")
    with pytest.raises(ClientSessionNotFound):
        sessions.grant(client_session_id=created.client_session_id)
    sessions.delete(created.client_session_id)
    assert store.items() == {}


def test_nothing_is_left_of_a_deleted_session(sessions: Sessions, store: Store, ann: str, bea: str) -> None:
    before = store.items()
    created = sessions.create(ann, bea, user_identifier_key="k")

    sessions.delete(created.client_session_id)

    assert store.items() == before
    with pytest.raises(Unauthorized, match=r"Unauthorized \(client session not found\)"):
        sessions.seen_by(created)
    with pytest.raises(ClientSessionNotFound):
        sessions.delete(created.client_session_id)


def test_a_deleted_session_leaves_another_ones_way_to_be_found(sessions: Sessions, ann: str) -> None:
    first, second = (sessions.create(ann, user_identifier_key="k") for _ in range(2))

    sessions.delete(second.client_session_id)

    assert sessions.get_or_create(ann) == sessions.get_or_create(user_identifier_key="k") == first


def test_an_expired_session_is_refused(sessions: Sessions) -> None:
    created = sessions.create()

    sessions.expire(created)

    with pytest.raises(Unauthorized, match="Client session has expired"):
        sessions.seen_by(created)


# -------------------------------------------------------------------------------------- the end of a user identity


def test_with_its_only_user_identity_a_session_ends(sessions: Sessions, store: Store, ann: str, bea: str) -> None:
    beas = sessions.create(bea)
    kept = store.items()
    sessions.create(ann, user_identifier_key="ann")
    sessions.revoke(sessions.create(ann).client_session_id)

    for _ in range(2):
        end_sessions_of_user_identity(store.table, sessions.caller.workspace_id, ann)

    assert store.items() == kept
    assert sessions.seen_by(beas) == {bea}


def test_a_session_with_another_user_identity_goes_on_without_the_first(
    sessions: Sessions, store: Store, ann: str, bea: str
) -> None:
    both = sessions.create(ann, bea)

    end_sessions_of_user_identity(store.table, sessions.caller.workspace_id, ann)

    assert sessions.seen_by(both) == {bea}
    assert sessions.get(client_session_id=both.client_session_id).user_identity_ids == [bea]
    assert sessions.listed(user_identity_id=ann) == []


@pytest.mark.parametrize("requests", range(7))
def test_an_interrupted_end_is_finished_by_the_next_call(
    sessions: Sessions, store: Store, outage: Outage, ann: str, bea: str, requests: int
) -> None:
    sessions.create(ann, user_identifier_key="ann")
    both = sessions.create(ann, bea)
    workspace_id = sessions.caller.workspace_id
    outage.left = requests

    with pytest.raises(ServiceUnavailable):
        end_sessions_of_user_identity(store.table, workspace_id, ann)
    outage.left = None
    assert violations(store.items()) == []
    end_sessions_of_user_identity(store.table, workspace_id, ann)

    assert sessions.listed() == [both.client_session_id]
    assert sessions.seen_by(both) == {bea}
