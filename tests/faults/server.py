"""A process with the library loaded that runs commands, each in a fork of its own, and kills them where it is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    """Answer requests, a line of JSON each, with the number of a new process or with how one has ended."""
    import mfmgdm_lib.cli.descend
    import mfmgdm_lib.cli.reproduce
    import mfmgdm_lib.companion
    import mfmgdm_lib.distributed
    import mfmgdm_lib.forecasting
    import mfmgdm_lib.io
    import mfmgdm_lib.plotting  # noqa: F401 (all that commands load when they are called)

    for line in sys.stdin:
        request = json.loads(line)
        answer = _ended(request["ended"]) if "ended" in request else _begin(request)
        print(json.dumps(answer), flush=True)


def _ended(process: int) -> int | None:
    """The exit status of a process, below 0 for a signal, or None if it is still there."""
    done, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _begin(request: dict[str, Any]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        os._exit(_command(**request))
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(70)


def _command(arguments: list[str], folder: str, log: str, before: str, kill_at: int | None) -> int:
    """Run a command in a session of its own, and return its exit code.

    Args:
        arguments: of `mfmgdm`.
        folder: where changes of files are counted.
        log: file for what it says; beside it the number of changes is left in `LOG.changes`.
        before: Python to execute first.
        kill_at: before which of the changes to be killed.
    """
    from mfmgdm_lib.cli import main as mfmgdm

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells have what runs in the background ignore
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else said, stream)
    sys.argv = ["mfmgdm", *arguments]
    exec(before, {})
    count = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if _changes(event, details, folder):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    try:
        mfmgdm(arguments, prog_name="mfmgdm")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    total = count
    Path(f"{log}.changes").write_text(str(total))
    return code


def _changes(event: str, details: tuple[Any, ...], folder: str) -> bool:
    """Whether an event of Python's audit is a change of a file in the folder."""
    if event == "open":
        return isinstance(details[0], str) and details[0].startswith(folder) and bool(details[2] & _WRITES)
    return event in ("os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate") and str(details[0]).startswith(
        folder
    )


if __name__ == "__main__":
    main()
