"""A pretended manufacturer of access systems: what a real one offers as an SDK or an HTTPS API.

It knows nothing of who calls it.  Everything is in memory, so a restart forgets it.  It has

- people;
- phones.  A phone is invited with a code, and accepts within 30 s.  There is no app here, so a phone accepts by itself
  after a second.  A phone whose model is called "invitation expires" does not accept its first invitation;
- mobile credentials from pools, each of which has only so many.

What is made here gets a reference and a note from its caller.  Most manufacturers allow this; some call them external
id and description.  A reference is used once.  What was removed keeps its reference, and a reference that is removed
before anything has it is used up, too.

A call that is not possible raises one of these::

    ManufacturerError
    ├── IsBusy
    ├── EmailIsMissing
    ├── EmailIsTaken
    ├── PersonIsSuspended
    ├── PersonHasPhones
    ├── PhoneIsTooOld
    ├── PhoneIsNotActive
    ├── TooManyPhones
    ├── TooManyCredentials
    ├── PoolIsEmpty
    ├── NoSuchPool
    ├── NotFound
    └── ReferenceIsTaken
"""

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import NamedTuple

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_USUAL_PACE = timedelta(seconds=1)
_INVITATION_LASTS = timedelta(seconds=30)
_POOLS = {"standard": 100, "visitor": 2}
_MOST_PHONES = 5  # of a person
_MOST_CREDENTIALS = 10  # of a phone
_OLDEST_ANDROID = 8


class ManufacturerError(Exception):
    """The manufacturer does not do what it was asked for."""


