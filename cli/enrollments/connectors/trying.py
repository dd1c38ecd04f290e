"""Trying a connector: every request and every failure of the protocol.  A check needs what earlier ones made."""

import click

from enrollments.connectors.credential_checks import check_credential, check_lost_answers, check_pools
from enrollments.connectors.findings import Kind, Report
from enrollments.connectors.phone_checks import (
    check_person_without_addresses,
    check_phone,
    check_second_phone,
    check_unknown_phone,
)
from enrollments.connectors.request_checks import check_bodies, check_manager, check_signatures
from enrollments.connectors.trial import Trial


def try_connector(trial: Trial) -> bool:
    """Try a connector, and remove what was made up, whatever happens.  Return whether it does all that it must.

    Args:
        trial: The trial.
    """
    if check_manager(trial):
        check_signatures(trial)
        check_bodies(trial)
        try:
            _check_work(trial)
        finally:
            trial.remove_all()
    return _summarize(trial.report)


def _check_work(trial: Trial) -> None:
    phone, credential = trial.new_phone(trial.new_person(), "Trial Phone 1"), None
    if check_phone(trial, phone):
        check_credential(trial, phone)
        check_pools(trial, phone)
        credential = check_lost_answers(trial, phone)
    check_second_phone(trial, phone, credential)
    check_unknown_phone(trial)
    check_person_without_addresses(trial)


def _summarize(report: Report) -> bool:
    bad, left_out = report.count(Kind.BAD), report.count(Kind.LEFT_OUT)
    report.write("")
    counts = f"{report.count(Kind.GOOD)} good, {bad} bad, {left_out} left out."
    if bad:
        verdict, colour = "The connector does not do yet what docs/connector.md says.", "red"
    elif not report.is_complete:
        verdict, colour = "Nothing is wrong, but the trial is incomplete: see what was left out.", "yellow"
    else:
        verdict, colour = "The connector does what docs/connector.md says.", "green"
    report.write(f"{counts} {click.style(verdict, fg=colour, bold=True)}")
    return not bad and report.is_complete
