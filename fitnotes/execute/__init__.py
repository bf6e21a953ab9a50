"""Running a note's blocks.

In the command: what is stale and why (`plan`, by what results depend on and the `ledger` of last runs), stored results
(`cache`), running what is needed (`run`, within `slots` and a `lock`), one process a session (`sessions`),
and the copies of sessions that a watch keeps (`copies`).

In a session's process: its loop (`worker`), the `shell`, `capture` of output, what blocks depend on (`recorder`,
`probes`), `seeding`, `tracebacks`, sleeping copies (`sleeper`), its end with the command (`lifeline`). `preload`
runs in the fork server; `protocol` is what both sides say.
"""
