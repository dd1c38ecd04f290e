"""The workspaces, and how things in them are looked up, linked and learnt."""

from collections.abc import Callable

from experiments.reliability.model.calls import SEES_ALL, Caller, Json, Refusal, not_found
from experiments.reliability.model.records import (
    AcsUser,
    Automation,
    ClientSession,
    Credential,
    Identity,
    Phone,
    Pool,
    System,
    Thing,
    Token,
    Workspace,
)
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
        self.workspaces: dict[str, Workspace] = {}
        self.sessions: list[ClientSession] = []
        self.phones: list[Phone] = []
        self.registrations: dict[tuple[Phone, System], str] = {}
        self.credentials: list[Credential] = []
        self.changed_enrollments: set[tuple[str, str]] = set()
        self.gone: list[Thing] = []
        self.new: list[Thing] = []

    def identity(self, caller: Caller, identity_id: str) -> Identity:
        identity = self.identity_to_delete(caller, identity_id)
        if identity.is_being_deleted or not (caller.sees is SEES_ALL or identity.id in caller.sees):
            raise not_found("user_identity")
        return identity

    def identity_to_delete(self, caller: Caller, identity_id: str) -> Identity:
        for identity in self.identities:
            if (identity.workspace, identity.id) == (caller.workspace, identity_id.lower()):
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

    def learn(self, thing: Thing, thing_id: str, created_at: str) -> None:
        """Take the id and the moment of something new from an answer."""
        known: list[Thing] = [
            *self.identities,
            *self.acs_users,
            *self.automations,
            *self.sessions,
            *self.phones,
            *self.credentials,
            *self.gone,
        ]
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

    def compatible_managers(self, system: System) -> list[System]:
        """Return the credential managers that can issue credentials for a system."""
        managers = [one for one in self.systems if one.workspace == system.workspace and one.is_manager]
        if system.default_manager is None:
            return managers
        return [one for one in managers if one.id == system.default_manager]

    def credential(self, caller: Caller, credential_id: str) -> Credential:
        for credential in self.credentials:
            if (credential.workspace, credential.id) == (caller.workspace, credential_id.lower()):
                return credential
        raise not_found("acs_credential")

    def shown_sessions(self, workspace: str) -> list[ClientSession]:
        """Return the client sessions that are not revoked.  They may have expired."""
        return [one for one in self.sessions if one.workspace == workspace and not one.is_revoked]

    def end(self, session: ClientSession) -> None:
        """Let a client session's token be refused from now on."""
        session.is_revoked = True
        for token in self.tokens:
            if token.session is session:
                token.is_good = False

    def forget_session(self, session: ClientSession) -> None:
        self.end(session)
        self._forget(self.sessions, session)

    def forget_credential(self, credential: Credential) -> None:
        self.changed_enrollments.add((credential.identity.id, credential.manager.id))
        self._forget(self.credentials, credential)

    def forget_phone(self, phone: Phone) -> None:
        self._forget(self.phones, phone)

    def forget_automation(self, automation: Automation) -> None:
        self._forget(self.automations, automation)

    def unlink(self, acs_user: AcsUser) -> None:
        """Take an ACS user from its user identity.  Its credentials are deleted, so that nobody keeps a key."""
        for credential in [one for one in self.credentials if one.acs_user is acs_user]:
            self.forget_credential(credential)
        acs_user.identity = None

    def forget_acs_user(self, acs_user: AcsUser) -> None:
        self.unlink(acs_user)
        self._forget(self.acs_users, acs_user)

    def forget_identity(self, identity: Identity) -> None:
        """Delete a user identity with all that belongs to it."""
        for session in [one for one in self.sessions if identity.id in one.identities]:
            session.identities.remove(identity.id)
            if not session.identities:
                self.forget_session(session)
        for automation in [one for one in self.automations if one.identity is identity]:
            self.forget_automation(automation)
        for acs_user in self.acs_users_of(identity):
            self.forget_acs_user(acs_user)
        for phone in [one for one in self.phones if one.identity is identity]:
            self.forget_phone(phone)
        self._forget(self.identities, identity)

    def _forget[T: Thing](self, things: list[T], thing: T) -> None:
        things.remove(thing)
        self.gone.append(thing)
