"""What the kernel tells of a session: files that its processes open, look for, make, move and remove, and programs that
they run, also where no Python runs: compiled readers, `%%bash`, what a script starts.

A filter in the session (`session`) makes the kernel ask before each such call; `listener`, a process above the fork
server, notes what it is about and lets it go on. Linux from 5.5 on, without any privilege: see seccomp_unotify(2).
Where the kernel or a container refuses, blocks run without it, and `fitnotes doctor` says so.
"""
