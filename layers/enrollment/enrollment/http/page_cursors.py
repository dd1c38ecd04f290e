"""Page cursors: positions in lists, sealed so that a client can send them back but not make them up."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from enrollment.callers import Caller
from enrollment.errors import InvalidInput
from enrollment.http.events import ProxyEvent, header
from enrollment.resources.bodies import PagedRequest, Pagination
from enrollment.store.actions import put_new
from enrollment.store.keys import page_cursor_key
from enrollment.store.table import Table

_MAC_BYTES = 16
_INVALID_CURSOR = [("page_cursor", "Invalid page cursor")]
# Older releases wrote cursors in base64's other alphabet.  A client that does not encode "+" sends a blank.
_AS_SEALED = str.maketrans("-_ ", "+/+")


class RequestedPage:
    """The page of a list that a request asks for.

    Attributes:
        position: Behind which position the page begins; ``None`` is the first page.
    """

    def __init__(
        self, position: str | None, cursors: "Cursors", caller: Caller, event: ProxyEvent, request: PagedRequest
    ) -> None:
        self.position = position
        self._cursors = cursors
        self._caller = caller
        self._event = event
        self._request = request

    def pagination(self, next_position: str | None) -> Pagination:
        """Return where this page stands in its list.

        Args:
            next_position: Behind which position the next page begins, if there is one.
        """
        if next_position is None:
            return Pagination(has_next_page=False, next_page_cursor=None, next_page_url=None)
        cursor = self._cursors.seal(self._caller, _list_of(self._event, self._request), next_position)
        given = self._request.model_dump(mode="json", exclude_unset=True) | {"page_cursor": cursor}
        query = urlencode({name: "" if value is None else value for name, value in given.items()}, doseq=True)
        # The address as the client wrote it: with the stage, or a custom domain's base path.
        context = self._event["requestContext"]
        scheme = header(self._event, "x-forwarded-proto") or "https"
        url = f"{scheme}://{context['domainName']}{context['path']}?{query}"
        return Pagination(has_next_page=True, next_page_cursor=cursor, next_page_url=url)


def _list_of(event: ProxyEvent, request: PagedRequest) -> dict[str, Any]:
    """Return the list that a page cursor is for.  The limit is not part of it: pages may differ in length."""
    parameters = request.model_dump(mode="json", exclude_unset=True, exclude={"limit", "page_cursor"})
    return {"route": event["resource"], "parameters": parameters}


class Cursors:
    """Seals positions into page cursors, and opens them.

    All processes share one key, which is in the table.  The first process that needs it makes it.

    Args:
        table: The table.

    Attributes:
        key: The key; ``None`` until it is needed.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.key: bytes | None = None

    def requested_page(self, caller: Caller, event: ProxyEvent, request: PagedRequest) -> RequestedPage:
        """Return the page that a request asks for.

        Args:
            caller: Who asks.
            event: The request as API Gateway tells it.
            request: Its parameters.

        Raises:
            InvalidInput: The page cursor was not made for this list.
        """
        cursor = request.page_cursor
        position = None if cursor is None else self.open(caller, _list_of(event, request), cursor)
        return RequestedPage(position, self, caller, event, request)

    def seal(self, caller: Caller, query: Mapping[str, Any], position: str) -> str:
        """Return a cursor.

        Args:
            caller: Who may use it.
            query: The list that it is for, as JSON: its name and its parameters.
            position: The position behind which the next page begins.
        """
        return _encode(self._mac(caller, query, position) + position.encode())

    def open(self, caller: Caller, query: Mapping[str, Any], cursor: str) -> str:
        """Return the position of a cursor.

        Args:
            caller: Who uses it.
            query: The list that it is used for.
            cursor: From ``seal`` of this release or of an older one, which wrote no padding.

        Raises:
            InvalidInput: It was made for another workspace, caller or list, or by somebody else.
        """
        text = cursor.translate(_AS_SEALED)
        if "=" not in text:
            text += "=" * (-len(text) % 4)
        try:
            sealed = base64.b64decode(text, validate=True)
            mac, position = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:].decode()
        except ValueError as error:
            raise InvalidInput(_INVALID_CURSOR) from error
        # Several texts decode to the same bytes; only the one that `seal` writes is accepted.
        if _encode(sealed) != text or not hmac.compare_digest(mac, self._mac(caller, query, position)):
            raise InvalidInput(_INVALID_CURSOR)
        return position

    def _mac(self, caller: Caller, query: Mapping[str, Any], position: str) -> bytes:
        seen = None if caller.user_identity_ids is None else sorted(caller.user_identity_ids)
        message = json.dumps([caller.workspace_id, seen, query, position], sort_keys=True)
        return hmac.digest(self._secret(), message.encode(), "sha256")[:_MAC_BYTES]

    def _secret(self) -> bytes:
        if self.key is None:
            key = page_cursor_key()
            stored = self._table.get(key)
            if stored is None:
                stored = {"secret": secrets.token_hex(32)}
                refused = self._table.transact({"secret": put_new(key, stored)})
                stored = refused.get("secret") or stored  # another process was first
            self.key = bytes.fromhex(str(stored["secret"]))
        return self.key


def _encode(sealed: bytes) -> str:
    # Seam's published schema of `next_page_cursor` admits padded base64 of the standard alphabet only.
    return base64.b64encode(sealed).decode()
