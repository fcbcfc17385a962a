"""How long the law gives to honour a refusal: business days, with the federal holidays counted."""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

# 47 CFR 64.1200(a)(10) and (d)(3), since 2025-04-11: at most ten business days from receipt.
BUSINESS_DAYS = 10
SATURDAY = 5


def due_by(received_at: datetime, *, zone: str, days: int = BUSINESS_DAYS) -> datetime:
    """The end of the last business day, in the business's `zone`, on which it is not yet late."""
    here = ZoneInfo(zone)
    day = received_at.astimezone(here).date()
    while days:
        day += timedelta(days=1)
        days -= is_business_day(day)
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=here)


def is_business_day(day: date) -> bool:
    """Monday to Friday, and no federal holiday of the United States."""
    return day.weekday() < SATURDAY and day not in _federal_holidays(day.year)


@lru_cache(maxsize=16)
def _federal_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("US", years=year))
