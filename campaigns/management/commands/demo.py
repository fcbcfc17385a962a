"""The story of `make demo`: the main job on the sample lists, with the figures of both sides.

It acts as the operators would, through the same verbs, and leaves importing, sending and sealing to
the workers; then it compares what the database says with what the provider counted.
"""

import http.cookiejar
import json
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.urls import reverse
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audit import checkpoints, clock, operators, roles
from audit.models import Authenticator, Entry, Operator
from campaigns import dispatch, senders
from campaigns.models import Campaign, Message, Receipt, Reply, Sender
from consent import lists, purposes
from consent.models import (
    Consent,
    ListImport,
    Method,
    Notice,
    Purpose,
    Subscriber,
    Suppression,
)

SAMPLES = settings.BASE_DIR / "tests" / "data"
PATIENCE = 90.0  # seconds for any one thing to happen
HARBOR = "+18885550100"
USER_NAMES = {
    roles.SUBSCRIBER_MANAGER: "maria",
    roles.CAMPAIGN_AUTHOR: "anton",
    roles.CAMPAIGN_APPROVER: "bea",
    roles.PRIVACY_OFFICER: "petra",
    roles.AUDITOR: "otto",
    roles.ADMINISTRATOR: "admin",
}
SAID = [
    "STOP",
    "stop!",
    "Unsubscribe",
    "ARRÊT",
    "please stop texting me",
    "Opt-out",
    "HELP",
    "When do you open?",
]
NEWCOMER = "+12125550142"
SINCE_2025 = datetime(2025, 1, 1, tzinfo=UTC)
SPANISH = (
    "Acepto recibir textos publicitarios recurrentes (ofertas y novedades de café) de Harbor "
    "Coffee en este número. No es condición de compra. Hasta 6 mensajes por mes. Pueden aplicarse "
    "tarifas de mensajes y datos. Responda HELP (AYUDA) para ayuda, STOP para cancelar. Términos: "
    "harbor.example/terms Privacidad: harbor.example/privacy"
)
POSTER = (
    "Text COFFEE to (888) 555-0100 for recurring automated marketing texts (sales and new "
    "products) from Harbor Coffee. Not a condition of purchase. Up to 6 msgs/month. Msg & data "
    "rates may apply. HELP for help, STOP to cancel. Terms: harbor.example/terms "
    "Privacy: harbor.example/privacy"
)
FIRST = (
    "Harbor Coffee: {first_name|Hello}, this week every filter coffee is half price until Friday. "
    "harbor.example/week Reply STOP to cancel."
)
SECOND = (
    "Harbor Coffee: {first_name|Hello}, the new winter roast is in, and the first cup is on us. "
    "harbor.example/roast Reply STOP to cancel."
)


class Command(BaseCommand):
    help = "Does the main job on the sample lists; started by `make demo`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after the summary")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION or Operator.objects.exists():
            raise CommandError("The demo wants a development set-up and an empty database.")
        try:
            self._tell(once=options["once"])
        except KeyboardInterrupt:
            sys.exit(130)

    def _tell(self, *, once: bool) -> None:
        story = Story()
        if not story.tell():
            raise CommandError("The figures do not agree.")
        if not once:
            story.keep_serving()


