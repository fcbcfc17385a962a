"""Sessions in the database, whose keys are looked at before the database is asked."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions


class SessionStore(DatabaseSessions):
    """Refuses what cannot be a key; PostgreSQL would end a page over a NUL in a cookie."""

    def _validate_session_key(self, key: str) -> bool:
        return bool(key and len(key) >= 8 and key.isascii() and key.isalnum())
