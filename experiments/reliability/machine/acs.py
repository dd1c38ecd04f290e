"""ACS systems, credential pools and ACS users."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from experiments.reliability.machine.asking import UNKNOWN, Asking
from experiments.reliability.machine.drawn import (
    EMAIL,
    LIMIT,
    METHOD,
    PERSON,
    PHONE,
    READER,
    SEARCH,
    WHICH,
    WHICH_IF_ANY,
    WHO,
)
from experiments.reliability.model.calls import Json


class AcsRules(Asking):
    """ACS systems, credential pools and ACS users."""

    @rule(
        who=WHO,
        method=METHOD,
        system=WHICH,
        path=st.sampled_from(
            [
                "/acs/systems/get",
                "/acs/systems/list_compatible_credential_manager_acs_systems",
                "/acs/credential_pools/list",
            ]
        ),
        limit=LIMIT,
    )
    def read_about_system(self, who: str, method: int, system: int | str, path: str, limit: int | None) -> None:
        paging = self._filters(limit) if "pools" in path else {}
        self.ask(who, method, path, {"acs_system_id": self.pick(who, system, self.model.systems), **paging})

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.sampled_from([None, None, "main", "-4", "no such"]),
        account=WHICH_IF_ANY,
        customer=st.sampled_from([None, None, None, "customer", "no such"]),
    )
    def list_systems(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        account: int | str | None,
        customer: str | None,
    ) -> None:
        parameters = self._filters(limit, search)
        if account is not None:
            systems = [one for one in self.model.systems if one.id == self.pick(who, account, self.model.systems)]
            parameters["connected_account_id"] = systems[0].connected_account if systems else UNKNOWN
        if customer is not None:
            parameters["customer_key"] = customer
        self.ask(who, method, "/acs/systems/list", parameters)

    @rule(who=WHO, system=WHICH, identity=WHICH_IF_ANY, person=PERSON)
    def create_acs_user(self, who: str, system: int | str, identity: int | str | None, person: Json) -> None:
        parameters = {"acs_system_id": self.pick(who, system, self.model.systems), **person}
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        self.ask(who, 0, "/acs/users/create", parameters)

    @rule(
        who=WHO,
        method=METHOD,
        acs_user=WHICH,
        way=st.sampled_from(["by id", "by id", "in its system", "in a system", "by identity", "both"]),
        system=WHICH,
        deletes=st.sampled_from([False, False, True]),
    )
    def get_or_delete_acs_user(
        self,
        who: str,
        method: int,
        acs_user: int | str,
        way: str,
        system: int | str,
        deletes: bool,  # noqa: FBT001 - drawn
    ) -> None:
        acs_user_id = self.pick(who, acs_user, self.model.acs_users)
        found = [one for one in self.model.acs_users if one.id == acs_user_id]
        parameters = {"acs_user_id": acs_user_id}
        if found and way == "in its system":
            parameters["acs_system_id"] = found[0].system.id
        elif way == "in a system":
            parameters["acs_system_id"] = self.pick(who, system, self.model.systems)
        elif way == "by identity":
            own = [one.identity.id for one in found if one.identity]
            parameters = {
                "user_identity_id": own[0] if own else self.pick(who, acs_user, self.model.identities),
                "acs_system_id": found[0].system.id if found else self.pick(who, system, self.model.systems),
            }
        elif way == "both":
            parameters["user_identity_id"] = self.pick(who, acs_user, self.model.identities)
        self.ask(who, method, f"/acs/users/{'delete' if deletes else 'get'}", parameters)

    @rule(
        who=READER,
        method=METHOD,
        limit=LIMIT,
        search=st.one_of(st.none(), SEARCH),
        before=WHICH_IF_ANY,
        system=WHICH_IF_ANY,
        identity=WHICH_IF_ANY,
        person=st.fixed_dictionaries(
            {},
            optional={
                "user_identity_email_address": st.one_of(EMAIL, st.none()),
                "user_identity_phone_number": st.one_of(PHONE, st.none()),
            },
        ),
    )
    def list_acs_users(
        self,
        who: str,
        method: int,
        limit: int | None,
        search: str | None,
        before: int | str | None,
        system: int | str | None,
        identity: int | str | None,
        person: Json,
    ) -> None:
        parameters = {**self._filters(limit, search, before, self.model.acs_users), **person}
        if system is not None:
            parameters["acs_system_id"] = self.pick(who, system, self.model.systems)
        if identity is not None:
            parameters["user_identity_id"] = self.pick(who, identity, self.model.identities)
        self.ask(who, method, "/acs/users/list", parameters)
