"""The web server's way in."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from config.encryption import canary  # noqa: E402 - models exist only after the line above

canary.verify_or_exit()
