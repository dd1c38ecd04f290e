"""The order in which the API document has its routes."""

import click
import pytest
from pydantic import BaseModel

from enrollment.http.routes import Answer, Route
from enrollments.openapi import reading_order

AUTOMATIONS = "/user_identities/enrollment_automations"


def route(path: str) -> Route:
    def handler() -> Answer[BaseModel]:
        return Answer(BaseModel())

    return Route(path, ("POST",), handler, BaseModel, BaseModel, (), for_client_sessions=False)


def in_reading_order(*paths: str) -> list[str]:
    return [route.path for route in sorted(map(route, paths), key=reading_order)]


def test_the_routes_of_launching_come_first() -> None:
    assert in_reading_order("/acs/users/create", "/user_identities/create", f"{AUTOMATIONS}/list") == [
        f"{AUTOMATIONS}/list",
        "/user_identities/create",
        "/acs/users/create",
    ]


def test_in_a_family_creations_come_first_and_deletions_last() -> None:
    assert in_reading_order(
        "/user_identities/add_acs_user",
        "/user_identities/create",
        "/user_identities/delete",
        "/user_identities/get",
        "/user_identities/list",
        "/user_identities/list_acs_users",
        "/user_identities/remove_acs_user",
        "/user_identities/update",
    ) == [
        "/user_identities/create",
        "/user_identities/get",
        "/user_identities/list",
        "/user_identities/list_acs_users",
        "/user_identities/update",
        "/user_identities/add_acs_user",
        "/user_identities/remove_acs_user",
        "/user_identities/delete",
    ]


def test_an_action_with_a_new_verb_comes_before_deletions() -> None:
    assert in_reading_order("/acs/users/delete", "/acs/users/suspend", "/acs/users/list") == [
        "/acs/users/list",
        "/acs/users/suspend",
        "/acs/users/delete",
    ]


def test_a_route_of_an_unknown_family_has_no_place() -> None:
    with pytest.raises(click.ClickException, match="/doors/get is in a family that _FAMILIES does not describe"):
        reading_order(route("/doors/get"))
