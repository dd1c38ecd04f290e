"""What the functions log: a line of JSON for each answer."""

from aws_lambda_powertools.logging import Logger


def create_logger() -> Logger:
    """Return the function's logger.

    Times are RFC 3339's, in UTC.  The place in the code is left out, because it is the same for each answer.  A message
    is text, also where it looks like JSON.
    """
    return Logger(location=None, use_rfc3339=True, utc=True, json_deserializer=str)
