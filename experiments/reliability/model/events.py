"""Events: the stream is not driven here, so there are none."""

from experiments.reliability.model.calls import Answer, Caller, Json, not_found
from experiments.reliability.model.inputs import PAGED, READ, Route
from experiments.reliability.model.state import State


def _get_event(___: State, _: Caller, __: Json) -> Answer:
    raise not_found("event")


def _list_events(___: State, _: Caller, __: Json) -> Answer:
    return Answer(body=None, listed=("events", []))


ROUTES = {
    "/events/get": Route(
        READ, {"event_id": "uuid*", "event_type": "event type", "device_id": "uuid"}, _get_event, for_sessions=True
    ),
    "/events/list": Route(
        READ,
        {
            "since": "moment",
            "between": "moments",
            "event_ids": "uuids",
            "event_type": "event type",
            "event_types": "event types",
            "user_identity_id": "uuid",
            "acs_system_id": "uuid",
            "acs_system_ids": "uuids",
            "acs_user_id": "uuid",
            "acs_credential_id": "uuid",
            "connected_account_id": "uuid",
            "device_id": "uuid",
            "device_ids": "uuids",
            **PAGED,
        },
        _list_events,
        for_sessions=True,
        rules=[(lambda given: bool(given.keys() & {"since", "between"}), None)],
    ),
}
