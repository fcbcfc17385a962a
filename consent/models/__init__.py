"""Subscribers, purposes, notices, consents, suppressions, and the lists they came from."""

from consent.models.integrations import Allowance, ApiCall, Integration
from consent.models.lists import ImportRow, ListImport, ListPart, ListShare, SharePiece
from consent.models.people import (
    Area,
    Consent,
    ConsentQuerySet,
    Label,
    Scan,
    Subscriber,
    new_pseudonym,
)
from consent.models.refusals import OptOutRequest, StopScope, Suppression, SuppressionQuerySet
from consent.models.wordings import Method, Notice, Purpose

__all__ = [
    "Allowance",
    "ApiCall",
    "Area",
    "Consent",
    "ConsentQuerySet",
    "ImportRow",
    "Integration",
    "Label",
    "ListImport",
    "ListPart",
    "ListShare",
    "Method",
    "Notice",
    "OptOutRequest",
    "Purpose",
    "Scan",
    "SharePiece",
    "StopScope",
    "Subscriber",
    "Suppression",
    "SuppressionQuerySet",
    "new_pseudonym",
]
