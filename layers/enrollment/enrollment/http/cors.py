"""What tells a browser which pages may read an answer (contract, "Browsers")."""

from collections.abc import Mapping, Sequence

from enrollment.http.events import ProxyEvent, header

PREFLIGHT_HEADERS: Mapping[str, str] = {
    # What AWS's own clients and the published SDKs send.
    "Access-Control-Allow-Headers": "Authorization,Content-Type,X-Amz-Date,X-Amz-Security-Token,X-Api-Key,"
    "client-session-token,seam-lts-version,seam-publishable-key,seam-sdk-name,seam-sdk-version,seam-workspace",
    "Access-Control-Allow-Methods": "DELETE,GET,PATCH,POST,PUT",
    "Access-Control-Max-Age": "7200",  # browsers keep it no longer
}
_EXPOSED_HEADERS = {"Access-Control-Expose-Headers": "seam-request-id,Retry-After"}
_ANY_ORIGIN = "*"


def cors_headers(event: ProxyEvent, origins: Sequence[str]) -> Mapping[str, str]:
    """Return an answer's headers for browsers.

    Args:
        event: The request.
        origins: Origins whose pages may call the API; ``*`` is any, and without one there is no CORS at all.
    """
    if not origins:
        return {}
    if _ANY_ORIGIN in origins:
        # Browsers refuse `*` for a request with credentials, and an unnamed origin must not get those.
        return {"Access-Control-Allow-Origin": _ANY_ORIGIN, **_EXPOSED_HEADERS}
    origin = header(event, "origin")
    if origin is None or origin not in origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        # The SDKs send a client session's requests with credentials.
        "Access-Control-Allow-Credentials": "true",
        **_EXPOSED_HEADERS,
    }
