"""Rules for schemathesis's requests that no schema can express.

A script for schemathesis' environment.  Each rule changes a request before it is sent, and schemathesis looks anew at
whether what is sent is valid; so all of its checks are on, for every route.
"""

from urllib.parse import urlencode

import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

_positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")
CHECKS.unregister("positive_data_acceptance")  # the one below takes its place

# The ids are good, and there are such things, but not where the request looks for them.
_MISPLACED = {
    "acs_credential_pool_not_in_acs_system",
    "acs_system_is_not_credential_manager",
    "acs_user_has_no_user_identity",
    "acs_user_not_in_acs_system",
    "credential_manager_not_compatible",
    "no_credential_manager",
}

_NO_SESSION_IS_NAMED = "Specify client_session_id or user_identifier_key"
_PAST, _FUTURE = "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"
# How parameters name one thing: (this, or these together).
_WAYS_TO_NAME = {
    "/acs/credentials/create": (("acs_user_id",), ("user_identity_id", "acs_system_id")),
    "/client_sessions/get": (("client_session_id",), ("user_identifier_key",)),
    "/client_sessions/grant_access": (("client_session_id",), ("user_identifier_key",)),
    "/user_identities/get": (("user_identity_id",), ("user_identity_key",)),
    "/user_identities/add_acs_user": (("user_identity_id",), ("user_identity_key",)),
    "/acs/users/get": (("acs_user_id",), ("user_identity_id", "acs_system_id")),
    "/acs/users/delete": (("acs_user_id",), ("user_identity_id", "acs_system_id")),
}
_MOST_IDS_IN_AN_ADDRESS = 100
_MOST_OF_A_SESSION = 39  # beside the one in `user_identity_id`
_LONGEST_QUERY = 8000  # API Gateway reads 10,240 bytes of request line and headers, and answers 414 to a longer line
_ID = "de300000-0000-4000-8000-000000000012"


# What the gateway answers by itself stands with the status, and not with a route.
_OF_EVERY_ROUTE = {"bad_request", "route_not_found"}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Take no property in an answer that the document does not name, though a client must."""
    for name, model in raw_schema["components"]["schemas"].items():
        if not name.endswith("Request") and "properties" in model:
            model["additionalProperties"] = False


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, list):
        # An array counts as no parameters (docs/contract.md, "Errors"), so it is no invalid type.
        case.body = "no object"
    is_positive = case.meta.generation.mode is GenerationMode.POSITIVE
    _shorten(case.query or {}, is_positive=is_positive)
    if case.path == "/events/list":
        _begin(case)
    if not is_positive:
        return
    for parameters in (case.body, case.query if case.method in {"GET", "DELETE"} else None):
        if isinstance(parameters, dict):
            _make_plausible(parameters)
            _name_one(parameters, _WAYS_TO_NAME.get(case.path, ()))


@schemathesis.check
def positive_data_acceptance(ctx, response, case):
    if response.status_code == 400:
        error = response.json()["error"]
        if error["type"] in _MISPLACED:
            return None
        # A client session need not name itself, so both parameters are optional in the schema.
        if case.path == "/client_sessions/get" and error["message"] == _NO_SESSION_IS_NAMED:
            return None
    return _positive_data_acceptance(ctx, response, case)


@schemathesis.check
def error_is_one_of_its_route(ctx, response, case):
    """The description of a route names its errors; their schema is the same for all routes."""
    if response.status_code in {400, 404, 409}:
        kind = response.json()["error"]["type"]
        told = f"`{kind}` ({response.status_code})" in case.operation.definition.raw["description"]
        assert told or kind in _OF_EVERY_ROUTE, f"{case.method} {case.path} does not name the error {kind}"


def _begin(case):
    """Give a list of events a beginning: one of two parameters is required, which no schema says.

    A wrong request gets one, too.  Else it could become right by being shortened, and still be refused.
    """
    if case.method == "GET" and case.query is None:
        case.query = {}
    parameters = case.query if case.method == "GET" else case.body
    if isinstance(parameters, dict) and not {"since", "between"} & parameters.keys():
        parameters["since"] = _PAST


def _shorten(query, *, is_positive):
    """Keep an address as short as servers read; and nothing behind `=` is no wrong id, but none, as SDKs write it."""
    for name in [name for name in query if name.endswith("_ids")]:
        value = query[name]
        if not is_positive and (value == "" or (isinstance(value, list) and not any(value))):
            query[name] = ["no id"]
    ids = query.get("user_identity_ids")
    if isinstance(ids, list) and len(ids) > _MOST_IDS_IN_AN_ADDRESS:
        query["user_identity_ids"] = [*ids[:_MOST_IDS_IN_AN_ADDRESS], *([] if is_positive else ["no id"])]
    while len(urlencode(query, doseq=True)) > _LONGEST_QUERY:
        longest = max(query, key=lambda name: len(urlencode({name: query[name]}, doseq=True)))
        value = query[longest]
        if isinstance(value, str | list) and len(value) > 1:
            query[longest] = value[: len(value) // 2]
        else:
            del query[longest]


def _make_plausible(parameters):
    """Keep to the rules over several parameters, and take out a page cursor that no answer gave.

    An access schedule and a credential end in the future, after they start; a client session expires in the future, and
    has 40 user identities at most; a launch names the ACS user in one way; a credential that is created is for all
    phones.
    """
    if parameters.get("expires_at") is not None:
        parameters["expires_at"] = _FUTURE
    if "user_identity_id" in parameters and isinstance(parameters.get("user_identity_ids"), list):
        parameters["user_identity_ids"] = parameters["user_identity_ids"][:_MOST_OF_A_SESSION]
    if parameters.get("create_credential_manager_user") is True:
        parameters.pop("credential_manager_acs_user_id", None)
    if isinstance(parameters.get("page_cursor"), str):
        del parameters["page_cursor"]
    for period in (parameters.get("access_schedule") or {}, parameters):
        if period.get("ends_at") is not None:
            period["ends_at"] = _FUTURE
            if "starts_at" in period:
                period["starts_at"] = _PAST
    if "access_method" in parameters:
        parameters["is_multi_phone_sync_credential"] = True


def _name_one(query, ways):
    for way in ways:
        if way[0] in query:
            for name in way:
                query.setdefault(name, _ID)
            for other in ways:
                if other != way:
                    query.pop(other[0], None)
            return
    if ways:
        query.update(dict.fromkeys(ways[0], _ID))
