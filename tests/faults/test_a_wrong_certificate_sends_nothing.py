"""Whoever cannot show that they are the provider gets no message, and each goes once afterwards."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from campaigns.models import Attempt, Campaign, Message
from tests.benchmarks import stub_provider
from tests.conftest import AT
from tests.faults import scene
from tests.services import ROOT, database_url

AUDIENCE = scene.fiction(scene.NEW_YORK, each=60)
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
LATER = timedelta(minutes=1)  # than any message waits after one refusal or two
Status = Message.Status


def shown(directory: Path, *, address: str) -> Path:
    """A folder with a certificate of that address, made anew."""
    directory.mkdir()
    stub_provider.certificate(directory, address=address)
    return directory


def carry_out(provider: Path, *, trusting: Path, at: datetime) -> int:
    """How many a worker hands over to a provider that shows one certificate, trusting another."""
    name = str(connection.settings_dict["NAME"])
    with stub_provider.serving(provider, delay=0) as url:
        env = {
            **os.environ,
            "DATABASE_URL": database_url(os.environ["DATABASE_URL"], name),
            "TWILIO_BASE_URL": url,
            "SSL_CERT_FILE": str(trusting / "authority.pem"),
        }
        command = [sys.executable, "-m", "tests.benchmarks.worker", at.isoformat()]
        subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=60)
        return stub_provider.taken.value


def certainly_not_sent(campaign: Campaign, times: int) -> bool:
    """Every message waits, each of its attempts refused."""
    waiting = campaign.messages.filter(status=Status.WAITING, tries=times)
    refused = Attempt.objects.filter(outcome=Attempt.Outcome.REFUSED)
    return waiting.count() * times == refused.count() == Attempt.objects.count()


@pytest.mark.usefixtures("transactional_db")
def test_a_wrong_certificate_sends_nothing(tmp_path: Path, figures: Callable[..., None]) -> None:
    ours = shown(tmp_path / "ours", address=HERE)
    stranger = shown(tmp_path / "stranger", address=HERE)
    misnamed = shown(tmp_path / "misnamed", address=ELSEWHERE)
    business = scene.open_business()
    scene.enrol(business, AUDIENCE)
    campaign = scene.launch(business)

    assert carry_out(stranger, trusting=ours, at=AT) == 0, "sent to one whom nobody vouches for"
    assert certainly_not_sent(campaign, 1)
    assert carry_out(misnamed, trusting=misnamed, at=AT + LATER) == 0, "sent to one of another name"
    assert certainly_not_sent(campaign, 2)
    assert carry_out(ours, trusting=ours, at=AT + 2 * LATER) == len(AUDIENCE)
    assert carry_out(ours, trusting=ours, at=AT + 3 * LATER) == 0, "sent twice"
    assert campaign.counts() == {Status.ACCEPTED: len(AUDIENCE)}
    told = Attempt.objects.filter(outcome=Attempt.Outcome.ACCEPTED).values("provider_id")
    assert told.distinct().count() == len(AUDIENCE)
    figures(fault="wrong certificate", times=2, messages=len(AUDIENCE), unknown=0, bound=0)
