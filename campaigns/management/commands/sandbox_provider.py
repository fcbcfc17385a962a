"""Run the sandbox provider, the loopback counterpart of the gateways, in its own process."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.sandbox import provider
from campaigns.sandbox.faults import Faults, RatesError
from campaigns.sandbox.signing import public_key
from campaigns.sandbox.truth import LogError


class Command(BaseCommand):
    """The edge: settings and options in, plain values out; no database is touched."""

    help = "Run the sandbox provider on loopback until SIGTERM or Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
        parser.add_argument("--port", type=int, default=8600, help="0 takes a free one")
        parser.add_argument("--log", type=Path, required=True, help="what it accepted, kept here")
        parser.add_argument("--inbound-url", help="the webhook replies go to")
        parser.add_argument(
            "--fault",
            action="append",
            type=_rate,
            default=[],
            metavar="NAME=RATE",
            help="how often (0..1) a request meets this fault; may be repeated",
        )
        parser.add_argument("--receipt-delay", type=float, default=0.05, help="seconds")
        parser.add_argument("--seed", type=int, help="draw the same faults each time")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve; raises `CommandError` if the provider cannot start."""
        try:
            provider.run(
                _account(options),
                host=options["host"],
                port=options["port"],
                log=options["log"],
                faults=Faults(dict(options["fault"]), seed=options["seed"]),
                announce=self._announce,
            )
        except (RatesError, LogError, provider.NotLoopbackError, OSError) as error:
            raise CommandError(str(error)) from error

    def _announce(self, url: str) -> None:
        self.stdout.write(f"sandbox provider listening on {url}")
        self.stdout.flush()


def _account(options: dict[str, Any]) -> provider.Account:
    if not settings.TWILIO_ACCOUNT_SID or not settings.TWILIO_AUTH_TOKEN:
        raise CommandError("set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: clients must sign in")
    wanted = public_key(settings.TELNYX_API_KEY)
    if settings.TELNYX_API_KEY and wanted != settings.TELNYX_PUBLIC_KEY:
        raise CommandError(f"set TELNYX_PUBLIC_KEY to {wanted}: this key signs what it tells")
    return provider.Account(
        sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        inbound_url=options["inbound_url"] or f"{settings.PUBLIC_URL}/webhooks/twilio/inbound",
        telnyx_api_key=settings.TELNYX_API_KEY,
        telnyx_inbound_url=f"{settings.PUBLIC_URL}/webhooks/telnyx/inbound",
        receipt_delay=options["receipt_delay"],
    )


def _rate(text: str) -> tuple[str, float]:
    name, _, rate = text.partition("=")
    try:
        return name, float(rate)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not NAME=RATE") from None
