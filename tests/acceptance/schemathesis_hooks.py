"""What no schema can say about a request, for the ones that schemathesis makes up.

A script for schemathesis' environment.  Each rule changes a request before it is sent, and schemathesis looks anew at
whether what is sent is valid; so all of its checks are on, for every route.
"""

import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

_positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")
CHECKS.unregister("positive_data_acceptance")  # the one below takes its place

# The ids are good, and there are such things, but not where the request looks for them.
_MISPLACED = {
    "acs_credential_pool_not_in_acs_system",
    "acs_system_is_not_credential_manager",
    "acs_user_not_in_acs_system",
}

_PAST, _FUTURE = "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"
# How a query string names one thing: (this, or these together). A body's schema says it.
_WAYS_TO_NAME = {
    "/user_identities/get": (("user_identity_id",), ("user_identity_key",)),
    "/acs/users/get": (("acs_user_id",), ("user_identity_id", "acs_system_id")),
    "/acs/users/delete": (("acs_user_id",), ("user_identity_id", "acs_system_id")),
}
_MOST_IDS_IN_AN_ADDRESS = 100
_ID = "de300000-0000-4000-8000-000000000012"


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, list):
        # An array counts as no parameters (docs/contract.md, "Errors"), so it is no invalid type.
        case.body = "no object"
    is_positive = case.meta.generation.mode is GenerationMode.POSITIVE
    _shorten(case.query or {}, is_positive=is_positive)
    if not is_positive:
        return
    if isinstance(case.body, dict):
        _make_plausible(case.body)
    if case.method in {"GET", "DELETE"}:
        _make_plausible(case.query)
        _name_one(case.query, _WAYS_TO_NAME.get(case.path, ()))


@schemathesis.check
def positive_data_acceptance(ctx, response, case):
    if response.status_code == 400 and response.json()["error"]["type"] in _MISPLACED:
        return None
    return _positive_data_acceptance(ctx, response, case)


def _shorten(query, *, is_positive):
    """Keep an address as short as servers read; and nothing behind `=` is no wrong id, but none, as SDKs write it."""
    ids = query.get("user_identity_ids")
    if not is_positive and ids in ("", [""]):
        query["user_identity_ids"] = ["no id"]
    elif isinstance(ids, list) and len(ids) > _MOST_IDS_IN_AN_ADDRESS:
        query["user_identity_ids"] = [*ids[:_MOST_IDS_IN_AN_ADDRESS], *([] if is_positive else ["no id"])]


def _make_plausible(parameters):
    """Take out a page cursor that no answer gave; have an access schedule end in the future, after it starts."""
    if isinstance(parameters.get("page_cursor"), str):
        del parameters["page_cursor"]
    schedule = parameters.get("access_schedule") or {}
    if schedule.get("ends_at") is not None:
        schedule["ends_at"] = _FUTURE
        if "starts_at" in schedule:
            schedule["starts_at"] = _PAST


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
