"""A connection that is kept between requests is looked at, and asked only when it has spoken."""

import psycopg
import pytest
from django.db import connection, connections

from consent.models import Purpose

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def another(settings):
    """A connection beside ours, to look at it from without."""
    if connection.vendor != "postgresql":
        pytest.skip("only a server can end a connection")
    connection.ensure_connection()
    told = connection.get_connection_params()
    with psycopg.connect(**{**told, "cursor_factory": None}, autocommit=True) as other:
        yield other


def _begin_a_request():
    connections["default"].close_if_unusable_or_obsolete()


def _pid():
    return connection.connection.info.backend_pid


def test_a_connection_that_the_server_has_ended_is_opened_anew(another):
    Purpose.objects.count()
    before = _pid()
    another.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    _begin_a_request()
    assert Purpose.objects.count() == 0
    assert _pid() != before


def test_a_connection_that_lives_is_kept_and_asked_nothing(another):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'the last that was asked'")
    before = _pid()
    _begin_a_request()
    connection.ensure_connection()
    assert connection.is_usable()
    [last] = another.execute(
        "SELECT query FROM pg_stat_activity WHERE pid = %s", [before]
    ).fetchone()
    assert last == "SELECT 'the last that was asked'"
    assert _pid() == before


def test_a_connection_that_has_heard_something_is_asked_whether_it_lives(another):
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    before = _pid()
    another.execute("NOTIFY news")
    _begin_a_request()
    assert connection.is_usable()
    assert Purpose.objects.count() == 0
    assert _pid() == before


def test_a_connection_that_we_have_closed_is_not_usable(another):
    connection.connection.close()
    assert not connection.is_usable()
