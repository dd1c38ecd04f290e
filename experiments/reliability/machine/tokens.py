"""Tokens that the operator issues and ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from enrollment.callers import TokenKind
from enrollment.store.actions import change
from enrollment.store.keys import client_session_key, token_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.client_sessions import revoke_by_token
from enrollment.use_cases.token_rotation import RotationRefusedError, rotate_token
from enrollment.use_cases.tokens import revoke_token
from experiments.reliability.machine.asking import Asking
from experiments.reliability.model.records import Token

_MOST_TOKENS = 8
# With former secrets.
_MOST_TEXTS = 24
_ROTATED = (TokenKind.API_KEY, TokenKind.PERSONAL_ACCESS_TOKEN)


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
        self._end_all_secrets(token)
        self.service.outlast_decisions()
        self.counts.operations["a token expires" if expires else "revoke a token"] += 1

    @precondition(lambda self: any(one.is_good and one.kind in _ROTATED for one in self._issued()))
    @precondition(lambda self: len(self._issued()) < _MOST_TEXTS)
    @rule(which=st.integers(0, 5), keeps_old=st.booleans())
    def rotate_token(self, which: int, keeps_old: bool) -> None:  # noqa: FBT001 - drawn
        good = [one for one in self._issued() if one.is_good and one.kind in _ROTATED]
        token = good[which % len(good)]
        overlap = timedelta(days=1 if keeps_old else 0)
        try:
            rotated = rotate_token(self.service.table, token.text.split("_")[1], overlap, datetime.now(UTC))
        except RotationRefusedError:  # it has as many former secrets as it may have
            return
        if not keeps_old:
            self._end_all_secrets(token)
        self.model.tokens.append(replace(token, text=rotated.token, is_good=True))
        self.service.outlast_decisions()
        self.counts.operations["rotate a token"] += 1

    def _end_all_secrets(self, token: Token) -> None:
        for one in self._issued():
            if one.text.split("_")[1] == token.text.split("_")[1]:
                one.is_good = False

    def _expire(self, token: Token, expires_at: str) -> None:
        """Let the moment be past at which a token expires."""
        keys = [token_key(token.text.split("_")[1])]
        if token.session is not None:
            keys.append(client_session_key(token.session.workspace, token.session.id))
            token.session.expires_at, token.session.is_expired = expires_at, True
        expiry = {str(key): change(key, assign={"expires_at": expires_at}) for key in keys}
        assert not self.service.table.transact(expiry)
