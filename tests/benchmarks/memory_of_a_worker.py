"""The peak memory of one worker process, and its pace from first to last, up to a million messages.

Both should be flat: a worker holds two claims at a time, and a claim must not wade through what
earlier ones left dead at the front of its index.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from django.db import connection

from campaigns.models import Message, Sender
from consent.models import Notice, Purpose
from tests import services
from tests.benchmarks import stub_provider
from tests.benchmarks.dispatch_of_messages import (
    AT,
    CONCURRENCY,
    SETTINGS,
    launched,
    notice,
    purpose,
    sender,
    trusted,
)

__all__ = ["notice", "purpose", "sender"]

pytestmark = pytest.mark.timeout(7_200)

MOST = int(os.environ.get("ROWS", "100000"))
SIZES = [size for size in (10_000, 100_000, 1_000_000) if size <= MOST] or [MOST]
peaks: dict[int, float] = {}  # MB, by messages


@pytest.mark.parametrize("count", SIZES)
def test_a_worker(
    count: int,
    purpose: Purpose,
    notice: Notice,
    sender: Sender,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launched(purpose, notice, sender, count)
    with stub_provider.serving(trusted(), delay=0.0) as url:
        peak, looks = _worked(url)
    assert Message.objects.filter(status="accepted").count() == count
    peaks[count] = peak / 1024
    tenth = len(looks) // 10  # the clock is looked at as often for every batch
    first, last = (
        _pace(looks[1 : tenth + 2], looks, count),
        _pace(looks[-tenth - 2 : -1], looks, count),
    )
    with capsys.disabled():
        print(f"\n{count:>9,} messages, one worker: {peaks[count]:.0f} MB at most", end="")
        print(f", {peaks[count] / peaks[SIZES[0]]:.2f} of the smallest   wanted: 1.00")
        print(f"  the first tenth {first:>8,.0f} a second")
        print(f"  the last tenth  {last:>8,.0f} a second, {last / first:.2f} of it   wanted: 1.00")


def _worked(url: str) -> tuple[int, list[float]]:
    """Of a process of its own that starts with nothing of ours in its memory."""
    name = connection.settings_dict["NAME"]
    env = {
        **os.environ,
        "DATABASE_URL": services.database_url(os.environ["DATABASE_URL"], name),
        "TWILIO_BASE_URL": url,
        "SSL_CERT_FILE": str(trusted() / "authority.pem"),
        "CLAIM_SIZE": str(SETTINGS["CLAIM_SIZE"]),
        "GATEWAY_CONCURRENCY": str(CONCURRENCY),
        "LEASE_SECONDS": "300",
    }
    command = [sys.executable, "-m", "tests.benchmarks.worker", AT.isoformat()]
    ran = subprocess.run(
        command, cwd=services.ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    told = json.loads(ran.stdout)
    return told["peak"], told["looks"]


def _pace(some: Sequence[float], looks: Sequence[float], count: int) -> float:
    """Messages a second between the first and the last of some of the looks at the clock."""
    return count / len(looks) * (len(some) - 1) / (some[-1] - some[0])
