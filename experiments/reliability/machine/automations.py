"""Launches, and what is read and deleted of automations."""

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import METHOD, READER, WHICH, WHICH_IF_ANY, WHICH_OR_NONE_SUCH, WHO
from experiments.reliability.model.automations import AUTOMATIONS

if TYPE_CHECKING:
    from experiments.reliability.model.calls import Json


class AutomationRules(Asking):
    """Launches, and what is read and deleted of automations."""

    # Several rules, because Hypothesis leaves some out of each sequence.

    @rule(who=WHO, identity=WHICH_OR_NONE_SUCH, manager=WHICH, creates=st.sampled_from([None, False]))
    def launch(self, who: str, identity: int | str, manager: int | str, creates: bool | None) -> None:  # noqa: FBT001
        self._launch(who, identity, manager, creates=creates)

    @rule(who=WHO, identity=WHICH, manager=WHICH, pool=WHICH_IF_ANY)
    def launch_with_whatever_acs_user(
        self, who: str, identity: int | str, manager: int | str, pool: int | str | None
    ) -> None:
        self._launch(who, identity, manager, pool=pool, creates=True)

    @rule(who=WHO, identity=WHICH, manager=WHICH, pool=WHICH, creates=st.sampled_from([None, True]))
    def launch_from_pool(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        pool: int | str,
        creates: bool | None,  # noqa: FBT001
    ) -> None:
        self._launch(who, identity, manager, pool=pool, creates=creates)

    @rule(who=WHO, identity=WHICH, manager=WHICH, named=WHICH, creates=st.sampled_from([None, None, False, True]))
    def launch_with_named_acs_user(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        named: int | str,
        creates: bool | None,  # noqa: FBT001
    ) -> None:
        self._launch(who, identity, manager, creates=creates, named=named)

    def _launch(
        self,
        who: str,
        identity: int | str,
        manager: int | str,
        *,
        pool: int | str | None = None,
        creates: bool | None = None,
        named: int | str | None = None,
    ) -> None:
        manager_id = self.pick(who, manager, self.model.systems, lambda one: one.is_manager)
        parameters: Json = {
            "user_identity_id": self.pick(who, identity, self.model.identities),
            "credential_manager_acs_system_id": manager_id,
        }
        if pool is not None:
            parameters["acs_credential_pool_id"] = self.pick(
                who, pool, self.model.pools, lambda one: one.system.id == manager_id
            )
        if creates is not None:
            parameters["create_credential_manager_user"] = creates
        if named is not None:
            parameters["credential_manager_acs_user_id"] = self.pick(
                who, named, self.model.acs_users, lambda one: one.system.id == manager_id
            )
        self.ask(who, 0, f"{AUTOMATIONS}/launch", parameters)

    @precondition(lambda self: self.model.automations)
    @rule(who=WHO, automation=WHICH, differs=st.sampled_from(["not", "not", "in flag", "in pool", "in ACS user"]))
    def launch_again(self, who: str, automation: int | str, differs: str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        found = [one for one in self.model.automations if one.id == automation_id]
        if not found:
            return
        pool, creates, named = found[0].asked
        named_id = named and named.id
        manager = found[0].system
        if differs == "in flag":
            creates, named_id = not creates, None
        if differs == "in pool":
            pool = None if pool else next((one for one in self.model.pools if one.system is manager), None)
        if differs == "in ACS user":
            creates, named_id = False, self.pick(who, 0, self.model.acs_users, lambda one: one.system is manager)
        parameters = {
            "user_identity_id": found[0].identity.id,
            "credential_manager_acs_system_id": manager.id,
            "create_credential_manager_user": creates,
            **({"acs_credential_pool_id": pool.id} if pool else {}),
            **({"credential_manager_acs_user_id": named_id} if named_id else {}),
        }
        self.ask(who, 0, f"{AUTOMATIONS}/launch", parameters)

    @precondition(lambda self: self.model.automations)
    @rule(who=READER, method=METHOD, automation=WHICH)
    def get_automation(self, who: str, method: int, automation: int | str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        self.ask(who, method, f"{AUTOMATIONS}/get", {"enrollment_automation_id": automation_id})

    @precondition(lambda self: self.model.automations)
    @rule(who=WHO, method=METHOD, automation=WHICH)
    def delete_automation(self, who: str, method: int, automation: int | str) -> None:
        automation_id = self.pick(who, automation, self.model.automations)
        self.ask(who, method, f"{AUTOMATIONS}/delete", {"enrollment_automation_id": automation_id})
