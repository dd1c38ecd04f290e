"""Tokens that the operator issues and ends."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from enrollment.callers import TokenKind
from enrollment.store.actions import change
from enrollment.store.keys import client_session_key, token_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.client_sessions import revoke_by_token
from enrollment.use_cases.tokens import revoke_token
from experiments.reliability.machine.asking import Asking
from experiments.reliability.model.records import Token

_MOST_TOKENS = 8


class TokenRules(Asking):
    """Tokens that the operator issues and ends."""

    @precondition(lambda self: len([one for one in self._issued() if one.session is None]) < _MOST_TOKENS)
    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        kind=st.sampled_from(["session", "session", "key", "person", "people"]),
        identities=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    )
    def issue_token(self, workspace: int, kind: str, identities: list[int]) -> None:
        here = self.workspaces[workspace]
        if kind == "session":
            ids = sorted({self.pick(f"key {workspace}", one, self.model.identities) for one in identities})
            self._issue(TokenKind.CLIENT_SESSION, [here], ids)
        elif kind == "key":
            self._issue(TokenKind.API_KEY, [here])
        else:
            self._issue(TokenKind.PERSONAL_ACCESS_TOKEN, self.workspaces if kind == "people" else [here])
        self.counts.operations["issue a client session" if kind == "session" else "issue a token"] += 1

    @precondition(lambda self: any(one.is_good for one in self._issued()))
    @rule(which=st.integers(0, 5), expires=st.booleans())
    def end_token(self, which: int, expires: bool) -> None:  # noqa: FBT001 - drawn
        good = [one for one in self._issued() if one.is_good]
        token = good[which % len(good)]
        short, now = token.text.split("_")[1], datetime.now(UTC)
        if expires:
            self._expire(token, timestamp(now - timedelta(milliseconds=1)))
        elif token.session is not None:
            assert revoke_by_token(self.service.table, short)
            self.model.end(token.session)
        else:
            assert revoke_token(self.service.table, short, now)
        token.is_good = False
        self.service.outlast_decisions()
        self.counts.operations["a token expires" if expires else "revoke a token"] += 1

    def _expire(self, token: Token, expires_at: str) -> None:
        """Let the moment be past at which a token expires."""
        keys = [token_key(token.text.split("_")[1])]
        if token.session is not None:
            keys.append(client_session_key(token.session.workspace, token.session.id))
            token.session.expires_at, token.session.is_expired = expires_at, True
        expiry = {str(key): change(key, assign={"expires_at": expires_at}) for key in keys}
        assert not self.service.table.transact(expiry)
