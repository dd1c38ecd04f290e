"""Webhooks."""

from experiments.reliability.model.calls import Answer, Caller, Json, Refusal, not_found
from experiments.reliability.model.inputs import DELETE, READ, Route
from experiments.reliability.model.state import State

_MOST_WEBHOOKS = 50


def _webhook(state: State, caller: Caller, webhook_id: str) -> Json:
    for workspace, webhook in state.webhooks:
        if (workspace, webhook["webhook_id"]) == (caller.workspace, webhook_id.lower()):
            return webhook
    raise not_found("webhook")


def _create_webhook(state: State, caller: Caller, parameters: Json) -> Answer:
    if sum(workspace == caller.workspace for workspace, _ in state.webhooks) >= _MOST_WEBHOOKS:
        raise Refusal(409, ("too_many_webhooks", {}))
    webhook = {"url": parameters["url"], "event_types": sorted(set(parameters.get("event_types", ["*"])))}

    def learn(body: Json) -> None:
        webhook["webhook_id"], webhook["secret"] = (body["webhook"][name] for name in ("webhook_id", "secret"))
        state.webhooks.append((caller.workspace, webhook))

    return Answer(learn=learn, body=lambda: {"webhook": webhook, "ok": True})


def _get_webhook(state: State, caller: Caller, parameters: Json) -> Answer:
    webhook = _webhook(state, caller, parameters["webhook_id"])
    return Answer(body=lambda: {"webhook": webhook, "ok": True})


def _list_webhooks(state: State, caller: Caller, _: Json) -> Answer:
    found = [webhook for workspace, webhook in state.webhooks if workspace == caller.workspace]
    return Answer(body=None, listed=("webhooks", found), is_ordered=False)


def _update_webhook(state: State, caller: Caller, parameters: Json) -> Answer:
    webhook = _webhook(state, caller, parameters["webhook_id"])
    webhook["event_types"] = sorted(set(parameters["event_types"]))
    return Answer()


def _delete_webhook(state: State, caller: Caller, parameters: Json) -> Answer:
    webhook = _webhook(state, caller, parameters["webhook_id"])
    state.webhooks = [(workspace, one) for workspace, one in state.webhooks if one is not webhook]
    return Answer()


_WEBHOOK = {"webhook_id": "uuid*"}
ROUTES = {
    "/webhooks/create": Route(("POST",), {"url": "url*", "event_types": "wanted types"}, _create_webhook),
    "/webhooks/get": Route(READ, _WEBHOOK, _get_webhook),
    "/webhooks/list": Route(READ, {}, _list_webhooks),
    "/webhooks/update": Route(("PUT", "POST"), {**_WEBHOOK, "event_types": "wanted types*"}, _update_webhook),
    "/webhooks/delete": Route(DELETE, _WEBHOOK, _delete_webhook),
}
