"""No session outlives the command: each ends with the lifeline that the command holds."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

_F_SETSIG = 10


def end_with(lifeline: Connection) -> None:
    """Ends this process group as soon as the parent is gone, whatever a block is doing. Called again in every
    copy of the process, behind its ``setpgid``.

    Nothing is ever sent down ``lifeline``; it only ends. On Linux the kernel itself then kills the process
    group, even when a block holds the interpreter's lock in compiled code; elsewhere a thread does.
    """
    if sys.platform == "linux":
        import fcntl

        # An open file has one owner: each group opens the pipe for itself.
        fd = os.open(f"/proc/self/fd/{lifeline.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(fd, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        if lifeline.poll(0):  # gone before this was set up
            os._exit(1)
        return

    def watch() -> None:
        with contextlib.suppress(OSError, EOFError):
            lifeline.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
