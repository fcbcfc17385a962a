"""Triggers by which the database itself refuses a change, the same on PostgreSQL and SQLite.

Django rebuilds a table on SQLite when it alters one and drops its triggers then: a migration that
alters a guarded table must lay them anew, and a test tries every guard on the migrated database.
"""

from typing import Any

from django.db.migrations.operations import RunPython

PG_REFUSE = """
CREATE OR REPLACE FUNCTION volens_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def refuse(table: str, event: str, *, saying: str, when: str = "") -> RunPython:
    """A reversible migration step: `event` (UPDATE, DELETE) on `table` fails, `saying` why.

    `when` narrows it to rows for which that SQL condition on OLD and NEW holds. On PostgreSQL the
    trigger fires in replica mode too.
    """
    name = f"refuse_{event.lower()}_of_{table}"

    def lay(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            _lay_on_postgresql(schema_editor, name, table, event, saying, when)
        else:
            condition = f"WHEN {when}" if when else ""
            schema_editor.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{saying}'); END",
                params=None,
            )

    def lift(apps: Any, schema_editor: Any) -> None:
        on = f"ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} {on}", params=None)

    return RunPython(lay, lift)


def _lay_on_postgresql(
    editor: Any, name: str, table: str, event: str, saying: str, when: str
) -> None:
    condition = f"WHEN ({when})" if when else ""
    each = "STATEMENT" if event == "TRUNCATE" else "ROW"
    editor.execute(PG_REFUSE, params=None)
    editor.execute(
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {each} {condition} "
        f"EXECUTE FUNCTION volens_refuse('{saying}')",
        params=None,
    )
    editor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}", params=None)


def refuse_truncate(table: str, *, saying: str) -> RunPython:
    """As `refuse`, for TRUNCATE, which only PostgreSQL has and plain triggers do not see."""
    step = refuse(table, "TRUNCATE", saying=saying)
    lay, lift = step.code, step.reverse_code

    def on_postgresql(act: Any) -> Any:
        def run(apps: Any, schema_editor: Any) -> None:
            if schema_editor.connection.vendor == "postgresql":
                act(apps, schema_editor)

        return run

    return RunPython(on_postgresql(lay), on_postgresql(lift))


def append_only(table: str, *, saying: str) -> list[RunPython]:
    """Rows of `table` are written once: no UPDATE, no DELETE, no TRUNCATE."""
    return [
        refuse(table, "UPDATE", saying=saying),
        refuse(table, "DELETE", saying=saying),
        refuse_truncate(table, saying=saying),
    ]
