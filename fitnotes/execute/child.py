"""The target of a session's process. Light: the parent imports it only to name it."""

from __future__ import annotations

from multiprocessing.connection import Connection

from fitnotes.execute.protocol import Setup


def serve(connection: Connection, lifeline: Connection, job: Setup) -> None:
    """Imports the worker, and IPython with it, in the child."""
    from fitnotes.execute import worker

    worker.serve(connection, lifeline, job)
