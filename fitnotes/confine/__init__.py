"""Programs that work on somebody's text, such as LaTeX, see the folders that they need and nothing else.

The kernel does it: Landlock (Linux 5.13) for files, a seccomp filter for the network. Both are asked for by `launch`,
a small script that then becomes the program. Where the kernel has no Landlock, and on other systems, programs run as
they are; `fitnotes doctor` says so.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from fitnotes.confine import launch

# What programs of a system are made of. Of /etc only what tells where fonts, libraries and TeX's own files are.
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/nix", "/gnu", "/var/lib/texmf", "/var/cache/fontconfig",
    "/etc/fonts", "/etc/texmf", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/localtime", "/etc/papersize", "/etc/paperspecs", "/etc/libpaper.d", "/dev/null", "/dev/zero",
    "/dev/urandom", "/dev/random", "/proc/sys/kernel/random", "/proc/meminfo", "/proc/cpuinfo",
    "/sys/devices/system/cpu",
)  # fmt: skip


@functools.cache
def available() -> bool:
    """Whether this kernel can keep a program to its folders."""
    if os.environ.get("FITNOTES_CONFINE") == "off" or sys.platform != "linux":
        return False
    try:
        return launch.landlock_version() > 0
    except OSError:
        return False


def confined(
    command: Sequence[str],
    *,
    reads: Iterable[str | os.PathLike[str]] = (),
    writes: Iterable[str | os.PathLike[str]] = (),
) -> list[str]:
    """The command that runs ``command`` so that it reads the system's files and ``reads``, reads and writes ``writes``,
    and reaches no network; as it is where the kernel cannot do that."""
    if not available():
        return list(command)
    program = Path(command[0]).resolve().parent
    folders = {
        "reads": [*SYSTEM, str(program), *(os.fspath(path) for path in reads)],
        "writes": ["/dev/null", *(os.fspath(path) for path in writes)],
    }
    return [sys.executable, "-I", "-S", launch.__file__, json.dumps(folders), *command]
