from enrollment.errors import EnrollmentAutomationAlreadyExists, InvalidContentType, InvalidInput


def test_a_body_that_is_not_called_json_is_one_of_a_post_if_nothing_else_is_said() -> None:
    assert InvalidContentType().message == 'POST requests must have Content-Type header with "application/json"'


def test_one_missing_parameter_is_named_in_the_message() -> None:
    error = InvalidInput([("user_identity_id", "Required")])

    assert error.message == "user_identity_id is required"
    assert error.details() == {
        "validation_errors": {"_errors": [], "user_identity_id": {"_errors": ["Required"]}},
    }


def test_several_problems_are_counted_and_listed() -> None:
    error = InvalidInput([("user_identity_id", "Required"), ("acs_credential_pool_id", "Invalid uuid")])

    assert error.message == '2 Input Errors: user_identity_id is required, Invalid uuid for "acs_credential_pool_id"'


def test_a_problem_inside_a_parameter_is_named_by_its_path_and_found_by_the_parameter() -> None:
    error = InvalidInput([("access_schedule.ends_at", "Required"), ("access_schedule.starts_at", "Invalid datetime")])

    assert error.message == (
        '2 Input Errors: access_schedule.ends_at is required, Invalid datetime for "access_schedule.starts_at"'
    )
    assert error.details() == {
        "validation_errors": {"_errors": [], "access_schedule": {"_errors": ["Required", "Invalid datetime"]}},
    }


def test_a_rule_over_several_fields_stands_bare() -> None:
    error = InvalidInput([(None, "Not both")])

    assert error.message == "Not both"
    assert error.details() == {"validation_errors": {"_errors": ["Not both"]}}


def test_a_conflict_names_the_automation_that_exists() -> None:
    error = EnrollmentAutomationAlreadyExists("an-id")

    assert error.details() == {"data": {"enrollment_automation_id": "an-id"}}