@dataclass
class Story:
    """The demo from its first line to its last."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    provider: "Provider" = field(default_factory=lambda: Provider(settings.TWILIO_BASE_URL))
    staff: dict[str, Operator] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list, repr=False)

    def tell(self) -> bool:
        """The whole job; whether every figure of the summary agrees."""
        self.open()
        self.engage_staff()
        purpose = self.publish()
        self.take_in_lists(purpose)
        sender = self.register_sender(purpose)
        self.sign_somebody_up(purpose)
        first = self.campaign("Half-price week", FIRST, purpose, sender)
        self.send(first)
        self.hear_replies(first)
        second = self.campaign("Winter roast", SECOND, purpose, sender)
        self.send(second)
        self.await_receipts()
        return self.sum_up(first, second)

    # --- the stage ---

    def open(self) -> None:
        self.console.rule("[bold]Volens: the main job, end to end")
        self.console.print(
            "[yellow]Demo clock:[/] the business clock stands at "
            f"[bold]{clock.now():%A %d %B %Y, %H:%M} UTC[/], "
            "a working day on which most of the United States is awake.\n"
            "No rule is loosened: quiet hours, holidays and limits are those of that moment. "
            "Sign-in codes use the real time."
        )
        wait_until(self.provider.is_up, "the sandbox provider to listen")
        wait_until(lambda: answers(f"{settings.PUBLIC_URL}/sign-in/"), "the web server to listen")

    def engage_staff(self) -> None:
        for role, username in USER_NAMES.items():
            self.passwords[username] = secrets.token_urlsafe(15)
            operator = operators.engage(
                username=username,
                password=self.passwords[username],
                roles=[role],
                by="command",
                at=clock.now(),
            )
            drafted = operators.draft_authenticator(operator)
            operators.confirm_authenticator(authenticator=drafted, by=operator, at=clock.now())
            self.staff[role] = operator
        self.console.print(f"\n[bold]Staff[/]: {len(self.staff)} operators, one per role.")

    def publish(self) -> Purpose:
        purpose = purposes.define(
            code="offers",
            name="Coffee offers",
            promise="Sales and new products of Harbor Coffee.",
            frequency=6,
            period=Purpose.Period.MONTH,
            double_opt_in=True,
            languages="en es",
            keywords="COFFEE",
            by=self.staff[roles.PRIVACY_OFFICER],
            at=clock.now(),
        )
        wordings = json.loads((SAMPLES / "agreements.json").read_text())
        self._publish(purpose, wordings["before_2025"], datetime(2020, 1, 1, tzinfo=UTC))
        self._publish(purpose, wordings["current"], SINCE_2025)
        self._publish(purpose, SPANISH, clock.now(), language="es")
        self._publish(purpose, POSTER, clock.now(), channel=Notice.Channel.KEYWORD)
        self._publish(purpose, wordings["current"], SINCE_2025, channel=Notice.Channel.PAPER)
        self.console.print(
            f"[bold]Purpose[/]: {purpose.name}, at most {purpose.frequency} a {purpose.period}, "
            "to people who confirmed; the wordings of its web page (two languages), poster and "
            "paper form are on record, and an older one that is no evidence of consent."
        )
        return purpose

    def _publish(self, purpose: Purpose, wording: str, shown_from: datetime, **where: Any) -> None:
        at = clock.now()
        purposes.publish(
            purpose=purpose,
            wording=wording,
            shown_from=shown_from,
            by=self.staff[roles.PRIVACY_OFFICER],
            at=at,
            **{"language": "en", **where},
        )

    def register_sender(self, purpose: Purpose) -> Sender:
        administrator = self.staff[roles.ADMINISTRATOR]
        sender = senders.register(
            address=HARBOR,
            gateway=Sender.Gateway.TWILIO,
            countries="US GB DE FR AU",
            purposes=[purpose],
            segments_per_second=1_000,
            by=administrator,
            at=clock.now(),
        )
        senders.verify(sender=sender, by=administrator, at=clock.now())
        return sender

    # --- a person ---

    def sign_somebody_up(self, purpose: Purpose) -> None:
        """As a person would: the public page, the text that asks, and a YES."""
        page = settings.PUBLIC_URL + reverse("join", args=[purpose.code, "en"])
        fill_in(page, number=NEWCOMER, agreed="on")
        asked = Message.objects.filter(confirms__isnull=False)
        wait_until(lambda: bool(self.provider.texts_to(NEWCOMER)), "the text that asks to confirm")
        self.provider.reply(NEWCOMER, HARBOR, "Yes")
        confirmed = Consent.objects.filter(confirmation__in=asked, confirmed_at__isnull=False)
        wait_until(confirmed.exists, "the opt-in to be confirmed")
        told = self.provider.texts_to(NEWCOMER)[0].partition("/yes/")[0]
        self.console.print(
            f"\n[bold]A person[/] ticked the box at {page}\n   was asked: “{told}/yes/…”\n"
            "   and answered “Yes”. The confirmation waited for permitted hours, like any text."
        )

    # --- the lists ---

    def take_in_lists(self, purpose: Purpose) -> None:
        self.console.print("[bold]Lists[/], taken in by the worker:")
        opt_outs, opt_ins = ListImport.Kind.OPT_OUTS, ListImport.Kind.OPT_INS
        brought = [
            self._bring("provider_optouts.csv", "Provider's opt-outs", opt_outs, None),
            self._bring("web_form_optins.csv", "Web form", opt_ins, purpose),
            self._bring("shop_customers.csv", "Shop export", opt_ins, purpose),
            self._bring("eu_leads_cp1252.csv", "Leads from Europe", opt_ins, purpose),
        ]
        with bars(self.console) as progress:
            tasks = {b.pk: progress.add_task(b.label, total=100) for b in brought}
            wait_until(lambda: self._watch(progress, tasks), "the lists to be taken in")
        self._report(brought)

    def _bring(
        self, name: str, label: str, kind: ListImport.Kind, purpose: Purpose | None
    ) -> ListImport:
        clerk, at = self.staff[roles.SUBSCRIBER_MANAGER], clock.now()
        with (SAMPLES / name).open("rb") as file:
            brought = lists.bring(
                file=file,
                kind=kind,
                purpose=purpose,
                label=label,
                method=Method.WEB_FORM,
                by=clerk,
                at=at,
            )
        lists.read_as(brought=brought, columns=brought.columns, by=clerk, at=at)
        return brought

    def _watch(self, progress: Progress, tasks: dict[Any, Any]) -> bool:
        """Opt-outs are taken in first: the clerk presses the button in the order of the lists."""
        for brought in ListImport.objects.filter(pk__in=tasks).order_by("created_at"):
            if brought.stage == ListImport.Stage.FORESEEN and self._is_next(brought):
                clerk = self.staff[roles.SUBSCRIBER_MANAGER]
                lists.begin(brought=brought, by=clerk, at=clock.now())
            taken = brought.stage in (ListImport.Stage.TAKING, *ListImport.OVER)
            progress.update(tasks[brought.pk], completed=round(50 * (brought.done + taken)))
        return not ListImport.objects.unfinished().exists()

    def _is_next(self, brought: ListImport) -> bool:
        before = ListImport.objects.unfinished().filter(created_at__lt=brought.created_at)
        return not before.exists()

    def _report(self, brought: list[ListImport]) -> None:
        table = Table("List", "Rows", "Fate", "Why", box=None, pad_edge=False)
        for one in brought:
            found = one.rows.values("fate", "reason").annotate(n=Count("pk")).order_by("fate", "-n")
            for row in found:
                table.add_row(one.label, str(row["n"]), row["fate"], row["reason"])
        self.console.print(table)
        may = Consent.objects.permitting(clock.now()).count()
        self.console.print(
            f"   {Subscriber.objects.count()} people on record, {may} of them may be messaged; "
            f"{Suppression.objects.standing().count()} refusals stand."
        )

    # --- campaigns ---

    def campaign(self, name: str, text: str, purpose: Purpose, sender: Sender) -> Campaign:
        author, approver = self.staff[roles.CAMPAIGN_AUTHOR], self.staff[roles.CAMPAIGN_APPROVER]
        at = clock.now()
        campaign = dispatch.draft(
            name=name,
            purpose=purpose,
            sender=sender,
            text=text,
            starts_at=at,
            deadline=at + timedelta(days=2),
            by=author,
            at=at,
        )
        dispatch.check(campaign=campaign, by=author, at=clock.now())
        refusal = self._try_own_approval(campaign, author)
        dispatch.approve(campaign=campaign, by=approver, at=clock.now())
        self.console.print(
            f"\n[bold]Campaign “{name}”[/]: drafted by {author}; own approval refused "
            f"(“{refusal}”); approved by {approver}."
        )
        return campaign

    def _try_own_approval(self, campaign: Campaign, author: Operator) -> str:
        try:
            dispatch.approve(campaign=campaign, by=author, at=clock.now())
        except dispatch.StepRefused as refusal:
            return str(refusal)
        raise CommandError("An author could approve their own campaign.")

    def send(self, campaign: Campaign) -> None:
        enrolled = dispatch.launch(
            campaign=campaign, by=self.staff[roles.CAMPAIGN_APPROVER], at=clock.now()
        )
        soon = clock.now() + timedelta(seconds=PATIENCE)
        later = campaign.messages.filter(status=Message.Status.WAITING, due_at__gt=soon)
        held = later.count()
        with bars(self.console) as progress:
            task = progress.add_task("Handed to the provider", total=enrolled - held)
            wait_until(lambda: self._sent(progress, task, campaign, held), "the messages to go out")
        if example := later.select_related("opening").first():
            reasons = example.opening.decision["reasons"] if example.opening else []
            self.console.print(
                f"   {held} are held until their hour comes, such as: {' '.join(reasons)}"
            )

    def _sent(self, progress: Progress, task: Any, campaign: Campaign, held: int) -> bool:
        undecided = campaign.messages.undecided().count() - held
        total = progress.tasks[task].total or 0
        progress.update(task, completed=total - max(undecided, 0))
        return undecided <= 0

    def hear_replies(self, campaign: Campaign) -> None:
        reached = campaign.messages.filter(status__in=Message.MAY_HAVE_ARRIVED).order_by("pk")
        people = [m.subscriber for m in reached.select_related("subscriber")[: len(SAID)]]
        table = Table("Person", "Wrote", "Read as", box=None, pad_edge=False)
        for person, said in zip(people, SAID, strict=True):
            assert person is not None
            self.provider.reply(person.number, HARBOR, said)
            reply = Reply.objects.filter(number_index=person.number_index).latest("received_at")
            table.add_row(person.pseudonym, said, reply.intent)
            if reply.intent == "stop":
                self.stopped.append(person.number)
        self.console.print("\n[bold]Replies[/], written on the sandbox's phones:")
        self.console.print(table)
        answers = Message.objects.filter(campaign=None)
        undecided = answers.undecided()
        wait_until(lambda: not undecided.exists(), "the answers to go out")
        self.console.print(f"   {answers.count()} answers and confirmations sent so far.")

    # --- the end ---

    def await_receipts(self) -> None:
        moved = Message.objects.filter(status=Message.Status.ACCEPTED)
        wait_until(lambda: not moved.exists(), "the receipts to come in")

    def sum_up(self, *campaigns: Campaign) -> bool:
        """Both counts side by side, then what must be nought; whether all is as it must be."""
        sealed = checkpoints.seal(at=clock.now())
        report = checkpoints.verified()
        figures, promises = self._figures(campaigns), self._promises(campaigns[-1])
        self._print_figures(figures, promises)
        size = sealed.size if sealed else report.sealed
        whole = "[green]whole[/]" if report.ok else "[red]NOT WHOLE[/]"
        self.console.print(
            f"Trail: {whole} by the verifier; {Entry.objects.count():,} entries, {size:,} sealed, "
            f"checkpoints carried outside to {settings.CHECKPOINT_DIRS[0]}."
        )
        for finding in report.findings:
            self.console.print(f"[red]{finding}[/]")
        agree = all(ours == theirs for _name, ours, theirs in figures)
        return agree and not any(broken for _name, broken in promises) and report.ok

    def _print_figures(
        self, figures: list[tuple[str, int, int]], promises: list[tuple[str, int]]
    ) -> None:
        table = Table("", "Database", "Provider", "", title="Summary", title_style="bold")
        for name, ours, theirs in figures:
            verdict = "[green]agree[/]" if ours == theirs else "[red]DIFFER[/]"
            table.add_row(name, f"{ours:,}", f"{theirs:,}", verdict)
        table.add_section()
        for name, broken in promises:
            table.add_row(name, "", f"{broken:,}", "[red]BROKEN[/]" if broken else "[green]kept[/]")
        self.console.print(table)

    def _figures(self, campaigns: tuple[Campaign, ...]) -> list[tuple[str, int, int]]:
        """What the database says and what the provider counted."""
        bodies = [message["body"] for message in self.provider.messages()]
        truth = self.provider.truth()
        ours = Message.objects.filter(status__in=Message.MAY_HAVE_ARRIVED)
        theirs = {c: sum(_mark(c) in body for body in bodies) for c in campaigns}
        return [
            *(
                (f"messages of “{c.name}”", ours.filter(campaign=c).count(), theirs[c])
                for c in campaigns
            ),
            (
                "answers and confirmations",
                ours.filter(campaign=None).count(),
                len(bodies) - sum(theirs.values()),
            ),
            ("messages in all", ours.count(), truth["accepted"]),
            ("receipts", Receipt.objects.count(), truth["receipts_sent"]),
            ("replies", Reply.objects.count(), truth["replies_sent"]),
        ]

    def _promises(self, second: Campaign) -> list[tuple[str, int]]:
        """Counted at the provider; each must be nought."""
        accepted = self.provider.messages()
        return [
            ("sent twice", self.provider.truth()["sent_twice"]),
            ("sent to people who had stopped", self._after_stop(accepted, _mark(second))),
            ("sent without a confirmed consent", self._unpermitted(accepted)),
        ]

    def _after_stop(self, accepted: list[dict[str, Any]], mark: str) -> int:
        return sum(m["to"] in self.stopped and mark in m["body"] for m in accepted)

    def _unpermitted(self, accepted: list[dict[str, Any]]) -> int:
        """Campaign texts that reached a number with no confirmed consent on record."""
        confirmed = Consent.objects.confirmed().values("subscriber")
        known = {person.number for person in Subscriber.objects.filter(pk__in=confirmed)}
        answered = {reply.number for reply in Reply.objects.all()}
        return sum(message["to"] not in known | answered for message in accepted)

    def keep_serving(self) -> None:
        """Say where to sign in, with codes that stay current, until Ctrl-C."""
        self.console.print(f"\nSign in at [bold]{settings.PUBLIC_URL}/[/] as any of:")
        devices = {device.user_id: device for device in Authenticator.objects.all()}
        if not self.console.is_terminal:
            self.console.print(self._doors(devices))
        with Live(console=self.console, auto_refresh=False) as shown:
            while True:
                if self.console.is_terminal:
                    shown.update(self._doors(devices), refresh=True)
                time.sleep(1)

    def _doors(self, devices: dict[int, Authenticator]) -> Group:
        table = Table("Role", "User name", "Password", "Code now", box=None, pad_edge=False)
        for role, operator in self.staff.items():
            code = f"{devices[operator.pk].code().token():06d}"
            table.add_row(role, operator.username, self.passwords[operator.username], code)
        page = settings.PUBLIC_URL + reverse("join", args=["offers", "en"])
        more = (
            f"Sign up as a person: [bold]{page}[/], with a number such as (212) 555-0177.\n"
            f"The sandbox's phones: [bold]{settings.TWILIO_BASE_URL}/[/]. End with Ctrl-C."
        )
        return Group(table, more)


def _mark(campaign: Campaign) -> str:
    """Words by which a campaign's texts are known at the provider."""
    return campaign.text.split("}")[1][:30]


