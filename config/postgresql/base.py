"""The database wrapper; Django looks for it in a module of this name."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Tells whether a kept connection lives without a question to the server.

    Django asks `SELECT 1` before the first query of each request, which costs as much as keeping a
    receipt. A server that has ended a connection has closed its side, and the system knows at once.
    """

    def is_usable(self) -> bool:
        """Whether the idle line is silent; if anything was heard on it, the server is asked."""
        if self.connection is None or self.connection.closed:
            return False
        line = select.poll()
        line.register(self.connection, select.POLLIN)
        return not line.poll(0) or super().is_usable()
