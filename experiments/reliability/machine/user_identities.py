"""User identities, and what is linked to them."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from enrollment.store.actions import change
from enrollment.store.keys import user_identity_key
from enrollment.timestamps import timestamp
from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import KEY, LIMIT, METHOD, PROFILE, READER, SEARCH, WHICH, WHICH_IF_ANY, WHO
from experiments.reliability.model.calls import Json

_FEWEST = 5


class UserIdentityRules(Asking):
    """User identities, and what is linked to them."""

    @rule(
        who=WHO,
        profile=PROFILE,
        systems=st.one_of(st.none(), st.lists(WHICH, max_size=3)),
    )
    def create_identity(self, who: str, profile: Json, systems: list[int | str] | None) -> None:
        parameters = dict(profile)
        if systems is not None:
            parameters["acs_system_ids"] = [self.pick(who, one, self.model.systems) for one in systems]
        self.ask(who, 0, "/user_identities/create", parameters)

    @rule(who=WHO, method=METHOD, identity=WHICH_IF_ANY, key=st.one_of(st.none(), KEY))
    def get_identity(self, who: str, method: int, identity: int | str | None, key: str | None) -> None:
        self.ask(who, method, "/user_identities/get", self._id_or_key(who, identity, key))

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.one_of(st.none(), SEARCH),
        before=WHICH_IF_ANY,
        manager=WHICH_IF_ANY,
        ids=st.one_of(st.none(), st.none(), st.lists(WHICH, max_size=4)),
    )
    def list_identities(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        before: int | str | None,
        manager: int | str | None,
        ids: list[int | str] | None,
    ) -> None:
        parameters = self._filters(limit, search, before, self.model.identities)
        if manager is not None:
            parameters["credential_manager_acs_system_id"] = self.pick(who, manager, self.model.systems)
        if ids is not None:
            parameters["user_identity_ids"] = [self.pick(who, one, self.model.identities) for one in ids]
        self.ask(who, method, "/user_identities/list", parameters)

    @rule(who=WHO, method=METHOD, identity=WHICH, profile=PROFILE)
    def update_identity(self, who: str, method: int, identity: int | str, profile: Json) -> None:
        identity_id = self.pick(who, identity, self.model.identities)
        self.ask(who, method, "/user_identities/update", {"user_identity_id": identity_id, **profile})

    @precondition(lambda self: len(self.model.identities) >= _FEWEST)
    @rule(who=WHO, method=METHOD, identity=WHICH, is_interrupted=st.sampled_from([False, False, True]))
    def delete_identity(
        self,
        who: str,
        method: int,
        identity: int | str,
        is_interrupted: bool,  # noqa: FBT001 - drawn
    ) -> None:
        if is_interrupted:
            self._interrupt_deletion(self.pick(who, identity, self.model.identities))
        else:
            self.ask_about_identity(who, method, "/user_identities/delete", identity)

    def _interrupt_deletion(self, identity_id: str) -> None:
        """Leave an identity as a deletion does whose second request to the database fails."""
        for identity in self.model.identities:
            if identity.id == identity_id and not identity.is_being_deleted:
                mark = {"being_deleted_at": timestamp(datetime.now(UTC))}
                marking = change(user_identity_key(identity.workspace, identity_id), assign=mark)
                assert not self.service.table.transact({"user_identity": marking})
                identity.is_being_deleted = True
                self.counts.operations["interrupt a deletion"] += 1

    @rule(who=WHO, method=METHOD, acs_user=WHICH, identity=WHICH_IF_ANY, key=st.one_of(st.none(), KEY))
    def add_acs_user(
        self, who: str, method: int, acs_user: int | str, identity: int | str | None, key: str | None
    ) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users)
        parameters = {"acs_user_id": acs_user_id, **self._id_or_key(who, identity, key)}
        self.ask(who, method, "/user_identities/add_acs_user", parameters)

    @rule(who=WHO, method=METHOD, acs_user=WHICH, identity=WHICH_IF_ANY)
    def remove_acs_user(self, who: str, method: int, acs_user: int | str, identity: int | str | None) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users, lambda one: one.identity is not None)
        own = [one.identity.id for one in self.model.acs_users if one.id == acs_user_id and one.identity]
        identity_id = own[0] if own and identity is None else self.pick(who, identity or 0, self.model.identities)
        parameters = {"user_identity_id": identity_id, "acs_user_id": acs_user_id}
        self.ask(who, method, "/user_identities/remove_acs_user", parameters)

    @rule(
        who=READER,
        method=METHOD,
        identity=WHICH,
        path=st.sampled_from(["enrollment_automations/list", "list_acs_users", "list_acs_systems"]),
    )
    def list_what_an_identity_has(self, who: str, method: int, identity: int | str, path: str) -> None:
        self.ask_about_identity(who, method, f"/user_identities/{path}", identity)