class IsBusy(ManufacturerError):
    """It takes no calls for a while.

    Args:
        retry_after_s: For how many seconds.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("The manufacturer takes no calls for a while.")
        self.retry_after_s = retry_after_s


class EmailIsMissing(ManufacturerError):
    """It takes no person without an email address."""


class EmailIsTaken(ManufacturerError):
    """Another person has the email address."""


class PersonIsSuspended(ManufacturerError):
    """The person gets nothing new, because an administrator said so."""


class PersonHasPhones(ManufacturerError):
    """A person who has phones cannot be removed."""


class PhoneIsTooOld(ManufacturerError):
    """The app does not run on the phone."""


class PhoneIsNotActive(ManufacturerError):
    """A phone that has not accepted its invitation, or was taken away, gets no credential."""


class TooManyPhones(ManufacturerError):
    """The person has as many phones as a person can have."""


class TooManyCredentials(ManufacturerError):
    """The phone has as many credentials as a phone can have."""


class PoolIsEmpty(ManufacturerError):
    """The pool has no credential left."""


class NoSuchPool(ManufacturerError):
    """There is no pool of this name."""


class NotFound(ManufacturerError):
    """There is nothing with this id or reference."""


class ReferenceIsTaken(ManufacturerError):
    """Something has this reference already, or had it."""


class PhoneState(StrEnum):
    """How a phone stands."""

    INVITED = "INVITED"
    EXPIRED = "EXPIRED"  # nobody accepted the invitation
    ACTIVE = "ACTIVE"
    REMOVING = "REMOVING"
    REMOVED = "REMOVED"
    TAKEN_AWAY = "TAKEN_AWAY"  # by an administrator; it can be invited again


class CredentialState(StrEnum):
    """How a credential stands."""

    BEING_MADE = "BEING_MADE"
    ACTIVE = "ACTIVE"
    REMOVING = "REMOVING"
    REMOVED = "REMOVED"
    TAKEN_AWAY = "TAKEN_AWAY"  # by an administrator


class Model(NamedTuple):
    """What is known of a phone.

    Attributes:
        name: What its model is called.
        os: ``ios`` or ``android``.
        os_version: The version of that.
    """

    name: str | None
    os: str
    os_version: str | None


class Validity(NamedTuple):
    """When a credential opens doors.

    Attributes:
        starts_at: From when on.
        ends_at: Until when; ``None`` if that has no end.
    """

    starts_at: datetime
    ends_at: datetime | None


# Of what is removed before it is made.
_NO_MODEL = Model(None, "", None)
_NO_VALIDITY = Validity(_LONG_AGO, None)


@dataclass(frozen=True, slots=True)
class Person:
    """A person.

    Attributes:
        reference: The caller's reference.
        name: The full name.
        email: The email address.
        is_suspended: Whether the person gets nothing new.
    """

    reference: str
    name: str | None = None
    email: str | None = None
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone.

    Attributes:
        id: The manufacturer's id.
        reference: The caller's reference.
        note: What the caller noted.
        person: The reference of the person who has it.
        model: What is known of it.
        code: The code of the newest invitation, which the app needs.  It is secret.
        invitations: How many invitations it got.
        invited_at: When it got the newest.
        code_ends_at: Until when that can be accepted.
        removed_at: When its removal began.
        is_taken_away: Whether an administrator took it away.
        state: How it stands.
    """

    id: str
    reference: str
    note: str = ""
    person: str = ""
    model: Model = _NO_MODEL
    code: str = ""
    invitations: int = 0
    invited_at: datetime = _LONG_AGO
    code_ends_at: datetime = _LONG_AGO
    removed_at: datetime | None = None
    is_taken_away: bool = False
    state: PhoneState = PhoneState.INVITED


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential of a phone.

    Attributes:
        id: The manufacturer's id.
        reference: The caller's reference.
        note: What the caller noted.
        phone_id: The id of the phone.
        pool: The name of the pool that it comes from.
        card_number: The number that a door reads.
        validity: When it opens doors.
        made_at: When it was issued.
        removed_at: When its removal began.
        is_taken_away: Whether an administrator took it away.
        state: How it stands.
    """

    id: str
    reference: str
    note: str = ""
    phone_id: str = ""
    pool: str = ""
    card_number: str = ""
    validity: Validity = _NO_VALIDITY
    made_at: datetime = _LONG_AGO
    removed_at: datetime | None = None
    is_taken_away: bool = False
    state: CredentialState = CredentialState.BEING_MADE


class Manufacturer:
    """The manufacturer.  Threads may share it: each call is done at once and alone.

    Every call but those of an administrator can raise ``IsBusy``.

    Args:
        now: Returns the time.
        pools: How many credentials each pool has, by name.
        pace: How long accepting an invitation, making a credential and a removal take.
        invitation_lasts: How long an invitation can be accepted.
        needs_email: Whether each person needs an email address.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pools: Mapping[str, int] = _POOLS,
        pace: timedelta = _USUAL_PACE,
        invitation_lasts: timedelta = _INVITATION_LASTS,
        needs_email: bool = False,
    ) -> None:
        self._now = now
        self._pools = pools
        self._pace = pace
        self._invitation_lasts = invitation_lasts
        self._needs_email = needs_email
        self._lock = threading.RLock()
        self._people: dict[str, Person] = {}
        self._phones: dict[str, Phone] = {}  # by reference
        self._credentials: dict[str, Credential] = {}  # by reference
        self._card_numbers = count(100001)
        self._busy_until = _LONG_AGO

    # People

    def put_person(self, reference: str, name: str | None, email: str | None) -> Person:
        """Add a person, or change the person who has the reference.

        Args:
            reference: The caller's reference.
            name: The full name.
            email: The email address.

        Raises:
            EmailIsMissing: It is ``None``, and each person needs one.
            EmailIsTaken: Another person has it.
        """
        with self._at_work():
            if email is None and self._needs_email:
                raise EmailIsMissing("A person needs an email address.")
            if email is not None and any(
                one.email == email and one.reference != reference for one in self._people.values()
            ):
                raise EmailIsTaken("Another person has this email address.")
            known = self._people.get(reference, Person(reference))
            self._people[reference] = replace(known, name=name, email=email)
            return self._people[reference]

    def find_person(self, reference: str) -> Person | None:
        """Return the person who has a reference; ``None`` if there is none."""
        with self._at_work():
            return self._people.get(reference)

    def remove_person(self, reference: str) -> None:
        """Remove a person, if there is one with the reference.

        Raises:
            PersonHasPhones: The person has phones that are not being removed.
        """
        with self._at_work():
            if self._living_phones(reference):
                raise PersonHasPhones("The person has phones.")
            self._people.pop(reference, None)

    # Phones

    def invite(self, person: str, reference: str, model: Model, *, note: str) -> Phone:
        """Add a phone, and invite it.

        Args:
            person: The reference of the person who has it.
            reference: The caller's reference of the phone.
            model: What is known of it.
            note: A note.

        Raises:
            NotFound: There is no such person.
            PersonIsSuspended: The person gets nothing new.
            ReferenceIsTaken: A phone has this reference, or had it.
            PhoneIsTooOld: The app does not run on it.
            TooManyPhones: The person has as many as possible.
        """
        with self._at_work():
            if reference in self._phones:
                raise ReferenceIsTaken("A phone has this reference already.")
            self._check_person(person)
            version = re.match(r"\d+", model.os_version or "")
            if model.os == "android" and version and int(version[0]) < _OLDEST_ANDROID:
                raise PhoneIsTooOld(f"The app needs Android {_OLDEST_ANDROID}.")
            if len(self._living_phones(person)) >= _MOST_PHONES:
                raise TooManyPhones(f"A person can have {_MOST_PHONES} phones.")
            phone = Phone(_new_id("phone"), reference, person=person, model=model)
            return self._invite(phone, note)

    def invite_again(self, phone_id: str, *, note: str) -> Phone:
        """Invite a phone again, with a new code.

        Args:
            phone_id: The phone, which is expired or was taken away.
            note: A note, in the place of the former one.

        Raises:
            NotFound: There is no such phone or person, or the phone stands otherwise.
            PersonIsSuspended: The person gets nothing new.
        """
        with self._at_work():
            phone = self.get_phone(phone_id)
            if phone is None or phone.state not in {PhoneState.EXPIRED, PhoneState.TAKEN_AWAY}:
                raise NotFound("There is no such phone to be invited again.")
            self._check_person(phone.person)
            return self._invite(replace(phone, is_taken_away=False), note)

    def get_phone(self, phone_id: str) -> Phone | None:
        """Return the phone that has an id; ``None`` if there is none."""
        with self._at_work():
            return next((self._seen(one) for one in self._phones.values() if one.id == phone_id), None)

    def find_phone(self, reference: str) -> Phone | None:
        """Return the phone that has a reference, also if it is removed; ``None`` if there is none."""
        with self._at_work():
            phone = self._phones.get(reference)
            return None if phone is None else self._seen(phone)

    def remove_phone(self, reference: str) -> Phone:
        """Begin to remove a phone and its credentials, and use its reference up; what is removed stays so."""
        with self._at_work():
            now = self._now()
            # There is nothing to wait for if no phone has had the reference.
            unknown = Phone(_new_id("phone"), reference, removed_at=now - self._pace)
            phone = self._phones.get(reference, unknown)
            self._phones[reference] = replace(phone, removed_at=phone.removed_at or now)
            for credential in self._credentials_of(phone.id):
                self.remove_credential(credential.reference)
            return self._seen(self._phones[reference])

    # Credentials

    def issue(self, phone_id: str, reference: str, pool: str, validity: Validity, *, note: str) -> Credential:
        """Issue a credential to a phone.

        Args:
            phone_id: The phone.
            reference: The caller's reference of the credential.
            pool: The name of the pool that it comes from.
            validity: When it opens doors.
            note: A note.

        Raises:
            NotFound: There is no such phone or person.
            PersonIsSuspended: The person gets nothing new.
            ReferenceIsTaken: A credential has this reference, or had it.
            PhoneIsNotActive: The phone is not active.
            TooManyCredentials: The phone has as many as possible.
            NoSuchPool: There is no such pool.
            PoolIsEmpty: It has no credential left.
        """
        with self._at_work():
            if reference in self._credentials:
                raise ReferenceIsTaken("A credential has this reference already.")
            phone = self._active_phone(phone_id)
            if len(self._credentials_of(phone.id)) >= _MOST_CREDENTIALS:
                raise TooManyCredentials(f"A phone can have {_MOST_CREDENTIALS} credentials.")
            left = self.available()
            if pool not in left:
                raise NoSuchPool(f"There is no such pool; the pools are called {', '.join(left)}.")
            if not left[pool]:
                raise PoolIsEmpty("The pool has no credential left.")
            credential = Credential(
                _new_id("credential"),
                reference,
                note=note,
                phone_id=phone.id,
                pool=pool,
                card_number=str(next(self._card_numbers)),
                validity=validity,
                made_at=self._now(),
            )
            self._credentials[reference] = credential
            return credential

    def change_credential(self, reference: str, validity: Validity, *, note: str) -> Credential:
        """Change the validity of a credential.

        Args:
            reference: The caller's reference of the credential.
            validity: When it opens doors.
            note: A note, in the place of the former one.

        Raises:
            NotFound: There is no such credential, or it is removed.
            PersonIsSuspended: The person gets nothing new.
            PhoneIsNotActive: The phone is not active.
        """
        with self._at_work():
            known = self._credentials.get(reference)
            if known is None or not self._is_living(known):
                raise NotFound("There is no such credential.")
            self._active_phone(known.phone_id)
            self._credentials[reference] = replace(known, validity=validity, note=note)
            return self._seen_credential(self._credentials[reference])

    def find_credential(self, reference: str) -> Credential | None:
        """Return the credential that has a reference, also if it is removed; ``None`` if there is none."""
        with self._at_work():
            credential = self._credentials.get(reference)
            return None if credential is None else self._seen_credential(credential)

    def remove_credential(self, reference: str) -> Credential:
        """Begin to remove a credential, and use its reference up; what is removed stays so."""
        with self._at_work():
            now = self._now()
            unknown = Credential(_new_id("credential"), reference, removed_at=now - self._pace)
            credential = self._credentials.get(reference, unknown)
            self._credentials[reference] = replace(credential, removed_at=credential.removed_at or now)
            return self._seen_credential(self._credentials[reference])

    def available(self) -> dict[str, int]:
        """Return how many credentials are left in each pool."""
        with self._at_work():
            over = {CredentialState.REMOVED, CredentialState.TAKEN_AWAY}
            seen = [self._seen_credential(one) for one in self._credentials.values()]
            used = [one.pool for one in seen if one.state not in over]
            return {pool: size - used.count(pool) for pool, size in self._pools.items()}

    # What an administrator does in the manufacturer's own console, and what can go wrong

    def suspend_person(self, reference: str) -> None:
        """Let a person get nothing new."""
        with self._lock:
            self._people[reference] = replace(self._people[reference], is_suspended=True)

    def take_phone_away(self, reference: str) -> None:
        """Take a phone and its credentials away from a person."""
        with self._lock:
            self._phones[reference] = replace(self._phones[reference], is_taken_away=True)
            for credential in self._credentials_of(self._phones[reference].id):
                self.take_credential_away(credential.reference)

    def take_credential_away(self, reference: str) -> None:
        """Take a credential away from a phone."""
        with self._lock:
            self._credentials[reference] = replace(self._credentials[reference], is_taken_away=True)

    def be_busy(self, duration: timedelta) -> None:
        """Take no calls for a while."""
        with self._lock:
            self._busy_until = self._now() + duration

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            left = (self._busy_until - self._now()).total_seconds()
            if left > 0:
                raise IsBusy(left)
            yield

    def _check_person(self, reference: str) -> None:
        person = self._people.get(reference)
        if person is None:
            raise NotFound("There is no such person.")
        if person.is_suspended:
            raise PersonIsSuspended("The person is suspended.")

    def _active_phone(self, phone_id: str) -> Phone:
        phone = self.get_phone(phone_id)
        if phone is None:
            raise NotFound("There is no such phone.")
        if phone.state is not PhoneState.ACTIVE:
            raise PhoneIsNotActive("The phone is not active.")
        self._check_person(phone.person)
        return phone

    def _living_phones(self, person: str) -> list[Phone]:
        return [
            one
            for one in self._phones.values()
            if one.person == person and one.removed_at is None and not one.is_taken_away
        ]

    def _credentials_of(self, phone_id: str) -> list[Credential]:
        """Return the credentials of a phone that nobody began to remove."""
        return [one for one in self._credentials.values() if one.phone_id == phone_id and self._is_living(one)]

    def _is_living(self, credential: Credential) -> bool:
        return credential.removed_at is None and not credential.is_taken_away

    def _invite(self, phone: Phone, note: str) -> Phone:
        now = self._now()
        invited = replace(
            phone,
            note=note,
            code=secrets.token_hex(4).upper(),
            invitations=phone.invitations + 1,
            invited_at=now,
            code_ends_at=now + self._invitation_lasts,
        )
        self._phones[phone.reference] = invited
        return self._seen(invited)

    def _seen(self, phone: Phone) -> Phone:
        """Return a phone with the state that it has at this moment."""
        now = self._now()
        accepts = "invitation expires" not in (phone.model.name or "").lower() or phone.invitations > 1
        if phone.removed_at is not None:
            state = PhoneState.REMOVED if now >= phone.removed_at + self._pace else PhoneState.REMOVING
        elif phone.is_taken_away:
            state = PhoneState.TAKEN_AWAY
        elif accepts and now >= phone.invited_at + self._pace:
            state = PhoneState.ACTIVE
        else:
            state = PhoneState.INVITED if now < phone.code_ends_at else PhoneState.EXPIRED
        return replace(phone, state=state)

    def _seen_credential(self, credential: Credential) -> Credential:
        """Return a credential with the state that it has at this moment."""
        now = self._now()
        if credential.removed_at is not None:
            is_over = now >= credential.removed_at + self._pace
            state = CredentialState.REMOVED if is_over else CredentialState.REMOVING
        elif credential.is_taken_away:
            state = CredentialState.TAKEN_AWAY
        else:
            is_made = now >= credential.made_at + self._pace
            state = CredentialState.ACTIVE if is_made else CredentialState.BEING_MADE
        return replace(credential, state=state)


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"
