"""Workspaces."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import METHOD, READER


class WorkspaceRules(Asking):
    """Workspaces."""

    @rule(who=READER, method=METHOD, path=st.sampled_from(["get", "list"]))
    def read_workspaces(self, who: str, method: int, path: str) -> None:
        self.ask(who, method, f"/workspaces/{path}", {})
