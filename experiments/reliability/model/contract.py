"""Which part of the model answers a call, and for whom."""

from experiments.reliability.model import (
    acs,
    automations,
    client_sessions,
    credentials,
    events,
    phones,
    user_identities,
    webhooks,
    workspaces,
)
from experiments.reliability.model.calls import Answer, Call, Caller, Refusal, not_found
from experiments.reliability.model.inputs import Route, check_body, check_input
from experiments.reliability.model.state import State

ROUTES: dict[str, Route] = {
    **automations.ROUTES,
    **user_identities.ROUTES,
    **acs.ROUTES,
    **events.ROUTES,
    **webhooks.ROUTES,
    **workspaces.ROUTES,
    **client_sessions.ROUTES,
    **phones.ROUTES,
    **credentials.ROUTES,
}


def answer(state: State, call: Call) -> Answer:
    """Return what the contract says to a call, and have its effects."""
    try:
        route = ROUTES.get(call.path)
        if route is None or call.method not in route.methods:
            raise not_found("route")
        caller = _authenticate(state, call, route)
        check_body(call)
        check_input(route, call.parameters)
        return route.answer(state, caller, call.parameters)
    except Refusal as refusal:
        return refusal.answer


def _authenticate(state: State, call: Call, route: Route) -> Caller:
    token = next((token for token in state.tokens if token.text == call.token and token.is_good), None)
    if token is None:
        raise Refusal(401, ("unauthorized", {}))
    if token.kind == "client_session":
        if not route.for_sessions:
            raise Refusal(401, ("unauthorized", {}))
        session = token.session
        sees = token.identities if session is None else session.identities
        return Caller(token.workspaces[0], frozenset(sees), session, token.workspaces)
    if not route.for_servers:
        raise Refusal(401, ("unauthorized", {}))
    if token.kind == "api_key" or not route.in_a_workspace:
        return Caller(token.workspaces[0], workspaces=token.workspaces)
    if call.workspace is None or call.workspace not in token.workspaces:
        raise Refusal(401, ("unauthorized", {}))
    return Caller(call.workspace, workspaces=token.workspaces)
