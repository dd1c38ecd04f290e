"""A trial of a connector: the persons and phones that it makes up, how it waits, and how it removes them."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from enrollment.managers.protocol import CredentialAnswer, ManagerAnswer, PhoneAnswer, Reason, State
from enrollments.connectors.asking import Asker, TriedCredential, TriedPhone, Validity
from enrollments.connectors.findings import LeftOut, NotAsAgreed, Report, saying

AT_WORK = (State.PENDING, State.REMOVING)
_SHORTEST_WAIT, _USUAL_WAIT, _LONGEST_WAIT = 0.2, 1.0, 5.0
_CREDENTIALS_LAST = timedelta(days=30)


@dataclass(frozen=True)
class Options:
    """How a connector is tried.

    Attributes:
        patience: For how many seconds to wait for a phone or a credential.
        pool: The pool that credentials come from.
        email_address: Of the test person.
        phone_number: Of the test person.
    """

    patience: float = 60
    pool: str | None = None
    email_address: str | None = None
    phone_number: str | None = None


@dataclass
class Trial:
    """A trial of a connector.

    Attributes:
        asker: Asks the connector.
        report: Gets the findings.
        options: How it is tried.
        sleep: Waits for so many seconds.
        manager: What the connector can do.
        phones: The phones that were made up, each of which is removed at the end.
    """

    asker: Asker
    report: Report
    options: Options
    sleep: Callable[[float], None] = time.sleep
    manager: ManagerAnswer = field(default_factory=ManagerAnswer)
    phones: list[TriedPhone] = field(default_factory=list)

    def new_person(self, **profile: str | None) -> Mapping[str, str | None]:
        """Return a person who is made up.

        Args:
            profile: What is known of the person instead of the usual.
        """
        name = uuid.uuid4().hex[:8]
        return {
            "user_identity_id": str(uuid.uuid4()),
            "acs_user_id": None,
            "full_name": f"Connector Trial {name}",
            "email_address": self.options.email_address or f"connector-trial-{name}@example.com",
            "phone_number": self.options.phone_number,
            **profile,
        }

    def new_phone(self, person: Mapping[str, str | None], model: str) -> TriedPhone:
        """Return a phone that is made up, and is removed at the end.

        Args:
            person: Whose it is.
            model: What its model is called.
        """
        phone = TriedPhone(person, model)
        self.phones.append(phone)
        return phone

    def new_credential(self, pool: str | None = None) -> TriedCredential:
        """Return a credential that is made up.

        Args:
            pool: The pool that it comes from; by default the one of the options.
        """
        now = datetime.now(UTC)
        return TriedCredential(1, Validity(now, now + _CREDENTIALS_LAST), pool or self.options.pool)

    def wait_for_phone(
        self, phone: TriedPhone, answer: PhoneAnswer, *while_it_is: State, patience: float | None = None
    ) -> PhoneAnswer:
        """Ask for a phone's status until it is no longer so, or patience ends.  Return the last answer.

        Args:
            phone: The phone.
            answer: The last answer about it.
            while_it_is: The states in which it is waited for.
            patience: For how many seconds, if not for as many as the options say.

        Raises:
            NotAsAgreed: An answer is not as the protocol says.
        """
        left = self.options.patience if patience is None else patience
        while answer.state in while_it_is and left > 0:
            left -= self._pause(answer)
            answer = self.asker.status(phone)
        return answer

    def wait_for_credential(
        self, phone: TriedPhone, answer: CredentialAnswer, *, version: int | None = None
    ) -> CredentialAnswer:
        """Ask for a credential's status until nobody is at work for it, or patience ends.  Return the last answer.

        Args:
            phone: The phone that has it.
            answer: The last answer about it.
            version: The version that it is to have, if the connector tells versions.

        Raises:
            NotAsAgreed: An answer is not as the protocol says.
        """
        left = self.options.patience
        while left > 0 and (answer.state in AT_WORK or _is_behind(answer, version)):
            left -= self._pause(answer)
            answer = self.credential_of(phone, answer.acs_credential_id)
        return answer

    def credential_of(self, phone: TriedPhone, credential_id: str) -> CredentialAnswer:
        """Return what ``phone.status`` says of a credential.

        Args:
            phone: The phone that it is asked about with.
            credential_id: The credential.

        Raises:
            NotAsAgreed: The answer is not as the protocol says.
        """
        answer = self.asker.status(phone, credential_id)
        return next(one for one in answer.credentials if one.acs_credential_id == credential_id)

    def issue(self, phone: TriedPhone, credential: TriedCredential) -> CredentialAnswer:
        """Have a credential issued, and wait until it is active.

        Args:
            phone: The phone.
            credential: The credential.

        Raises:
            NotAsAgreed: An answer is not as the protocol says.
            LeftOut: The manufacturer refuses it.
        """
        answer = self.asker.issue(phone, credential)
        answer = self.wait_for_credential(phone, answer, version=credential.version)
        require_active(answer)
        return answer

    def revoke(self, phone: TriedPhone, credential_id: str) -> None:
        """Have a credential revoked, and wait until it is gone.

        Args:
            phone: The phone.
            credential_id: The credential.

        Raises:
            NotAsAgreed: An answer is not as the protocol says, or it is not gone when patience ends.
        """
        require_gone(self.wait_for_credential(phone, self.asker.revoke(phone, credential_id)))

    def deregister(self, phone: TriedPhone, *, is_last_phone: bool) -> None:
        """Have a phone removed, and wait until it is gone.

        Args:
            phone: The phone.
            is_last_phone: Whether its person has no other.

        Raises:
            NotAsAgreed: An answer is not as the protocol says, or it is not gone when patience ends.
        """
        answer = self.asker.deregister(phone, is_last_phone=is_last_phone)
        require_gone(self.wait_for_phone(phone, answer, *AT_WORK))

    def remove_all(self) -> None:
        """Remove everything that was made up.  What was removed before is removed once more, which does no harm."""
        self.report.begin("Removing what was made up", "phonederegister")
        with self.report.check("phone.deregister of each phone", "gone"):
            failures = [failure for phone in reversed(self.phones) if (failure := self._failure_to_remove(phone))]
            if failures:
                ids = ", ".join(failures)
                raise NotAsAgreed(f"these phones may still be there: {ids}", "each must be gone; remove them by hand")

    def _failure_to_remove(self, phone: TriedPhone) -> str | None:
        """Remove a phone with what it may have.  Return its id if that does not succeed."""
        others = [one for one in self.phones[: self.phones.index(phone)] if one.person is phone.person]
        is_gone = True
        # A connector that keeps a removed phone's credentials is told to revoke them, too.
        for credential_id in phone.manager_credential_ids:
            is_gone = self._is_done(partial(self.revoke, phone, credential_id)) and is_gone
        is_gone = self._is_done(partial(self.deregister, phone, is_last_phone=not others)) and is_gone
        return None if is_gone else phone.registration_id

    def _is_done(self, remove: Callable[[], None]) -> bool:
        try:
            remove()
        except NotAsAgreed:
            return False
        return True

    def _pause(self, answer: PhoneAnswer | CredentialAnswer) -> float:
        wanted = _USUAL_WAIT if answer.check_after_s is None else answer.check_after_s
        seconds = max(_SHORTEST_WAIT, min(wanted, _LONGEST_WAIT))
        self.sleep(seconds)
        return seconds


def require_gone(answer: PhoneAnswer | CredentialAnswer) -> None:
    """Check that something is gone.

    Raises:
        NotAsAgreed: It is not.
    """
    if answer.state is not State.GONE:
        raise NotAsAgreed(f"{state_of(answer)} came", "gone must come")


def require_active(answer: CredentialAnswer) -> None:
    """Check that a credential is active.

    Raises:
        NotAsAgreed: It is in a state that must not come.
        LeftOut: The manufacturer refuses it, or it is still at work.
    """
    if answer.state is State.FAILED:
        # A phone that can have one credential only has nothing to check with two.
        is_incomplete = answer.reason != Reason.CREDENTIAL_LIMIT_REACHED
        raise LeftOut(f"the credential manager refuses it: {told_by(answer)}", is_incomplete=is_incomplete)
    if answer.state is State.PENDING:
        raise LeftOut("it is still pending when patience ends (--patience)")
    if answer.state is not State.ACTIVE:
        raise NotAsAgreed(f"{state_of(answer)} came", "pending, active or failed must come")


def state_of(answer: PhoneAnswer | CredentialAnswer) -> str:
    """Return a state in words, with the reason of a failure."""
    return f"failed ({told_by(answer)})" if answer.state is State.FAILED else str(answer.state)


def told_by(failed: PhoneAnswer | CredentialAnswer) -> str:
    """Return why something failed, as the connector says it."""
    return saying(": ".join(text for text in (failed.reason, failed.message) if text))


def _is_behind(answer: CredentialAnswer, version: int | None) -> bool:
    is_active = answer.state is State.ACTIVE
    return is_active and version is not None and answer.version is not None and answer.version < version
