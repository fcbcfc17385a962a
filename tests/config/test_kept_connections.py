"""A connection that is kept is asked whether it lives now and then, and when it has spoken."""

import select

import psycopg
import pytest
from django.db import connection, connections

from config.postgresql import base
from consent.models import Purpose

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def another(monkeypatch):
    """A connection beside ours, to look at it from without."""
    if connection.vendor != "postgresql":
        pytest.skip("only a server can end a connection")
    connection.close()
    connection.ensure_connection()
    monkeypatch.setattr(connections["default"], "_fresh_until", 0.0)
    told = connection.get_connection_params()
    with psycopg.connect(**{**told, "cursor_factory": None}, autocommit=True) as other:
        yield other


def _begin_a_request():
    connections["default"].close_if_unusable_or_obsolete()


def _pid():
    return connection.connection.info.backend_pid


def test_a_connection_that_the_server_has_ended_is_opened_anew(another):
    _ask("SELECT 1")
    before = _pid()
    another.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    _begin_a_request()
    assert Purpose.objects.count() == 0
    assert _pid() != before


def _last_asked(another, pid):
    [last] = another.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return last


def _ask(statement):
    assert connection.is_usable()
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_connection_that_answered_lately_is_kept_and_asked_nothing(another):
    _ask("SELECT 'the last that was asked'")
    before = _pid()
    _begin_a_request()
    connection.ensure_connection()
    assert connection.is_usable()
    assert _last_asked(another, before) == "SELECT 'the last that was asked'"
    assert _pid() == before


def test_a_connection_is_asked_again_after_a_while(another, monkeypatch):
    monkeypatch.setattr(base, "FRESH", 0.0)
    _ask("SELECT 'the last that was asked'")
    assert connection.is_usable()
    assert _last_asked(another, _pid()) == "SELECT 1"


def test_a_connection_that_has_heard_something_is_asked_whether_it_lives(another):
    _ask("LISTEN news")
    another.execute("NOTIFY news")
    line = select.poll()
    line.register(connection.connection, select.POLLIN)
    assert line.poll(5_000)
    assert connection.is_usable()
    assert _last_asked(another, _pid()) == "SELECT 1"


def test_a_connection_that_is_in_the_middle_of_something_is_asked(another):
    _ask("SELECT 'the last that was asked'")
    connection.connection.autocommit = False
    assert connection.is_usable()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'within a transaction'")
    assert connection.is_usable()
    assert _last_asked(another, _pid()) == "SELECT 1"
    connection.connection.rollback()
    connection.connection.autocommit = True


def test_a_connection_that_we_have_closed_is_not_usable(another):
    connection.connection.close()
    assert not connection.is_usable()
