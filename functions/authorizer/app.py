"""The custom authorizer: a bearer token in, a policy out.

API Gateway caches the policy for the token and uses it for every route, so the policy names the stage's routes, never
just the one that was called.  A token that is not valid gets a Deny rather than the exception ``Unauthorized``: a Deny
is cached too, carries the reason, and does not count as an error of the function.  Anything unexpected is raised, and
then the gateway lets nobody in.
"""

from enrollment import start  # first: turns the garbage collector off

# isort: split
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.aws.deadline import ending_before
from enrollment.callers import NOT_FOR_CLIENT_SESSIONS, TokenKind
from enrollment.errors import InternalServerError, ServiceUnavailable, Unauthorized
from enrollment.failures import facts_of, traceback_of
from enrollment.http.events import require_authorizer_event
from enrollment.log import create_logger
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.tokens import Admission, authenticate, note_use

logger = create_logger()
table = Table(create_client(), Settings.from_environment().table_name)

# `make openapi` writes it from the route table.
_CLIENT_SESSION_ROUTES: list[str] = json.loads(Path(__file__).with_name("client_session_routes.json").read_text())

# A note of a use that takes longer is given up: after 0.5 s for a connection, and 0.25 s for the answer.  The rest is
# the reserve that a deadline has.
_LONGEST_NOTE_MILLISECONDS = 1000


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Decide about a token (API Gateway's "Output from an API Gateway Lambda authorizer").

    Raises:
        UnknownEvent: Somebody other than API Gateway has sent the event.
        ServiceUnavailable: The database stays out of reach.
    """
    logger.append_keys(function_request_id=context.aws_request_id)
    require_authorizer_event(event)
    stage = _stage(event["methodArn"])
    try:
        with ending_before(context.get_remaining_time_in_millis()):
            admission = authenticate(table, event["authorizationToken"], datetime.now(UTC))
    except Unauthorized as refusal:
        logger.info("denied", reason=refusal.message)
        return _policy("Deny", [f"{stage}/*"], "unknown", {"message": refusal.message})
    except Exception as error:  # noqa: BLE001 - see below
        _log_failure(error)
        # Lambda's runtime logs the text of what is raised, and that of its cause.
        if isinstance(error, ServiceUnavailable):
            raise ServiceUnavailable from None
        raise InternalServerError from None
    _note_use(admission, context.get_remaining_time_in_millis())
    principal = admission.principal
    logger.info("allowed", token_id=principal.token_id, token_kind=principal.kind)
    if principal.kind is TokenKind.CLIENT_SESSION:
        routes = [f"{stage}/*{path}" for path in _CLIENT_SESSION_ROUTES]
    else:
        routes = [f"{stage}/*"]
    # This message is for the routes that the policy does not name.
    reason = {"message": NOT_FOR_CLIENT_SESSIONS}
    return _policy("Allow", routes, principal.token_id, principal.to_context() | reason)


def _note_use(admission: Admission, remaining_milliseconds: int) -> None:
    """Note that a token was used.  The decision stands, whether or not that succeeds."""
    try:
        with ending_before(min(remaining_milliseconds, _LONGEST_NOTE_MILLISECONDS)):
            note_use(table, admission, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever it is, the token is good
        logger.warning("use not noted", token_id=admission.principal.token_id, extra=facts_of(error))


def _log_failure(error: Exception) -> None:
    # Logger.exception would write the exception's text.
    facts = {**facts_of(error), "exception_name": type(error).__name__, "exception": traceback_of(error)}
    logger.error("cannot decide", extra=facts)


def _stage(method_arn: str) -> str:
    """Return ``arn:<partition>:execute-api:<region>:<account>:<api>/<stage>`` of a called method's ARN."""
    api, stage, *_ = method_arn.split("/")
    return f"{api}/{stage}"


def _policy(effect: str, resources: list[str], principal_id: str, context: dict[str, str]) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resources}
    return {
        "principalId": principal_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


start.end()