class Provider:
    """The sandbox provider, asked as anyone could: its count is the true one."""

    def __init__(self, base: str) -> None:
        self.base = base

    def _ask(self, path: str, posted: dict[str, str] | None = None) -> Any:
        data = json.dumps(posted).encode() if posted else None
        request = urllib.request.Request(self.base + path, data)  # noqa: S310 - loopback only
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def is_up(self) -> bool:
        return answers(f"{self.base}/sandbox/health")

    def truth(self) -> dict[str, int]:
        return self._ask("/sandbox/truth")  # type: ignore[no-any-return]

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := self._ask(f"/sandbox/messages?after={len(found)}"):
            found += page
        return found

    def texts_to(self, phone: str) -> list[str]:
        return [message["body"] for message in self.messages() if message["to"] == phone]

    def reply(self, phone: str, to: str, body: str) -> None:
        self._ask("/sandbox/replies", {"from": phone, "to": to, "body": body})


def answers(url: str) -> bool:
    """Whether something answers well at `url`."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback only
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def fill_in(page: str, **fields: str) -> None:
    """Send a public form as a browser without scripts does."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(page, timeout=10).read()
    token = next(cookie.value for cookie in jar if cookie.name.endswith("csrftoken"))
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
    browser.open(page, form, timeout=10).read()


def wait_until(done: Callable[[], bool], what: str) -> None:
    """Wait, but not for ever. Raises CommandError naming what did not happen."""
    until = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > until:
            raise CommandError(f"Waited in vain for {what}; see var/demo/services.log.")
        time.sleep(0.1)


def bars(console: Console) -> Progress:
    return Progress(
        TextColumn("   {task.description:24}"),
        BarColumn(40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
