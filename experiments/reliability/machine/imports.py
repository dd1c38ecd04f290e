"""Rows of directory files."""

from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import rule

from enrollment.timestamps import timestamp
from enrollments.directory.importing import import_rows
from enrollments.directory.rows import RawRow, read_row
from experiments.reliability.machine.asking import UNKNOWN, Asking
from experiments.reliability.machine.drawn import EMAIL, NAME, PHONE
from experiments.reliability.model.calls import Json
from experiments.reliability.model.imports import import_row

_MOST_SYSTEMS = 6


class ImportRules(Asking):
    """Rows of directory files."""

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        system=st.integers(0, 3),
        is_new=st.sampled_from([False, False, False, True]),
        person=st.fixed_dictionaries(
            {},
            optional={
                "full_name": st.one_of(NAME, NAME, st.none()),
                "email_address": st.one_of(EMAIL, EMAIL, st.none()),
                "phone_number": st.one_of(PHONE, PHONE, st.none()),
                "created_at": st.sampled_from(["2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"]),
            },
        ),
    )
    def import_acs_user(
        self,
        workspace: int,
        which: int,
        system: int,
        is_new: bool,  # noqa: FBT001 - drawn
        person: Json,
    ) -> None:
        who = f"key {workspace}"
        acs_user_id = str(uuid4()) if is_new else self.pick(who, which, self.model.acs_users)
        own = [one.system.id for one in self.model.acs_users if one.id == acs_user_id]
        # One drawn number of four names another system than the record's.
        system_id = own[0] if own and system else self.pick(who, system, self.model.systems)
        self._import(workspace, {"acs_user_id": acs_user_id, "acs_system_id": system_id, **person})

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        system=st.integers(0, 3),
        is_new=st.booleans(),
        properties=st.fixed_dictionaries({}, optional={"display_name": st.sampled_from(["Pool", "Spare"])}),
    )
    def import_pool(
        self,
        workspace: int,
        which: int,
        system: int,
        is_new: bool,  # noqa: FBT001 - drawn
        properties: Json,
    ) -> None:
        who = f"key {workspace}"
        pool_id = str(uuid4()) if is_new else self.pick(who, which, self.model.pools)
        own = [one.system.id for one in self.model.pools if one.id == pool_id]
        system_id = own[0] if own and system else self.pick(who, system, self.model.systems)
        self._import(workspace, {"acs_credential_pool_id": pool_id, "acs_system_id": system_id, **properties})

    @rule(
        workspace=st.sampled_from([0, 0, 1]),
        which=st.integers(0, 4),
        is_new=st.sampled_from([False, False, False, True]),
        properties=st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["Main", "Main Tower"]),
                "is_credential_manager": st.booleans(),
                "connected_account_id": st.just(UNKNOWN),
            },
        ),
    )
    def import_system(
        self,
        workspace: int,
        which: int,
        is_new: bool,  # noqa: FBT001 - drawn
        properties: Json,
    ) -> None:
        systems = [one for one in self.model.systems if one.workspace == self.workspaces[workspace]]
        if is_new and len(systems) < _MOST_SYSTEMS:
            self._import(workspace, {"acs_system_id": str(uuid4()), **properties})
            return
        changes = {name: value for name, value in properties.items() if name != "connected_account_id"}
        self._import(workspace, {"acs_system_id": systems[which % len(systems)].id, **changes})

    def _import(self, workspace: int, row: Json) -> None:
        now = timestamp(datetime.now(UTC))
        expected = import_row(self.model, self.workspaces[workspace], row, now)
        rows = [read_row(RawRow(1, 1, row))]
        (result,) = import_rows(self.service.table, self.workspaces[workspace], rows, now)
        note(f"  import {row} into {self.workspaces[workspace]}: {result}")
        assert result.outcome == expected, f"{result} instead of {expected}"
        self.counts.operations["import a row"] += 1
        if "created_at" in row:  # it has another place in lists, so it may come again or not at all
            for opened in self.open_lists:
                opened.there_at_first.discard(row["acs_user_id"])
                opened.seen = [one for one in opened.seen if one != row["acs_user_id"]]
