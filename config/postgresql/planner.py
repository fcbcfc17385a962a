"""What PostgreSQL's planner is told, for the rest of a transaction; SQLite has no such planner."""

from django.db import connection

# A batch looks up a thousand rows by their keys. By default PostgreSQL takes a leap to another page
# for four times as dear as the next page, as on a disk that turns, and would sooner read a table
# of some hundred thousand rows from end to end. This is what its manual suggests for other disks.
ROWS_BY_KEY = "SET LOCAL random_page_cost = 1.1"

CHANGED = """
SELECT relname FROM pg_stat_user_tables
WHERE relname = ANY(%s) AND n_mod_since_analyze > 50 + n_live_tup / 10
ORDER BY relname
"""  # in one order for everybody: whoever looks holds the table until the transaction ends


def tell(command: str) -> None:
    """Say something that holds until the transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(command)


def show(*tables: str) -> None:
    """Have it look at those of these tables that changed by a tenth since it looked last.

    It would do so by itself within minutes. Until then it may believe that a table is empty into
    which a list was just read, and compare everyone in it with everyone.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(CHANGED, [list(tables)])
            for (table,) in cursor.fetchall():
                cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")
