"""Checks of a connector that are about phones: invitations, repetitions, removals, and what comes late."""

import uuid

from enrollment.managers.protocol import PhoneAnswer, State
from enrollments.connectors.asking import TriedCredential, TriedPhone, phone_and_credentials
from enrollments.connectors.findings import LeftOut, NotAsAgreed
from enrollments.connectors.trial import Trial, require_gone, state_of, told_by

_REGISTERED = (State.PENDING, State.INVITED, State.ACTIVE)
_INVITATION_MAY_BE_ACCEPTED_BY_ITSELF = 3.0  # seconds
_TWICE_OR_LATE = "everything-can-come-twice-or-late"


def check_phone(trial: Trial, phone: TriedPhone) -> bool:
    """Register a phone, repeat that, and wait until it is active.  Return whether it is.

    Args:
        trial: The trial.
        phone: The phone.
    """
    report, asker = trial.report, trial.asker
    report.begin("A phone", "phoneregister")
    first = None
    with report.check("phone.register", "the phone is invited"):
        first = _require_registered(asker.register(phone, 1))
    if first is None:
        report.leave_out("all that needs a phone", "none is registered")
        return False
    with report.check("the same phone.register again, with unknown properties", "the same invitation"):
        person = {**phone.person, "colour": "red"}
        _require_same(first, asker.register(phone, 1, colour="red", person=person))
    with report.check("the same phone.register again, with memo null", "the same invitation"):
        _require_same(first, asker.register(phone, 1, memo=None))
    active = None
    with report.check("phone.status, until the phone is active", "active", "phonestatus"):
        active = wait_until_active(trial, phone, first)
        _require_same(first, active)
    if active is None:
        report.leave_out("all that needs an active phone", "there is none")
        return False
    with report.check("the same phone.register again, now that the phone is active", "still active"):
        _require_same(active, asker.register(phone, 1))
    return True


def check_second_phone(trial: Trial, phone: TriedPhone, credential: TriedCredential | None) -> None:
    """Register a second phone of the person, and remove the first one with its credential.

    Args:
        trial: The trial.
        phone: The first phone, which is registered.
        credential: The first phone's credential, if it has one.
    """
    report, asker = trial.report, trial.asker
    report.begin("Two phones of one person", "phonederegister")
    second = trial.new_phone(phone.person, "Trial Phone 2")
    other = _credential_of_second_phone(trial, second)
    with report.check(f"phone.deregister of the first phone{', which has a credential' * bool(credential)}", "gone"):
        trial.deregister(phone, is_last_phone=False)
    with report.check("phone.deregister of it again", "gone", _TWICE_OR_LATE):
        trial.deregister(phone, is_last_phone=False)
    named = () if credential is None else (credential.acs_credential_id,)
    with report.check("phone.status of the removed phone and its credential", "gone", "phonestatus"):
        for one in phone_and_credentials(asker.status(phone, *named)):
            require_gone(one)
    with report.check("phone.register of the removed phone, late", "gone", _TWICE_OR_LATE):
        require_gone(asker.register(phone, 1))
    with report.check("phone.register of the removed phone, with a higher attempt", "gone", _TWICE_OR_LATE):
        require_gone(asker.register(phone, 2))
    with report.check("credential.issue for the removed phone, late", "gone", _TWICE_OR_LATE):
        for late in (credential, trial.new_credential()):
            if late is not None:
                require_gone(asker.issue(phone, late))
    with report.check("phone.status of the second phone and its credential", "as before"):
        if other is None:
            raise LeftOut("it has no credential")
        for one in phone_and_credentials(asker.status(second, other.acs_credential_id)):
            if one.state is not State.ACTIVE:
                raise NotAsAgreed(f"{state_of(one)} came", "what was not named must stay active")
    with report.check("credential.revoke of a credential that never was, then its credential.issue", "gone"):
        never = trial.new_credential()
        trial.revoke(second, never.acs_credential_id)
        require_gone(asker.issue(second, never))


def _credential_of_second_phone(trial: Trial, phone: TriedPhone) -> TriedCredential | None:
    """Register a second phone, and issue a credential to it.  Return the credential, if that succeeds."""
    report, asker, is_invited = trial.report, trial.asker, False
    with report.check("phone.register of a second phone", "the phone is invited", "phoneregister"):
        _require_registered(asker.register(phone, 1))
        is_invited = True
    if not is_invited:
        return None
    with report.check("the same with attempt 2, then with attempt 1 late", "both work", "phoneregister"):
        for attempt in (2, 1):
            _require_invited(asker.register(phone, attempt))
    with report.check("phone.status, until the second phone is active; then credential.issue", "active", "phonestatus"):
        wait_until_active(trial, phone, asker.status(phone))
        credential = trial.new_credential()
        trial.issue(phone, credential)
        return credential
    return None


