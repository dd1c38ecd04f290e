"""Checks of a connector that are about the credentials of an active phone."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from enrollment.managers.protocol import CredentialAnswer, Reason, State
from enrollment.timestamps import timestamp
from enrollments.connectors.asking import TriedCredential, TriedPhone
from enrollments.connectors.findings import LeftOut, NotAsAgreed, saying
from enrollments.connectors.trial import Trial, require_active, require_gone, state_of

_MOST_POOLS = 10
_TWICE_OR_LATE = "everything-can-come-twice-or-late"
_ONE = "one credential must come of it"


def check_credential(trial: Trial, phone: TriedPhone) -> None:
    """Issue a credential, repeat that, change its validity, revoke it, and ask for it once more.

    Args:
        trial: The trial.
        phone: A phone that is active.
    """
    report, asker = trial.report, trial.asker
    report.begin("A credential", "credentialissue")
    with report.check("phone.status of an unknown credential", "gone", "phonestatus"):
        require_gone(trial.credential_of(phone, str(uuid.uuid4())))
    credential, first = trial.new_credential(), None
    with report.check("credential.issue", "active"):
        first = trial.issue(phone, credential)
        _require_validity(trial, first, credential)
    if first is None:
        report.leave_out("all that needs a credential", "none is issued")
        return
    with report.check("the same credential.issue again", "the same credential"):
        _require_same(first, asker.issue(phone, credential))
    with report.check("the same credential.issue again, with memo null", "the same credential"):
        _require_same(first, asker.issue(replace(phone, memo=None), credential))
    if {first.version, first.starts_at, first.ends_at} == {None}:
        with report.check("credential.issue with other versions", ""):
            raise LeftOut("neither version nor validity is answered, so nothing can be seen", is_incomplete=False)
    else:
        _check_versions(trial, phone, credential)
    report.section = "credentialrevoke"
    with report.check("credential.revoke", "gone in the end"):
        trial.revoke(phone, credential.acs_credential_id)
    with report.check("the same credential.revoke again", "gone", _TWICE_OR_LATE):
        trial.revoke(phone, credential.acs_credential_id)
    with report.check("credential.issue of the revoked credential, late", "gone", _TWICE_OR_LATE):
        require_gone(asker.issue(phone, credential))
    with report.check("credential.issue of the revoked credential, with a higher version", "gone", _TWICE_OR_LATE):
        require_gone(asker.issue(phone, replace(credential, version=9)))


def check_lost_answers(trial: Trial, phone: TriedPhone) -> TriedCredential | None:
    """Issue credentials whose answers are lost, or which are asked for twice at once.  Return one that is left.

    Args:
        trial: The trial.
        phone: A phone that is active.
    """
    report, asker = trial.report, trial.asker
    report.begin("Lost answers", _TWICE_OR_LATE)
    with report.check("credential.issue twice at the same moment", "one credential"):
        twice, left = trial.new_credential(), _left_in_pools(trial)
        with ThreadPoolExecutor() as threads:
            answers = [threads.submit(asker.issue, phone, twice) for _ in range(2)]
        found = trial.issue(phone, twice)
        for answer in answers:
            # One of them may be refused, because it is asked for again.
            if not isinstance(answer.exception(), NotAsAgreed):
                _require_same_id(found, answer.result())
        _require_taken(trial, left, most=1)
        trial.revoke(phone, twice.acs_credential_id)
    with report.check("credential.issue whose answer is lost, then the same again", "one credential"):
        lost, left = trial.new_credential(), _left_in_pools(trial)
        asker.issue_and_lose_the_answer(phone, lost)
        issued = trial.issue(phone, lost)
        _require_same(issued, asker.issue(phone, lost))
        _require_taken(trial, left, most=1)
        return lost
    return None


def check_pools(trial: Trial, phone: TriedPhone) -> None:
    """Issue a credential from each pool, and from one that is not there.

    Args:
        trial: The trial.
        phone: A phone that is active.
    """
    report, asker = trial.report, trial.asker
    report.begin("Pools", "pools")
    pools = [one.pool for one in trial.manager.pools]
    with report.check("credential.issue from an unknown pool", "failed, with a reason"):
        if not pools:
            raise LeftOut("manager.check names no pool", is_incomplete=False)
        credential = trial.new_credential(f"unknown-{uuid.uuid4().hex[:8]}")
        answer = trial.wait_for_credential(phone, asker.issue(phone, credential))
        if answer.state is not State.FAILED:
            raise NotAsAgreed(f"{state_of(answer)} came", "failed must come, with rejected as its reason")
    for pool in pools[:_MOST_POOLS]:
        with report.check(f"credential.issue from the pool {saying(pool)}", "active, or pool_exhausted"):
            credential = trial.new_credential(pool)
            answer = trial.wait_for_credential(phone, asker.issue(phone, credential))
            if answer.reason != Reason.POOL_EXHAUSTED:
                require_active(answer)
            trial.revoke(phone, credential.acs_credential_id)


def _check_versions(trial: Trial, phone: TriedPhone, credential: TriedCredential) -> None:
    """Change a credential's validity, and ask for the former one late."""
    report, asker, validity = trial.report, trial.asker, credential.validity
    ends_later = replace(validity, ends_at=validity.starts_at + timedelta(days=60))
    longer = replace(credential, version=2, validity=ends_later)
    with report.check("credential.issue with version 2 and another ends_at", "version 2"):
        _require_validity(trial, trial.issue(phone, longer), longer)
    with report.check("credential.issue with version 1, late", "nothing is changed", _TWICE_OR_LATE):
        _require_validity(trial, asker.issue(phone, credential), longer)
        _require_validity(trial, trial.credential_of(phone, credential.acs_credential_id), longer)
    endless = replace(credential, version=3, validity=replace(validity, ends_at=None))
    with report.check("credential.issue with version 3 and ends_at null", "version 3"):
        _require_validity(trial, trial.issue(phone, endless), endless)


