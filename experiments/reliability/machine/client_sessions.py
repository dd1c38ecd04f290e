"""Client sessions, which then call the other routes themselves."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from experiments.reliability.machine.asking import UNKNOWN, Asking
from experiments.reliability.machine.drawn import LIMIT, METHOD, READER, WHICH, WHICH_IF_ANY, WHO
from experiments.reliability.model.calls import Json

_USER = st.sampled_from([None, None, "user 1", "user 2"])
_IDENTITIES = st.lists(WHICH, max_size=2)
_ACCESS_TO_NOTHING = st.sampled_from(
    [{}] * 20
    + [{"connected_account_ids": []}, {"connected_account_ids": [UNKNOWN]}, {"connect_webview_ids": [UNKNOWN, "x"]}]
)
_END = st.sampled_from([None] * 10 + ["2999-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"])


class ClientSessionRules(Asking):
    """Client sessions, which then call the other routes themselves."""

    @rule(
        who=WHO,
        method=METHOD,
        identities=_IDENTITIES,
        identity=WHICH_IF_ANY,
        user=_USER,
        other=_ACCESS_TO_NOTHING,
        expires_at=_END,
    )
    def create_client_session(
        self,
        who: str,
        method: int,
        identities: list[int | str],
        identity: int | str | None,
        user: str | None,
        other: Json,
        expires_at: str | None,
    ) -> None:
        parameters = {**self._access(who, identities, identity), **_given(user, expires_at), **other}
        self.ask(who, method, "/client_sessions/create", parameters)

    # Few of them, so that one is found again.
    @rule(who=WHO, identities=st.lists(st.integers(0, 1), max_size=2), user=_USER, repeats=st.integers(1, 2))
    def get_or_create_client_session(self, who: str, identities: list[int], user: str | None, repeats: int) -> None:
        parameters = {**self._access(who, list(identities), None), **_given(user, None)}
        for _ in range(repeats):
            self.ask(who, 0, "/client_sessions/get_or_create", parameters)

    @rule(who=WHO, identities=_IDENTITIES, identity=WHICH_IF_ANY, user=_USER, other=_ACCESS_TO_NOTHING, expires_at=_END)
    def get_or_create_any_client_session(
        self,
        who: str,
        identities: list[int | str],
        identity: int | str | None,
        user: str | None,
        other: Json,
        expires_at: str | None,
    ) -> None:
        parameters = {**self._access(who, identities, identity), **_given(user, expires_at), **other}
        self.ask(who, 0, "/client_sessions/get_or_create", parameters)

    @rule(who=READER, method=METHOD, session=st.one_of(st.none(), WHICH, WHICH), user=_USER)
    def get_client_session(self, who: str, method: int, session: int | str | None, user: str | None) -> None:
        self.ask(who, method, "/client_sessions/get", self._named_session(who, session, user))

    @rule(
        who=WHO,
        method=METHOD,
        limit=LIMIT,
        session=WHICH_IF_ANY,
        user=_USER,
        without_user=st.sampled_from([None, None, None, True, False]),
        identity=WHICH_IF_ANY,
        other=st.sampled_from(
            [{}] * 9 + [{"user_identity_id": None}, {"connect_webview_id": None}, {"connect_webview_id": UNKNOWN}]
        ),
    )
    def list_client_sessions(
        self,
        who: str,
        method: int,
        limit: int | None,
        session: int | str | None,
        user: str | None,
        without_user: bool | None,  # noqa: FBT001 - drawn
        identity: int | str | None,
        other: Json,
    ) -> None:
        parameters = {**self._filters(limit), **_given(user, None), **other}
        if session is not None:
            parameters["client_session_id"] = self.pick(who, session, self.model.sessions)
        if without_user is not None:
            parameters["without_user_identifier_key"] = without_user
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        self.ask(who, method, "/client_sessions/list", parameters)

    @rule(
        who=WHO,
        method=METHOD,
        session=st.one_of(st.none(), WHICH, WHICH, WHICH),
        user=_USER,
        identities=_IDENTITIES,
        other=_ACCESS_TO_NOTHING,
    )
    def grant_access(
        self,
        who: str,
        method: int,
        session: int | str | None,
        user: str | None,
        identities: list[int | str],
        other: Json,
    ) -> None:
        parameters = {**self._named_session(who, session, user), **self._access(who, identities, None), **other}
        self.ask(who, method, "/client_sessions/grant_access", parameters)

    @precondition(lambda self: self.model.sessions)
    @rule(who=WHO, method=METHOD, session=WHICH, deletes=st.booleans())
    def end_client_session(
        self,
        who: str,
        method: int,
        session: int | str,
        deletes: bool,  # noqa: FBT001 - drawn
    ) -> None:
        parameters = {"client_session_id": self.pick(who, session, self.model.sessions)}
        self.ask(who, method, f"/client_sessions/{'delete' if deletes else 'revoke'}", parameters)

    def _access(self, who: str, identities: list[int | str], identity: int | str | None) -> Json:
        parameters: Json = {}
        if identities:
            parameters["user_identity_ids"] = [self.pick(who, one, self.model.identities) for one in identities]
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        return parameters

    def _named_session(self, who: str, session: int | str | None, user: str | None) -> Json:
        parameters = _given(user, None)
        if session is not None:
            parameters["client_session_id"] = self.pick(who, session, self.model.sessions)
        return parameters


def _given(user: str | None, expires_at: str | None) -> Json:
    parameters: Json = {}
    if user is not None:
        parameters["user_identifier_key"] = user
    if expires_at is not None:
        parameters["expires_at"] = expires_at
    return parameters
