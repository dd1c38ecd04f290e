"""What the functions log: a line of JSON for each answer."""

import json
import logging

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

# What the lines do not have need not be found out for each (the Logging HOWTO's "Optimization"): where a line is
# logged, which is the same place for all, the thread and the process.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

# Powertools makes one anew for each line.
_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False, separators=(",", ":"))

# What Python notes of each line, and what the formatter has a pattern for.
_NO_KEYS = frozenset(logging.makeLogRecord({}).__dict__) | {"level", "location", "message", "timestamp"}


class _LineFormatter(LambdaPowertoolsFormatter):
    """Powertools' formatter without the detours that no line needs but a defect's; they were half of its work."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.args:
            return super().format(record)
        line = {"level": record.levelname, "message": record.msg, "timestamp": self.formatTime(record)}
        for keys in (self.log_format, record.__dict__, {"xray_trace_id": self._get_latest_trace_id()}):
            line |= {name: value for name, value in keys.items() if name not in _NO_KEYS and value is not None}
        return self.serialize(line)


def create_logger() -> Logger:
    """Return the function's logger, whose messages are words, never JSON, and whose times are RFC 3339's, in UTC."""
    formatter = _LineFormatter(
        json_serializer=_ENCODER.encode, json_deserializer=str, location=None, use_rfc3339=True, utc=True
    )
    return Logger(logger_formatter=formatter)
