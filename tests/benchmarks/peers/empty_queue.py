"""Empties django-post-office's queue and tells how many seconds it took; its start is not timed."""

import sys
import time

import django

django.setup()

from post_office.mail import send_queued_mail_until_done  # noqa: E402 - needs the settings

since = time.perf_counter()
send_queued_mail_until_done(processes=int(sys.argv[1]))
print(time.perf_counter() - since)
