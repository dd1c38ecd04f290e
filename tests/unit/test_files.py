"""Files that commands write: whatever ends a command, nothing with people's data stays but the whole file."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

WRITES = """
import sys
import time
from enrollments.files import replacing

with replacing(sys.argv[1]) as stream:
    stream.write(b"jane@example.com")
    stream.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_ended_leaves_no_file(ended_by: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES, str(tmp_path / "people.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"

        process.send_signal(ended_by)
        process.wait()

    assert list(tmp_path.iterdir()) == []
