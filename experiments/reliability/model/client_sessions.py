"""Client sessions."""

from collections.abc import Callable, Sequence
from datetime import datetime

from experiments.reliability.model.calls import Answer, Caller, Json, Refusal, any_of, not_found
from experiments.reliability.model.inputs import DELETE, PAGED, READ, Route, is_ahead
from experiments.reliability.model.records import ClientSession, Token
from experiments.reliability.model.shapes import client_session_json, with_record
from experiments.reliability.model.state import State

_DAYS_OF_A_YEAR = (365, 366)


def _create(state: State, caller: Caller, parameters: Json) -> Answer:
    return _with_new(state, _asked_for(state, caller, parameters))


def _get_or_create(state: State, caller: Caller, parameters: Json) -> Answer:
    wanted = _asked_for(state, caller, parameters)
    found = [
        one
        for one in state.shown_sessions(caller.workspace)
        if not one.is_expired
        and (one.key == wanted.key if wanted.key is not None else one.identities == wanted.identities)
    ]
    if not found:
        return _with_new(state, wanted)

    def change(one: ClientSession) -> None:
        one.identities |= wanted.identities
        one.expires_at = wanted.expires_at or one.expires_at

    return _with_one_of(found, change)


def _get(state: State, caller: Caller, parameters: Json) -> Answer:
    if caller.sees is None and not parameters.keys() & {"client_session_id", "user_identifier_key"}:
        raise Refusal(400, ("invalid_input", {}))
    return _with_one_of(_named(state, caller, parameters))


def _list(state: State, caller: Caller, parameters: Json) -> Answer:
    found = [client_session_json(one) for one in state.shown_sessions(caller.workspace) if _is_listed(one, parameters)]
    return Answer(body=None, listed=("client_sessions", found))


def _is_listed(one: ClientSession, parameters: Json) -> bool:
    identity_id = parameters.get("user_identity_id")
    return (
        parameters.get("client_session_id", one.id).lower() == one.id
        and parameters.get("user_identifier_key", one.key) == one.key
        and not (parameters.get("without_user_identifier_key") and one.key is not None)
        and (identity_id is None or identity_id.lower() in one.identities)
        and not ("user_identity_id" in parameters and identity_id is None and one.identities)
        and parameters.get("connect_webview_id") is None
    )


def _grant_access(state: State, caller: Caller, parameters: Json) -> Answer:
    refusals = []
    try:
        found = _named(state, caller, parameters)
    except Refusal as refusal:
        refusals.append(refusal)
    try:
        granted = _identities(state, caller, parameters)
    except Refusal as refusal:
        refusals.append(refusal)
    if refusals:
        raise any_of(refusals)
    return _with_one_of(found, lambda one: one.identities.update(granted))


def _revoke(state: State, caller: Caller, parameters: Json) -> Answer:
    state.end(_any_session(state, caller, parameters["client_session_id"]))
    return Answer()


def _delete(state: State, caller: Caller, parameters: Json) -> Answer:
    state.forget_session(_any_session(state, caller, parameters["client_session_id"]))
    return Answer()


def _any_session(state: State, caller: Caller, session_id: str) -> ClientSession:
    """Return a session, which may be revoked."""
    for session in state.sessions:
        if (session.workspace, session.id) == (caller.workspace, session_id.lower()):
            return session
    raise not_found("client_session")


def _named(state: State, caller: Caller, parameters: Json) -> list[ClientSession]:
    """Return the sessions that a request can mean: there may be several of one key.  Those that live come first."""
    found = [
        one
        for one in state.shown_sessions(caller.workspace)
        if (caller.sees is None or one is caller.session)
        and parameters.get("client_session_id", one.id).lower() == one.id
        and parameters.get("user_identifier_key", one.key) == one.key
    ]
    if not found:
        raise not_found("client_session")
    return [one for one in found if not one.is_expired] or found


def _asked_for(state: State, caller: Caller, parameters: Json) -> ClientSession:
    identities = _identities(state, caller, parameters)
    return ClientSession(
        caller.workspace, parameters.get("user_identifier_key"), identities, parameters.get("expires_at", "")
    )


def _identities(state: State, caller: Caller, parameters: Json) -> set[str]:
    """Return the ids of the user identities that a request names."""
    refusals = []
    if parameters.get("connected_account_ids"):
        refusals.append(not_found("connected_account"))
    if parameters.get("connect_webview_ids"):
        refusals.append(not_found("connect_webview"))
    identities = set()
    named = [parameters["user_identity_id"]] if "user_identity_id" in parameters else []
    for identity_id in [*named, *parameters.get("user_identity_ids", [])]:
        try:
            identities.add(state.identity(caller, identity_id).id)
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise any_of(refusals)
    return identities


def _with_new(state: State, new: ClientSession) -> Answer:
    def learn(body: Json) -> None:
        record = body["client_session"]
        state.learn(new, record["client_session_id"], record["created_at"])
        if not new.expires_at:
            new.expires_at = record["expires_at"]
            lifetime = datetime.fromisoformat(new.expires_at) - datetime.fromisoformat(new.created_at)
            assert lifetime.days in _DAYS_OF_A_YEAR, f"{record} does not last a year"
        new.token = record["token"]
        assert new.token not in {token.text for token in state.tokens}, "a token is given twice"
        state.sessions.append(new)
        state.tokens.append(Token(new.token, "client_session", (new.workspace,), session=new))

    return Answer(learn=learn, body=lambda: with_record("client_session", client_session_json(new)))


def _with_one_of(found: Sequence[ClientSession], change: Callable[[ClientSession], object] = lambda _: None) -> Answer:
    """Answer with one of the sessions that are meant, after a change."""
    chosen: list[ClientSession] = []

    def learn(body: Json) -> None:
        session_id = body["client_session"]["client_session_id"]
        chosen.extend(one for one in found if one.id == session_id)
        assert chosen, f"{session_id} is none of {[one.id for one in found]}"
        change(chosen[0])

    return Answer(learn=learn, body=lambda: with_record("client_session", client_session_json(chosen[0])))


_SESSION = {"client_session_id": "uuid*"}
_ID_OR_KEY = {"client_session_id": "uuid", "user_identifier_key": "text"}
_ACCESS = {
    "user_identity_id": "uuid",
    "user_identity_ids": "uuids",
    "connected_account_ids": "texts",
    "connect_webview_ids": "texts",
}
_NEW = {**_ACCESS, "user_identifier_key": "text", "expires_at": "moment"}
_EXPIRES_LATER = [(lambda given: is_ahead(given, "expires_at"), "expires_at")]
ROUTES = {
    "/client_sessions/create": Route(("PUT", "POST"), _NEW, _create, rules=_EXPIRES_LATER),
    "/client_sessions/get_or_create": Route(("POST",), _NEW, _get_or_create, rules=_EXPIRES_LATER),
    "/client_sessions/get": Route(READ, _ID_OR_KEY, _get, for_sessions=True),
    "/client_sessions/list": Route(
        READ,
        {
            "client_session_id": "text",
            "user_identifier_key": "text",
            "without_user_identifier_key": "boolean",
            "user_identity_id": "filter?",
            "connect_webview_id": "filter?",
            **PAGED,
        },
        _list,
    ),
    "/client_sessions/grant_access": Route(
        ("PATCH", "POST"),
        {**_ID_OR_KEY, **_ACCESS},
        _grant_access,
        rules=[(lambda given: bool(given.keys() & _ID_OR_KEY.keys()), None)],
    ),
    "/client_sessions/revoke": Route(("POST",), _SESSION, _revoke),
    "/client_sessions/delete": Route(DELETE, _SESSION, _delete),
}
