"""Workspaces."""

from experiments.reliability.model.calls import Answer, Caller, Json
from experiments.reliability.model.inputs import READ, Route
from experiments.reliability.model.shapes import with_record, workspace_json
from experiments.reliability.model.state import State


def _get(state: State, caller: Caller, _: Json) -> Answer:
    return Answer(body=lambda: with_record("workspace", workspace_json(state.workspaces[caller.workspace])))


def _list(state: State, caller: Caller, _: Json) -> Answer:
    found = [workspace_json(state.workspaces[one]) for one in caller.workspaces]
    return Answer(body=None, listed=("workspaces", found), is_ordered=False)


ROUTES = {
    "/workspaces/get": Route(READ, {}, _get, for_sessions=True),
    "/workspaces/list": Route(READ, {}, _list, for_sessions=True, in_a_workspace=False),
}
