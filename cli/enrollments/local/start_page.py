"""The first page of the local server: a phone gets its credential, and a person sees each request for it.

The page is one file of HTML.  It speaks the API and nothing else, and its content security policy sees to that.  Like
``docs_page`` it stands beside the gateway, not behind it.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from local_aws.gateway import Request, Response
from local_aws.server import Page

PATH = "/"

_SETTINGS = {
    "apiKey": "SEAM_API_KEY",
    "credentialManagerId": "CREDENTIAL_MANAGER_ACS_SYSTEM_ID",
    "credentialPoolId": "ACS_CREDENTIAL_POOL_ID",
    "accessSystemId": "ACS_SYSTEM_ID",
}
_PLACE_OF_SETTINGS = '"SETTINGS"'


def start_page(variables: Mapping[str, str]) -> Page:
    """Return the page that a server has at ``PATH``.  It leaves all but GET and HEAD of this very path to the API.

    Args:
        variables: The demo's key and ids, by their names in the output of ``make run``.
    """
    file = files("enrollments.local") / "start_page.html"
    # Without this sign, no value can end the element that it is in.
    settings = json.dumps({name: variables[variable] for name, variable in _SETTINGS.items()}).replace("<", r"\u003c")

    def page(request: Request) -> Response | None:
        if request.path != PATH or request.method not in {"GET", "HEAD"}:
            return None
        html = file.read_text("utf-8").replace(_PLACE_OF_SETTINGS, settings)
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _policy(html)),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return Response(200, headers, html.encode())

    return page


def _policy(html: str) -> str:
    return (
        f"default-src 'none'; script-src {_source(html, 'script')}; style-src {_source(html, 'style')}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _source(html: str, tag: str) -> str:
    """Return the source expression of the one element of a name that has no attributes (CSP 3, 2.3.1)."""
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
