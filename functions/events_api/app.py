"""The routes of events."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import EventNotFound
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.resources.events import EventResponse, EventsResponse, GetEventRequest, ListEventsRequest
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import events

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@api.route("/events/get", "GET", "POST", errors=[EventNotFound], for_client_sessions=True)
def get_event(request: GetEventRequest, caller: Caller) -> Answer[EventResponse]:
    """Get an event.

    A client session gets those of its user identities.
    """
    return Answer(EventResponse(event=events.get_event(table, caller, request)))


@api.route("/events/list", "GET", "POST", errors=[], for_client_sessions=True)
def list_events(request: ListEventsRequest, caller: Caller, page: RequestedPage) -> Answer[EventsResponse]:
    """List events by the time of their creation, oldest first.

    They are in the order in which they happened to each thing. To poll, let the periods overlap by 10 s, and tell
    events apart by `event_id`. A client session sees those of its user identities.
    """
    found = events.list_events(table, caller, request, page.position)
    return Answer(EventsResponse(events=found.records, pagination=page.pagination(found.next_position)))


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
