"""The workspaces, and how things in them are looked up, linked and learnt."""

from collections.abc import Callable

from experiments.reliability.model.calls import SEES_ALL, Caller, Json, Refusal, not_found
from experiments.reliability.model.records import AcsUser, Automation, Identity, Pool, System, Token
from experiments.reliability.model.words import same_email


class State:
    """All workspaces and their tokens."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.systems: list[System] = []
        self.pools: list[Pool] = []
        self.acs_users: list[AcsUser] = []
        self.automations: list[Automation] = []
        self.tokens: list[Token] = []
        self.webhooks: list[tuple[str, Json]] = []
        self.gone: list[Identity | AcsUser | Automation] = []
        self.new: list[Identity | AcsUser | Automation] = []

    def identity(self, caller: Caller, identity_id: str) -> Identity:
        for identity in self.identities:
            if (identity.workspace, identity.id) == (caller.workspace, identity_id.lower()) and (
                caller.sees is SEES_ALL or identity.id in caller.sees
            ):
                return identity
        raise not_found("user_identity")

    def identity_of_key(self, caller: Caller, key: str) -> Identity | None:
        found = [one for one in self.identities if (one.workspace, one.key) == (caller.workspace, key)]
        return found[0] if found else None

    def system(self, caller: Caller, system_id: str) -> System:
        for system in self.systems:
            if (system.workspace, system.id) == (caller.workspace, system_id.lower()):
                return system
        raise not_found("acs_system")

    def acs_user(self, caller: Caller, acs_user_id: str) -> AcsUser:
        for acs_user in self.acs_users:
            if (acs_user.workspace, acs_user.id) == (caller.workspace, acs_user_id.lower()):
                return acs_user
        raise not_found("acs_user")

    def named_acs_user(self, caller: Caller, parameters: Json) -> AcsUser:
        if "user_identity_id" in parameters:
            identity = self.identity(caller, parameters["user_identity_id"])
            for acs_user in self.acs_users:
                if acs_user.identity is identity and acs_user.system.id == parameters["acs_system_id"].lower():
                    return acs_user
            raise not_found("acs_user")
        acs_user = self.acs_user(caller, parameters["acs_user_id"])
        if parameters.get("acs_system_id", acs_user.system.id).lower() != acs_user.system.id:
            raise Refusal(400, ("acs_user_not_in_acs_system", {}))
        return acs_user

    def automation(self, caller: Caller, automation_id: str) -> Automation:
        for automation in self.automations:
            if (automation.workspace, automation.id) == (caller.workspace, automation_id.lower()) and (
                caller.sees is SEES_ALL or automation.identity.id in caller.sees
            ):
                return automation
        raise not_found("enrollment_automation")

    def automation_of(self, identity: Identity | None, system: System) -> Automation | None:
        found = [one for one in self.automations if one.identity is identity and one.system is system]
        return found[0] if found else None

    def acs_users_of(self, identity: Identity) -> list[AcsUser]:
        """Return the ACS users that are linked to an identity."""
        return [acs_user for acs_user in self.acs_users if acs_user.identity is identity]

    def linked(self, identity: Identity, system: System) -> AcsUser | None:
        found = [acs_user for acs_user in self.acs_users_of(identity) if acs_user.system is system]
        return found[0] if found else None

    def holders(
        self, workspace: str, *, key: str | None, email: str | None, phone: str | None, but: Identity | None = None
    ) -> list[Identity]:
        return [
            one
            for one in self.identities
            if one.workspace == workspace
            and one is not but
            and (
                (key is not None and one.key == key)
                or same_email(one.email, email)
                or (phone is not None and one.phone == phone)
            )
        ]

    def learn(self, thing: Identity | AcsUser | Automation, thing_id: str, created_at: str) -> None:
        known = [*self.identities, *self.acs_users, *self.automations, *self.gone]
        assert thing_id not in {one.id for one in known}, f"{thing_id} is not new"
        thing.id, thing.created_at = thing_id, created_at
        self.new.append(thing)

    def link_or_create(self, identity: Identity, system: System) -> Callable[[Json], None] | None:
        """Give an identity an ACS user in a system; return what learns which it is, unless that is known."""
        unlinked = [one for one in self.acs_users if one.system is system and one.identity is None]
        matching = [one for one in unlinked if same_email(one.email, identity.email)] or [
            one for one in unlinked if one.phone is not None and one.phone == identity.phone
        ]
        if len(matching) == 1:
            matching[0].identity = identity
            return None

        def learn(body: Json) -> None:
            (record,) = (one for one in body["acs_users"] if one["acs_system_id"] == system.id)
            if matching:
                (chosen,) = (one for one in matching if one.id == record["acs_user_id"])
                chosen.identity = identity
                return
            new = AcsUser(system.workspace, system, identity.name, identity.email, identity.phone, identity=identity)
            self.learn(new, record["acs_user_id"], record["created_at"])
            self.acs_users.append(new)

        return learn

    def forget[Thing: (Identity, AcsUser, Automation)](self, things: list[Thing], thing: Thing) -> None:
        things.remove(thing)
        self.gone.append(thing)
