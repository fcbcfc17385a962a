"""Nothing starts under keys that are not the database's, and it says so in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from config.encryption import canary
from config.encryption.canary import WrongKey
from config.encryption.models import Canary
from tests import services

CELERY = ["-m", "celery", "-A", "config"]
MANAGE = ["manage.py", "verify_trail"]
REMEDIES = {
    "ENCRYPTION_KEYS": (
        "Volens cannot start: ENCRYPTION_KEYS does not hold the key this database was written "
        "with; restore that key, as the last of the list if it is an old one."
    ),
    "BLIND_INDEX_KEY": (
        "Volens cannot start: BLIND_INDEX_KEY is not the key this database was written with; "
        "restore it, or nobody's refusal would be recognised."
    ),
}


def _key() -> str:
    return Fernet.generate_key().decode()


@pytest.mark.django_db
def test_the_keys_of_the_database_pass() -> None:
    canary.verify()
    canary.verify_or_exit()


@pytest.mark.django_db
def test_a_wrong_encryption_key_is_refused_by_name_and_with_the_remedy(settings) -> None:
    settings.ENCRYPTION_KEYS = [_key()]
    with pytest.raises(WrongKey, match=r"ENCRYPTION_KEYS .* restore that key"):
        canary.verify()


@pytest.mark.django_db
def test_a_wrong_index_key_is_refused_by_name_and_with_the_remedy(settings) -> None:
    settings.BLIND_INDEX_KEY = _key()
    with pytest.raises(WrongKey, match=r"BLIND_INDEX_KEY .* restore it"):
        canary.verify()


@pytest.mark.django_db
def test_a_new_key_in_front_of_the_old_one_passes(settings) -> None:
    settings.ENCRYPTION_KEYS = [_key(), _key(), *settings.ENCRYPTION_KEYS]
    canary.verify()


@pytest.mark.django_db
def test_an_entry_point_ends_with_the_sentence(settings) -> None:
    settings.BLIND_INDEX_KEY = _key()
    with pytest.raises(SystemExit) as ended:
        canary.verify_or_exit()
    assert str(ended.value) == REMEDIES["BLIND_INDEX_KEY"]
    assert ended.value.code not in (0, None)


@pytest.mark.django_db
def test_settling_again_does_not_bind_the_database_to_other_keys(settings) -> None:
    settings.ENCRYPTION_KEYS, settings.BLIND_INDEX_KEY = [_key()], _key()
    canary.settle()
    assert Canary.objects.count() == 1
    with pytest.raises(WrongKey):
        canary.verify()


@pytest.mark.django_db
def test_an_empty_database_is_bound_to_the_present_keys(settings) -> None:
    Canary.objects.all().delete()
    settings.ENCRYPTION_KEYS, settings.BLIND_INDEX_KEY = [_key()], _key()
    canary.settle()
    canary.verify()


@pytest.mark.django_db
def test_a_database_that_lost_its_canary_is_refused(settings) -> None:
    Canary.objects.all().delete()
    with pytest.raises(WrongKey):
        canary.verify()


@pytest.mark.django_db
def test_another_song_is_refused() -> None:
    [bird] = Canary.objects.all()
    bird.song = "another song"
    bird.save()
    with pytest.raises(WrongKey):
        canary.verify()


@pytest.mark.django_db
def test_before_the_first_migration_there_is_nothing_to_refuse(settings, monkeypatch) -> None:
    settings.ENCRYPTION_KEYS = [_key()]
    monkeypatch.setattr(connection.introspection, "table_names", list)
    canary.verify()


# --- the entry points, as processes ------------------------------------------------------------


def _env(**changes: str) -> dict[str, str]:
    """The environment of a process beside the test, on the test's database."""
    name = str(connection.settings_dict["NAME"])
    database = services.database_url(os.environ["DATABASE_URL"], name)
    return {**os.environ, "DATABASE_URL": database, "PYTHONWARNINGS": "ignore", **changes}


def _start(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=services.ROOT,
        env=_env(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("django_db_setup")
@pytest.mark.parametrize("variable", REMEDIES)
@pytest.mark.parametrize(
    "arguments",
    [MANAGE, ["-c", "import config.wsgi"], [*CELERY, "worker", "--concurrency", "1"]],
    ids=["verify_trail", "wsgi", "worker"],
)
def test_every_entry_point_ends_in_one_sentence_under_a_wrong_key(arguments, variable) -> None:
    ended = _start(*arguments, **{variable: _key()})
    assert ended.returncode != 0
    assert ended.stderr.strip().splitlines() == [REMEDIES[variable]]
    assert "Traceback" not in ended.stdout


@pytest.mark.usefixtures("django_db_setup")
def test_beat_ends_with_the_sentence_under_a_wrong_key() -> None:
    """Celery has taken the output over by then, so the sentence stands in a line of the log."""
    ended = _start(*CELERY, "beat", ENCRYPTION_KEYS=_key())
    assert ended.returncode != 0
    assert ended.stderr.count(REMEDIES["ENCRYPTION_KEYS"]) == 1
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.usefixtures("django_db_setup")
@pytest.mark.parametrize("changes", [{"ENCRYPTION_KEYS": _key()}, {"SECRET_KEY": ""}])
def test_the_web_server_ends_under_wrong_settings_and_does_not_try_for_ever(
    changes, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"]
    port = str(services.free_port())
    server = services.Server([*command, "--port", port], log=tmp_path / "log", env=_env(**changes))
    try:
        with pytest.raises(services.NotUp, match=r" ended:"):
            server.wait(lambda: False, seconds=10)
    finally:
        server.end()
    assert server.said().count("Volens cannot start: ") == 1
    assert "Traceback" not in server.said()


@pytest.mark.usefixtures("django_db_setup")
def test_a_command_that_encrypts_nothing_may_run_without_the_keys() -> None:
    ended = _start("manage.py", "showmigrations", "encryption", ENCRYPTION_KEYS=_key())
    assert (ended.returncode, ended.stderr) == (0, "")
