"""Requests of no route, or without what their route requires."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import WHO
from experiments.reliability.model.calls import Call, Json
from experiments.reliability.model.contract import ROUTES


class OddRequestRules(Asking):
    """Requests of no route, or without what their route requires."""

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
