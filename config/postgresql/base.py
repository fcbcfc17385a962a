"""The database wrapper; Django looks for it in a module of this name."""

import select
import time

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

FRESH = 5.0  # seconds for which a server that answered is believed to be there


class DatabaseWrapper(base.DatabaseWrapper):
    """Asks a kept connection whether it lives every few seconds, not at every request.

    Django asks `SELECT 1` before the first query of each request, which costs as much as keeping a
    receipt. A server that ends a connection closes its side, and the system knows at once; one that
    vanished without a word is found when it is asked.
    """

    _fresh_until = 0.0

    def is_usable(self) -> bool:
        """Whether the server has answered lately and the idle line is silent since; or answers."""
        if time.monotonic() < self._fresh_until and self._is_silent():
            return True
        usable = bool(super().is_usable())
        self._fresh_until = time.monotonic() + FRESH if usable else 0.0
        return usable

    def _is_silent(self) -> bool:
        kept = self.connection
        if kept is None or kept.closed or kept.info.transaction_status != TransactionStatus.IDLE:
            return False
        line = select.poll()
        line.register(kept, select.POLLIN)
        return not line.poll(0)
