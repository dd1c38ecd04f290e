"""Who a request speaks for, and how the authorizer tells the functions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from enrollment.errors import Unauthorized

NOT_FOR_CLIENT_SESSIONS = "A client session cannot be used for this route"
FOR_CLIENT_SESSIONS_ONLY = "Only a client session can be used for this route"


class TokenKind(StrEnum):
    """What a token is for."""

    API_KEY = "api_key"
    PERSONAL_ACCESS_TOKEN = "personal_access_token"  # noqa: S105 - a name
    CLIENT_SESSION = "client_session"


def split_ids(joined: str) -> tuple[str, ...]:
    """Return the ids of a string with commas; an authorizer's context cannot hold a list."""
    return tuple(filter(None, joined.split(",")))


class Caller(NamedTuple):
    """Who a request speaks for.

    Attributes:
        workspace_id: The request's workspace.
        user_identity_ids: The only user identities that the caller sees; ``None`` is all of the workspace.
        session_token_id: The short of a client session's token; ``None`` for other tokens.
    """

    workspace_id: str
    user_identity_ids: frozenset[str] | None = None
    session_token_id: str | None = None

    def sees(self, user_identity_id: str) -> bool:
        """Return whether the caller sees a user identity."""
        return self.user_identity_ids is None or user_identity_id in self.user_identity_ids


class Principal(NamedTuple):
    """Who a valid token speaks for.

    Attributes:
        kind: The token's kind.
        token_id: The token's short, which is not secret.
        workspace_ids: The workspaces that it may enter: one, or several for a personal access token.
        user_identity_ids: The user identities of a client session; the other kinds have none.
    """

    kind: TokenKind
    token_id: str
    workspace_ids: tuple[str, ...]
    user_identity_ids: tuple[str, ...] = ()

    def to_context(self) -> dict[str, str]:
        """Return this principal as an authorizer's context, whose values are strings."""
        return {
            "token_kind": self.kind,
            "token_id": self.token_id,
            "workspace_ids": ",".join(self.workspace_ids),
            "user_identity_ids": ",".join(self.user_identity_ids),
        }

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> "Principal":
        """Return the principal of an authorizer's context."""
        return cls(
            TokenKind(context["token_kind"]),
            context["token_id"],
            split_ids(context["workspace_ids"]),
            split_ids(context["user_identity_ids"]),
        )

    def enter(self, named_workspace_id: str | None) -> Caller:
        """Return the caller in the workspace that a request is for.

        Args:
            named_workspace_id: The header ``seam-workspace``, which only a personal access token needs.

        Raises:
            Unauthorized: A personal access token names no workspace, or one that it may not enter.
        """
        if self.kind is TokenKind.PERSONAL_ACCESS_TOKEN:
            if not named_workspace_id:
                raise Unauthorized("An access token was used instead of an API key")
            workspace_id = named_workspace_id.strip().lower()
            if workspace_id not in self.workspace_ids:
                raise Unauthorized("The access token may not enter this workspace")
            return Caller(workspace_id)
        (workspace_id,) = self.workspace_ids
        if self.kind is TokenKind.CLIENT_SESSION:
            return Caller(workspace_id, frozenset(self.user_identity_ids), self.token_id)
        return Caller(workspace_id)
