"""The routes of events and webhooks."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from functools import cache, partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import EventNotFound, TooManyWebhooks, WebhookNotFound
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.outbound.addresses import require_allowed
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.resources.bodies import DoneResponse
from enrollment.resources.events import EventResponse, EventsResponse, GetEventRequest, ListEventsRequest
from enrollment.resources.webhooks import (
    CreateWebhookRequest,
    ListWebhooksRequest,
    UpdateWebhookRequest,
    WebhookRequest,
    WebhookResponse,
    WebhooksResponse,
)
from enrollment.settings import Settings, receivers_on_loopback
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import events, webhooks

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
check_address = partial(require_allowed, on_loopback=receivers_on_loopback())
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@cache
def master() -> MasterSecret:
    """Return the master secret of webhooks.  Its client is made when a webhook is first asked for: events need none."""
    return MasterSecret(create_outbound_client("secretsmanager"), settings.webhooks_secret_arn)


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


@api.route("/webhooks/create", "POST", errors=[TooManyWebhooks])
def create_webhook(request: CreateWebhookRequest, caller: Caller) -> Answer[WebhookResponse]:
    """Create a webhook. Its URL gets a signed POST request for each event of its types.

    An answer other than 2xx, or none in 15 s, is tried again after about 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h.
    """
    created = webhooks.create(table, caller, request, check_address=check_address, master=master().value())
    return Answer(WebhookResponse(webhook=created), "created", {"webhook_id": created.webhook_id})


@api.route("/webhooks/get", "GET", "POST", errors=[WebhookNotFound])
def get_webhook(request: WebhookRequest, caller: Caller) -> Answer[WebhookResponse]:
    """Get a webhook."""
    return Answer(WebhookResponse(webhook=webhooks.get(table, caller, request, master=master().value())))


@api.route("/webhooks/list", "GET", "POST", errors=[])
def list_webhooks(request: ListWebhooksRequest, caller: Caller) -> Answer[WebhooksResponse]:  # noqa: ARG001
    """List webhooks, newest first."""
    return Answer(WebhooksResponse(webhooks=webhooks.list_all(table, caller, master=master().value())))


@api.route("/webhooks/update", "PUT", "POST", errors=[WebhookNotFound])
def update_webhook(request: UpdateWebhookRequest, caller: Caller) -> Answer[DoneResponse]:
    """Update which events a webhook gets. One that was switched off is switched on again."""
    webhooks.update(table, caller, request)
    return Answer(DoneResponse(), "updated", {"webhook_id": request.webhook_id})


@api.route("/webhooks/delete", "DELETE", "POST", errors=[WebhookNotFound])
def delete_webhook(request: WebhookRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete a webhook."""
    webhooks.delete_webhook(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"webhook_id": request.webhook_id})


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
