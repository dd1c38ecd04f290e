"""Credentials of people's ACS users."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import LIMIT, METHOD, READER, WHICH, WHICH_IF_ANY, WHO
from experiments.reliability.model.calls import Json

_KIND = st.sampled_from(
    [{"access_method": "mobile_key", "is_multi_phone_sync_credential": True}] * 12
    + [{"access_method": "card", "is_multi_phone_sync_credential": True}]
    + [{"access_method": "mobile_key", "is_multi_phone_sync_credential": False}, {"access_method": "mobile_key"}]
)
_PAST, _FUTURE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"
_TIMES = st.sampled_from(
    [{}] * 4
    + [{"ends_at": _FUTURE}, {"ends_at": _PAST}, {"starts_at": "2026-01-01T00:00:00.000Z"}]
    + [{"starts_at": "2998-01-01T00:00:00.000Z", "ends_at": _FUTURE}, {"starts_at": _FUTURE, "ends_at": _FUTURE}]
)
_END = st.sampled_from([None, _FUTURE, "2997-01-01T00:00:00.000Z", _PAST])
_MANAGER = st.one_of(WHICH_IF_ANY, WHICH)
_NAMED_TWICE = st.sampled_from([False] * 9 + [True])


class CredentialRules(Asking):
    """Credentials of people's ACS users."""

    @rule(who=WHO, acs_user=WHICH, kind=_KIND, times=_TIMES, manager=_MANAGER)
    def create_credential(
        self, who: str, acs_user: int | str, kind: Json, times: Json, manager: int | str | None
    ) -> None:
        parameters = {
            "acs_user_id": self.pick(who, acs_user, self.model.acs_users, lambda one: one.identity is not None)
        }
        self._create(who, {**parameters, **kind, **times}, manager)

    @rule(
        who=WHO,
        identity=WHICH,
        system=WHICH,
        times=_TIMES,
        manager=_MANAGER,
        both=_NAMED_TWICE,
    )
    def create_credential_of_identity(
        self,
        who: str,
        identity: int | str,
        system: int | str,
        times: Json,
        manager: int | str | None,
        both: bool,  # noqa: FBT001 - drawn
    ) -> None:
        parameters = {
            "access_method": "mobile_key",
            "is_multi_phone_sync_credential": True,
            "user_identity_id": self.pick(who, identity, self.model.identities),
            "acs_system_id": self.pick(who, system, self.model.systems),
        }
        if both:
            parameters["acs_user_id"] = self.pick(who, 0, self.model.acs_users)
        self._create(who, {**parameters, **times}, manager)

    def _create(self, who: str, parameters: Json, manager: int | str | None) -> None:
        if manager is not None:
            manager_id = self.pick(who, manager, self.model.systems, lambda one: one.is_manager)
            parameters = {**parameters, "credential_manager_acs_system_id": manager_id}
        self.ask(who, 0, "/acs/credentials/create", parameters)

    @precondition(lambda self: self.model.credentials)
    @rule(who=WHO, method=METHOD, credential=WHICH, path=st.sampled_from(["get", "get", "delete"]))
    def get_or_delete_credential(self, who: str, method: int, credential: int | str, path: str) -> None:
        parameters = {"acs_credential_id": self.pick(who, credential, self.model.credentials)}
        self.ask(who, method, f"/acs/credentials/{path}", parameters)

    @precondition(lambda self: self.model.credentials)
    @rule(who=WHO, method=METHOD, credential=WHICH, ends_at=_END)
    def update_credential(self, who: str, method: int, credential: int | str, ends_at: str | None) -> None:
        parameters = {"acs_credential_id": self.pick(who, credential, self.model.credentials)}
        if ends_at is not None:
            parameters["ends_at"] = ends_at
        self.ask(who, method, "/acs/credentials/update", parameters)

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.sampled_from([None, None, "mobile", "-4", "no such"]),
        before=WHICH_IF_ANY,
        acs_user=WHICH_IF_ANY,
        system=WHICH_IF_ANY,
        identity=WHICH_IF_ANY,
        is_for_all_phones=st.sampled_from([None] * 6 + [True, False]),
    )
    def list_credentials(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        before: int | str | None,
        acs_user: int | str | None,
        system: int | str | None,
        identity: int | str | None,
        is_for_all_phones: bool | None,  # noqa: FBT001 - drawn
    ) -> None:
        parameters = self._filters(limit, search, before, self.model.credentials)
        if acs_user is not None:
            parameters["acs_user_id"] = self.pick(who, acs_user, self.model.acs_users)
        if system is not None:
            parameters["acs_system_id"] = self.pick(who, system, self.model.systems)
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        if is_for_all_phones is not None:
            parameters["is_multi_phone_sync_credential"] = is_for_all_phones
        self.ask(who, method, "/acs/credentials/list", parameters)
