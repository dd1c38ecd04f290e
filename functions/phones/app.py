"""The routes of phones and of phone sessions."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialNotFound,
    ClientSessionIsNotOfOnePerson,
    PhoneNotFound,
    UserIdentityNotFound,
    WorkspaceIsNotSandbox,
)
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.page_cursors import Cursors, RequestedPage
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.resources.bodies import DoneResponse
from enrollment.resources.phone_sessions import PhoneSessionRequest, PhoneSessionResponse
from enrollment.resources.phones import (
    CreateSandboxPhoneRequest,
    ListPhonesRequest,
    PhoneRequest,
    PhoneResponse,
    PhonesResponse,
)
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import phone_sessions, phones

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
cursors = Cursors(table)
api = Api(create_logger(), settings.cors_origins, cursors=cursors)


@api.route("/phones/get", "GET", "POST", errors=[PhoneNotFound])
def get(request: PhoneRequest, caller: Caller) -> Answer[PhoneResponse]:
    """Get a phone."""
    return Answer(PhoneResponse(phone=phones.get(table, caller, request)))


@api.route("/phones/list", "GET", "POST", errors=[UserIdentityNotFound, AcsCredentialNotFound])
def list_(request: ListPhonesRequest, caller: Caller, page: RequestedPage) -> Answer[PhonesResponse]:
    """List phones, newest first."""
    found = phones.list_page(table, caller, request, page.position)
    return Answer(PhonesResponse(phones=found.records, pagination=page.pagination(found.next_position)))


@api.route("/phones/deactivate", "DELETE", "POST", errors=[PhoneNotFound], for_client_sessions=True)
def deactivate(request: PhoneRequest, caller: Caller) -> Answer[DoneResponse]:
    """Deactivate a phone.

    The phone is removed. Its app's installation may register again, as a new phone. A client session may deactivate the
    phones of its user identities.
    """
    phones.deactivate(table, caller, request)
    return Answer(DoneResponse(), "deactivated", {"device_id": request.device_id})


@api.route(
    "/phones/simulate/create_sandbox_phone",
    "POST",
    errors=[WorkspaceIsNotSandbox, UserIdentityNotFound],
)
def create_sandbox_phone(request: CreateSandboxPhoneRequest, caller: Caller) -> Answer[PhoneResponse]:
    """Create a simulated phone in a sandbox workspace."""
    created = phones.create_sandbox_phone(table, caller, request)
    return Answer(PhoneResponse(phone=created), "registered", {"device_id": created.device_id})


@api.route(
    "/seam/mobile_sdk/v1/phone_sessions/get_or_create",
    "POST",
    errors=[ClientSessionIsNotOfOnePerson, UserIdentityNotFound],
    for_client_sessions=True,
    for_servers=False,
)
def get_or_create_phone_session(request: PhoneSessionRequest, caller: Caller) -> Answer[PhoneSessionResponse]:
    """Register the phone of an app, and get its registrations with credential managers.

    An app calls it at each start, with a client session of exactly one user identity. An installation of the app is one
    phone, however often it registers.
    """
    session = phone_sessions.get_or_create(table, caller, request)
    return Answer(PhoneSessionResponse(phone_session=session), "registered")


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
