"""What is found in a campaign before it may be approved, and what a privacy officer overrode."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from campaigns.content import Finding, Severity, findings
from campaigns.models import Campaign


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding in one version of a campaign's text."""

    language: str
    text: str
    finding: Finding
    overridden: bool = False

    @property
    def blocks(self) -> bool:
        return self.finding.severity == Severity.BLOCKING and not self.overridden

    @property
    def marked(self) -> tuple[str, str, str]:
        """What stands before the place, at it, and after it."""
        start, end = self.finding.start, self.finding.end
        return self.text[:start], self.text[start:end], self.text[end:]


def remarks(campaign: Campaign) -> list[Remark]:
    """Everything that was found in any version of its text, what blocks it first."""
    said = campaign.overrides.filter(texts=texts_hash(campaign))
    overridden = set(said.values_list("code", flat=True))
    found = [
        Remark(language, text, one, overridden=one.overridable and one.code in overridden)
        for language, text in _versions(campaign)
        for one in findings(
            text,
            language=language,
            business=settings.BUSINESS_NAME,
            opt_out_wanted=True,
            domains=settings.LINK_DOMAINS,
        )
    ]
    return sorted(found, key=lambda remark: not remark.blocks)


def _versions(campaign: Campaign) -> Iterator[tuple[str, str]]:
    first, *_others = campaign.purpose.languages.split()
    yield first, campaign.text
    yield from sorted(campaign.translations.items())


def in_the_way(campaign: Campaign) -> list[str]:
    """What must be mended before this campaign can be approved, in words."""
    several = bool(campaign.translations)
    told = [
        f"{remark.language.upper()}: {remark.finding.words}" if several else remark.finding.words
        for remark in remarks(campaign)
        if remark.blocks
    ]
    if campaign.sender.verified_at is None:
        told.append(_("The sender has not been verified."))
    return list(dict.fromkeys(told))


def texts_hash(campaign: Campaign) -> str:
    """What an override holds for: these texts, word for word, and no others."""
    versions = "\n".join(f"{language}:{text}" for language, text in _versions(campaign))
    return hashlib.sha256(versions.encode()).hexdigest()