def _require_validity(trial: Trial, answer: CredentialAnswer, wanted: TriedCredential) -> None:
    """Check that an active credential has the validity that is wanted, as far as it is told."""
    require_active(answer)
    if answer.version not in {None, wanted.version}:
        raise NotAsAgreed(f"version is {answer.version}", f"it must be {wanted.version}")
    if not trial.manager.keeps_validity:
        return
    for name in ("starts_at", "ends_at"):
        told, asked = getattr(answer, name), getattr(wanted.validity, name)
        if told is not None and (asked is None or timestamp(told) != timestamp(asked)):
            must = "null" if asked is None else timestamp(asked)
            raise NotAsAgreed(f"{name} is {timestamp(told)}", f"it must be {must}, as it was asked for, or left out")


def _require_same(first: CredentialAnswer, again: CredentialAnswer) -> None:
    _require_same_id(first, again)
    if again.state is not first.state:
        raise NotAsAgreed(f"{state_of(again)} came", f"{first.state} must come, as before")


def _require_same_id(first: CredentialAnswer, again: CredentialAnswer) -> None:
    if None not in {first.manager_credential_id, again.manager_credential_id} and (
        first.manager_credential_id != again.manager_credential_id
    ):
        raise NotAsAgreed("manager_credential_id is another one than before", _ONE)


def _left_in_pools(trial: Trial) -> int | None:
    """Return how many credentials are left in all pools, if the connector tells that."""
    with suppress(NotAsAgreed):
        told = [one.available for one in trial.asker.check_manager().pools if one.available is not None]
        return sum(told) if told else None
    return None


def _require_taken(trial: Trial, left: int | None, *, most: int) -> None:
    """Check how many credentials were taken from the pools."""
    now = _left_in_pools(trial)
    if left is not None and now is not None and left - now > most:
        raise NotAsAgreed(f"{left - now} credentials were taken from the pools", _ONE)
