"""The way in for the web server that takes the peers' receipts."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.peers.settings")
application = get_wsgi_application()
