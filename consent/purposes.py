"""Defines what messages are about, and fixes the wordings that people are shown."""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from audit import trail
from audit.trail import Actor
from consent import replies
from consent.models import Notice, Purpose
from consent.replies import Intent
from consent.wording import fingerprint


@transaction.atomic
def define(
    *,
    code: str,
    name: str,
    promise: str,
    frequency: int,
    period: Purpose.Period,
    double_opt_in: bool,
    by: Actor,
    at: datetime,
    languages: str = "en",
    keywords: str = "",
    least_age: int = 0,
    confirm_within: int = 30,
) -> Purpose:
    """A purpose with what is promised to its people; `confirm_within` is in days.

    Raises ValidationError, also for a keyword that means something else already.
    """
    purpose = Purpose(
        code=code,
        name=name,
        promise=promise,
        frequency=frequency,
        period=period,
        languages=languages,
        keywords=keywords,
        least_age=least_age,
        double_opt_in=double_opt_in,
        confirm_within=confirm_within,
    )
    purpose.full_clean()
    require_free(keywords)
    purpose.save()
    facts = {"frequency": frequency, "period": period, "double_opt_in": double_opt_in}
    trail.record(verb="purpose.defined", subject=f"purpose:{purpose.pk}", by=by, at=at, facts=facts)
    return purpose


def require_free(keywords: str) -> None:
    """Raises ValidationError for words that ask for something else, or join another purpose."""
    taken = {word for purpose in Purpose.objects.all() for word in purpose.keywords.split()}
    for word in keywords.split():
        if word in taken or word == "JOIN":
            raise ValidationError({"keywords": f"{word} joins another purpose already."})
        if replies.read(word).intent != Intent.NONE or replies.says_yes(word):
            raise ValidationError({"keywords": f"{word} asks for something else; choose another."})


@transaction.atomic
def publish(
    *,
    purpose: Purpose,
    language: str,
    wording: str,
    shown_from: datetime,
    by: Actor,
    at: datetime,
    channel: Notice.Channel = Notice.Channel.WEB,
) -> Notice:
    """Number a wording and fix it for good.

    One that was shown before today is kept as it was, to be evidence. One that is shown from now
    on must say everything that the law and the carriers want said.
    Raises ValidationError, naming what is missing.
    """
    notice = Notice(
        purpose=purpose,
        channel=channel,
        language=language,
        number=1 + purpose.notices.filter(channel=channel, language=language).count(),
        wording=wording,
        fingerprint=fingerprint(wording),
        shown_from=shown_from,
        published_at=at,
    )
    if notice.missing and not is_past(notice, at):
        raise ValidationError({"wording": lacking(notice)})
    notice.full_clean(exclude=["fingerprint"])
    notice.save()
    trail.record(
        verb="notice.published",
        subject=f"notice:{notice.pk}",
        by=by,
        at=at,
        facts={
            "purpose": purpose.pk,
            "channel": channel,
            "language": language,
            "number": notice.number,
            "fingerprint": notice.fingerprint,
        },
    )
    return notice


def is_past(notice: Notice, at: datetime) -> bool:
    """Whether a wording was shown a day ago already, so that it can only be told as it was."""
    return notice.shown_from <= at - timedelta(days=1)


def lacking(notice: Notice) -> str:
    """What a wording leaves out, in words for a clerk."""
    return f"This wording does not state: {', '.join(notice.missing)}."
