"""Page cursors: positions that a client can give back, but not make up."""

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
# Cursors of older versions have base64's other alphabet.  A "+" that a client does not encode in an address is read
# as a blank.
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
    """Return what a page cursor is good for; pages of one list may differ in length."""
    parameters = request.model_dump(mode="json", exclude_unset=True, exclude={"limit", "page_cursor"})
    return {"route": event["resource"], "parameters": parameters}


class Cursors:
    """Seals positions, so that a client can give one back but not make one up.

    The key is kept in the table, so that every process has the same; the first that needs it makes it.

    Args:
        table: The table.

    Attributes:
        key: The key, once it has been needed.
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
            query: What it is good for, as JSON: the list's name and its parameters.
            position: Where the next page begins.
        """
        return _encode(self._mac(caller, query, position) + position.encode())

    def open(self, caller: Caller, query: Mapping[str, Any], cursor: str) -> str:
        """Return the position of a cursor.

        Args:
            caller: Who uses it.
            query: What it is used for.
            cursor: From ``seal``, of this version or of an older one, whose cursors have no padding.

        Raises:
            InvalidInput: It was made for another workspace, caller or query, or not here.
        """
        text = cursor.translate(_AS_SEALED)
        if "=" not in text:
            text += "=" * (-len(text) % 4)
        try:
            sealed = base64.b64decode(text, validate=True)
            mac, position = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:].decode()
        except ValueError as error:
            raise _invalid_cursor() from error
        # Encoded again, because several texts decode to the same bytes.
        if _encode(sealed) != text or not hmac.compare_digest(mac, self._mac(caller, query, position)):
            raise _invalid_cursor()
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


def _invalid_cursor() -> InvalidInput:
    return InvalidInput([("page_cursor", "Invalid page cursor")])


def _encode(sealed: bytes) -> str:
    # Seam's published schema of `next_page_cursor` admits padded base64 of the standard alphabet only.
    return base64.b64encode(sealed).decode()
