"""One worker process that carries out all that is due, and tells its memory and its pace.

Prints JSON: the peak of its memory in kB, and the seconds at which it looked at the clock, which it
does as often for every batch.
"""

import json
import os
import resource
import sys
import time
from datetime import datetime

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from campaigns import delivery  # noqa: E402 - needs the settings
from config.celery import spare_the_collector  # noqa: E402

at, looks = datetime.fromisoformat(sys.argv[1]), []


def now() -> datetime:
    looks.append(time.perf_counter())
    return at


spare_the_collector()
delivery.turns(now=now, until=float("inf"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"peak": peak, "looks": looks}))
