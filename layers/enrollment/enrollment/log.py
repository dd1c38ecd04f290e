"""What the functions log: a line of JSON for each answer."""

import json
import logging

from aws_lambda_powertools.logging import Logger

# What the lines do not have need not be found out for each (the Logging HOWTO's "Optimization"): where a line is
# logged, which is the same place for all, the thread and the process.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

# Powertools makes one anew for each line.
_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False, separators=(",", ":"))


def create_logger() -> Logger:
    """Return the function's logger, whose messages are words, never JSON, and whose times are RFC 3339's, in UTC."""
    return Logger(location=None, json_serializer=_ENCODER.encode, json_deserializer=str, use_rfc3339=True, utc=True)
