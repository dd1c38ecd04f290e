"""The API document as a page of the local server, on which each route can be tried in the demo workspace.

The page is Swagger UI as Powertools carries it, so it needs nothing from another host, and its content security policy
sees to that.  It stands beside the gateway, not behind it: the template has no such routes, and neither has what is
deployed.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from local_aws.gateway import Request, Response

PATH = "/docs"

_HEADERS = {
    "Allow": "GET, HEAD",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_JAVASCRIPT, _CSS = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_SWAGGER_UI = {"/swagger-ui-bundle.min.js": _JAVASCRIPT, "/swagger-ui.min.css": _CSS}

_HTML = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Enrollment automations on this machine</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{PATH}/swagger-ui.min.css">
</head>
<body>
<div class="swagger-ui"><div class="wrapper"><div class="info">
<p><strong>Enrollment automations on this machine.</strong> “Execute” sends a request to the demo workspace of the local
run.</p>
<p><span id="token" role="status"></span> “Authorize” takes another token.
<button id="use-demo-key" class="btn" hidden>Use the API key of the demo workspace</button></p>
</div></div></div>
<div id="swagger-ui"></div>
<script src="{PATH}/swagger-ui-bundle.min.js"></script>
<script src="{PATH}/init.js"></script>
</body>
</html>
"""


def docs_page(document: Path, api_key: str) -> Callable[[Request], Response]:
    """Return the page that a server has at ``PATH``.

    Args:
        document: The API document; it is read for each request, so a renewed one needs no restart.
        api_key: The demo workspace's API key. The page uses it until a person enters another token.
    """
    constants = json.dumps({"url": f"{PATH}/openapi.json", "apiKey": api_key})
    settings = f'"use strict";\nconst SETTINGS = {constants};'
    script = files("enrollments.local") / "docs_page.js"

    def page(request: Request) -> Response:
        status, kind = 200, "text/plain; charset=utf-8"
        content: str | bytes
        match request.path.removeprefix(PATH) or "/":
            case _ if request.method not in {"GET", "HEAD"}:
                status, content = 405, f"{request.method} is for the API's routes\n"
            case "/" | "/openapi.json" if not document.is_file():
                status, content = 404, f"{document.name} is missing; write it with: make openapi\n"
            case "/":
                content, kind = _HTML, "text/html; charset=utf-8"
            case "/init.js":
                content, kind = f"{settings}\n{script.read_text('utf-8')}", _JAVASCRIPT
            case "/openapi.json":
                content, kind = document.read_bytes(), "application/json"
            case path if path in _SWAGGER_UI:
                swagger_ui = files("aws_lambda_powertools") / "event_handler/openapi/swagger_ui"
                content, kind = (swagger_ui / path.lstrip("/")).read_bytes(), _SWAGGER_UI[path]
            case _:
                status, content = 404, "This is no page of the local server\n"
        body = content if isinstance(content, bytes) else content.encode()
        return Response(status, [("Content-Type", kind), *_HEADERS.items()], body)

    return page
