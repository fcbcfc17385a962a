"""What PostgreSQL's planner is told for the rest of a transaction; SQLite has no such planner."""

from django.db import connection

# A batch looks up a thousand rows by their keys. By default PostgreSQL takes a leap to another page
# for four times as dear as the next page, as on a disk that turns, and would sooner read a table
# of some hundred thousand rows from end to end. This is what its manual suggests for other disks.
ROWS_BY_KEY = "SET LOCAL random_page_cost = 1.1"


def tell(command: str) -> None:
    """Say something that holds until the transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(command)