def check_unknown_phone(trial: Trial) -> None:
    """Ask about a phone that was never registered, and register it late.

    Args:
        trial: The trial.
    """
    report, asker = trial.report, trial.asker
    report.begin("A phone that was never registered", _TWICE_OR_LATE)
    phone = trial.new_phone(trial.new_person(), "Trial Phone 3")
    with report.check("phone.status", "gone", "phonestatus"):
        for one in phone_and_credentials(asker.status(phone, str(uuid.uuid4()))):
            require_gone(one)
    with report.check("credential.issue", "failed or gone", "credentialissue"):
        issued = asker.issue(phone, trial.new_credential())
        if issued.state not in {State.FAILED, State.GONE}:
            raise NotAsAgreed(f"{state_of(issued)} came", "failed or gone must come")
    with report.check("credential.revoke", "gone"):
        trial.revoke(phone, str(uuid.uuid4()))
    with report.check("phone.deregister", "gone"):
        trial.deregister(phone, is_last_phone=True)
    with report.check("phone.register after that", "gone"):
        require_gone(asker.register(phone, 1))


def check_person_without_addresses(trial: Trial) -> None:
    """Register the phone of a person who has no email address and no phone number, and remove it.

    Args:
        trial: The trial.
    """
    report = trial.report
    report.begin("A person without an email address and a phone number", "failures")
    person = trial.new_person(email_address=None, phone_number=None)
    phone = trial.new_phone(person, "Trial Phone 4")
    with report.check("phone.register", "the phone is invited, or refused with a reason"):
        answer = trial.wait_for_phone(phone, trial.asker.register(phone, 1), State.PENDING)
        if answer.state is not State.FAILED:
            _require_registered(answer)
    with report.check("phone.deregister", "gone", "phonederegister"):
        trial.deregister(phone, is_last_phone=True)


def wait_until_active(trial: Trial, phone: TriedPhone, answer: PhoneAnswer) -> PhoneAnswer:
    """Ask for a phone's status until it is active.  Return the last answer.

    Args:
        trial: The trial.
        phone: The phone.
        answer: The last answer about it.

    Raises:
        NotAsAgreed: An answer is not as the protocol says.
        LeftOut: It does not become active.
    """
    waiting, patience = (State.PENDING, State.INVITED), trial.options.patience
    at_once = min(patience, _INVITATION_MAY_BE_ACCEPTED_BY_ITSELF)
    answer = trial.wait_for_phone(phone, answer, *waiting, patience=at_once)
    if answer.state is State.INVITED and patience > at_once:
        trial.report.note(f"The phone is invited. Accept the invitation on a test phone within {patience:.0f} s.")
    answer = trial.wait_for_phone(phone, answer, *waiting)
    match answer.state:
        case State.ACTIVE:
            return answer
        case State.INVITED:
            raise LeftOut("nobody accepts the invitation; accept it on a test phone, and wait longer (--patience)")
        case State.PENDING:
            raise LeftOut("it is still pending when patience ends (--patience)")
    return _require_registered(answer)


def _require_registered(answer: PhoneAnswer) -> PhoneAnswer:
    if answer.state is State.FAILED:
        raise LeftOut(f"the credential manager refuses the phone: {told_by(answer)}")
    _require_invited(answer)
    return answer


def _require_invited(answer: PhoneAnswer) -> None:
    if answer.state not in _REGISTERED:
        raise NotAsAgreed(f"{state_of(answer)} came", "pending, invited or active must come")


def _require_same(first: PhoneAnswer, again: PhoneAnswer) -> None:
    """Check that two answers are about the same invitation."""
    # pending, invited and active come in this order, but a manager may be at work again.
    if again.state not in _REGISTERED or (first.state is State.ACTIVE and again.state is not State.ACTIVE):
        raise NotAsAgreed(f"{state_of(again)} came after {first.state}", "it must stand as before, or better")
    for name in ("endpoint_id", "app"):
        before, after = getattr(first, name), getattr(again, name)
        if before is not None and after is not None and before != after:
            raise NotAsAgreed(f"{name} is another one than before", "there must be no second invitation")
