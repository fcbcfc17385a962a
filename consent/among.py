"""The lookup `among`: as `in`, but one parameter however many values there are.

Ten thousand placeholders cost more to write and to parse than the rows they find.
"""

import json
import uuid
from typing import Any

from django.db.models import Lookup


class Among(Lookup):
    """True for rows whose column holds one of the values: keys, blind indexes or numbers."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, params = self.process_lhs(compiler, connection)
        values = json.dumps([_stored(value) for value in self.rhs])
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, values]  # noqa: S608 - a column's name

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        column, params = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.db_type(connection)
        values = ",".join(map(str, self.rhs))  # keys, indexes and line numbers hold no comma
        return f"{column} = ANY(string_to_array(%s, ',')::{kind}[])", [*params, values]


def _stored(value: Any) -> Any:
    """A value as SQLite keeps it."""
    return value.hex if isinstance(value, uuid.UUID) else value
