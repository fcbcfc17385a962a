"""All settings, from the environment; a missing or wrong one ends the start in one sentence.

`.env.example` explains every variable. Production is the default: only `ENVIRONMENT=development`
allows plain HTTP, and then only for addresses on this machine.
"""

import ipaddress
import logging
import math
import os
from datetime import timedelta
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from csp.constants import NONE, SELF

from config.encryption.keys import (
    KeyFault,
    check_encryption_key,
    check_index_key,
    check_seed,
    is_public_key,
)
from config.refusal import refuse_to_start

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
ENV_FILE = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if ENV_FILE.is_file():
    env.read_env(ENV_FILE)

MAKE_KEYS = "run `python -m config.encryption.keys` and put what it prints into the environment."


def refuse(variable: str, remedy: str) -> NoReturn:
    refuse_to_start(f"{variable} {remedy}")


def text(variable: str, default: str = "") -> str:
    """What a variable says; an empty one says nothing."""
    return str(env.str(variable, default="")).strip() or default


def required(variable: str, remedy: str) -> str:
    return text(variable) or refuse(variable, f"is not set; {remedy}")


def items(variable: str, default: str = "") -> list[str]:
    return [item.strip() for item in text(variable, default).split(",") if item.strip()]


def yes(variable: str) -> bool:
    said = text(variable, "false").lower()
    if said not in {"true", "false"}:
        refuse(variable, "must be true or false.")
    return said == "true"


def number(variable: str, default: float, *, least: float = 0) -> float:
    try:
        found = float(text(variable, str(default)))
    except ValueError:
        refuse(variable, "must be a number.")
    return found if least <= found < math.inf else refuse(variable, f"must be at least {least:g}.")


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded_url(variable: str, default: str, *, safe: tuple[str, ...]) -> str:
    """A URL whose scheme encrypts, or that does not leave this machine."""
    value = text(variable, default).rstrip("/")
    if not value.startswith(safe) and not is_loopback(value):
        refuse(variable, f"must begin with {' or '.join(safe)} unless it points at this machine.")
    return value


# --- what kind of place this is ---------------------------------------------------------------
ENVIRONMENT = text("ENVIRONMENT", "production")
if ENVIRONMENT not in {"production", "development"}:
    refuse("ENVIRONMENT", "must be production or development.")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = yes("DEBUG")
if DEBUG and PRODUCTION:
    refuse("DEBUG", "must be off in production: error pages would show personal data.")

SECRET_KEY = required("SECRET_KEY", MAKE_KEYS)
if len(SECRET_KEY) < 50:
    refuse("SECRET_KEY", f"is shorter than 50 characters; {MAKE_KEYS}")

# --- keys of the encrypted columns, of the blind index and of the checkpoints -----------------
ENCRYPTION_KEYS = items("ENCRYPTION_KEYS")
BLIND_INDEX_KEY = required("BLIND_INDEX_KEY", MAKE_KEYS)
CHECKPOINT_SEED = required("CHECKPOINT_SEED", MAKE_KEYS)
if not ENCRYPTION_KEYS:
    refuse("ENCRYPTION_KEYS", f"is not set; {MAKE_KEYS}")
try:
    for key in ENCRYPTION_KEYS:
        check_encryption_key(key)
except KeyFault as fault:
    refuse("ENCRYPTION_KEYS", f"holds a wrong key: {fault}; {MAKE_KEYS}")
try:
    check_index_key(BLIND_INDEX_KEY, apart_from=ENCRYPTION_KEYS)
except KeyFault as fault:
    refuse("BLIND_INDEX_KEY", f"is wrong: {fault}; {MAKE_KEYS}")
try:
    check_seed(CHECKPOINT_SEED)
except KeyFault as fault:
    refuse("CHECKPOINT_SEED", f"is wrong: {fault}; {MAKE_KEYS}")
FIELD_ENCRYPTION_KEY = ENCRYPTION_KEYS  # the name that django-encrypted-model-fields reads

# --- where things are -------------------------------------------------------------------------
PUBLIC_URL = guarded_url("PUBLIC_URL", "http://127.0.0.1:8000", safe=("https://",))
if PRODUCTION and not PUBLIC_URL.startswith("https://"):
    refuse("PUBLIC_URL", "is not an https:// address; providers and people must reach it by TLS.")
ALLOWED_HOSTS = items("ALLOWED_HOSTS", urlsplit(PUBLIC_URL).hostname or "")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CHECKPOINT_DIRS = [Path(folder) for folder in items("CHECKPOINT_DIRS", f"{VAR_DIR}/checkpoints")]
TRAIL_ORIGIN = text("TRAIL_ORIGIN", f"{urlsplit(PUBLIC_URL).hostname}/volens-trail")

# --- database ---------------------------------------------------------------------------------
DATABASE_URL = text("DATABASE_URL", f"sqlite:///{VAR_DIR}/volens.sqlite3")
if urlsplit(DATABASE_URL).scheme not in {"postgres", "postgresql", "sqlite"}:
    refuse("DATABASE_URL", "must name a PostgreSQL or SQLite database.")
try:
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
except (environ.ImproperlyConfigured, ValueError):
    refuse("DATABASE_URL", "is not understood; write postgres://… or sqlite:////path.")
DATABASE = DATABASES["default"]
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # the one writer is chosen at BEGIN: no deadlock later
        "timeout": 20,
        # REPLACE deletes a row; with recursive triggers that deletion is refused like any other.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;"
        ),
    }
    Path(DATABASE["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    options = DATABASE.setdefault("OPTIONS", {})
    if {"host", "hostaddr", "service"} & set(options):
        refuse("DATABASE_URL", "hides its host; write it before the path, sslmode=verify-full.")
    far = DATABASE["HOST"] and not DATABASE["HOST"].startswith("/")
    if far and not is_loopback(f"//{DATABASE['HOST']}"):
        mode = options.setdefault("sslmode", "verify-full")
        if mode not in {"require", "verify-ca", "verify-full"}:
            refuse("DATABASE_URL", "turns TLS off; set sslmode=verify-full.")
    DATABASE["ENGINE"] = "config.postgresql"
    DATABASE["CONN_MAX_AGE"] = int(number("DATABASE_CONN_MAX_AGE", 60))
    DATABASE["CONN_HEALTH_CHECKS"] = True
SILENCED_SYSTEM_CHECKS = ["models.W040"]  # SQLite leaves out what an index only includes
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- queue: the database is the truth, a message only says "look at the table" -----------------
REDIS_URL = guarded_url("REDIS_URL", "redis://127.0.0.1:6379/0", safe=("rediss://", "unix://"))
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_TIME_LIMIT = 600
TURN_EVERY = number("TURN_EVERY", 1.0, least=0.1)
CELERY_BEAT_SCHEDULE = {
    "look for messages that are due": {
        "task": "campaigns.tasks.turn",
        "schedule": TURN_EVERY,
        "options": {"expires": 5},
    },
    "confirm opt-ins": {
        "task": "campaigns.tasks.confirm_opt_ins",
        "schedule": TURN_EVERY,
        "options": {"expires": 5},
    },
    "take in receipts": {
        "task": "campaigns.tasks.reconcile",
        "schedule": TURN_EVERY,
        "options": {"expires": 5},
    },
    "take in lists": {
        "task": "consent.tasks.take_lists",
        "schedule": TURN_EVERY,
        "options": {"expires": 5},
    },
    "close what nobody confirmed": {
        "task": "consent.tasks.lapse",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "forget what strangers were counted for": {
        "task": "consent.tasks.forget",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "find what a dead worker left": {
        "task": "campaigns.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "start and finish campaigns": {
        "task": "campaigns.tasks.keep_time",
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "seal the trail": {
        "task": "audit.tasks.seal",
        "schedule": 15.0,
        "options": {"expires": 30},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = text("BEAT_SCHEDULE", f"{VAR_DIR}/beat-schedule")
CELERY_TASK_DEFAULT_QUEUE = text("QUEUE", "volens")

# --- sending ----------------------------------------------------------------------------------
BUSINESS_NAME = text("BUSINESS_NAME", "" if PRODUCTION else "Harbor Coffee") or refuse(
    "BUSINESS_NAME", "is not set; every text must name the business, so it must be known."
)
BUSINESS_HELP = text("BUSINESS_HELP", "harbor.example/help")
LINK_DOMAINS = text("LINK_DOMAINS", BUSINESS_HELP.split("/")[0]).split()  # hosts that texts link to
BUSINESS_DAILY_CAP = int(number("BUSINESS_DAILY_CAP", 5, least=1))  # to one person, in 24 h
TWILIO_ACCOUNT_SID = text("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = text("TWILIO_AUTH_TOKEN")
if TWILIO_ACCOUNT_SID and not TWILIO_AUTH_TOKEN:
    refuse("TWILIO_AUTH_TOKEN", "is not set, but TWILIO_ACCOUNT_SID is; no STOP could be believed.")
if TWILIO_AUTH_TOKEN and not TWILIO_ACCOUNT_SID:
    refuse("TWILIO_ACCOUNT_SID", "is not set, but TWILIO_AUTH_TOKEN is; set both or neither.")
TWILIO_BASE_URL = guarded_url("TWILIO_BASE_URL", "https://api.twilio.com", safe=("https://",))
TELNYX_API_KEY = text("TELNYX_API_KEY")
TELNYX_PUBLIC_KEY = text("TELNYX_PUBLIC_KEY")
TELNYX_BASE_URL = guarded_url("TELNYX_BASE_URL", "https://api.telnyx.com", safe=("https://",))
if TELNYX_API_KEY and not TELNYX_PUBLIC_KEY:
    refuse("TELNYX_PUBLIC_KEY", "is not set, but TELNYX_API_KEY is; no STOP could be believed.")
if TELNYX_PUBLIC_KEY and not TELNYX_API_KEY:
    refuse("TELNYX_API_KEY", "is not set, but TELNYX_PUBLIC_KEY is; set both of them or neither.")
if TELNYX_PUBLIC_KEY and not is_public_key(TELNYX_PUBLIC_KEY):
    refuse("TELNYX_PUBLIC_KEY", "is no Ed25519 key in base64; copy it from Telnyx's portal.")
if PRODUCTION and not (TWILIO_AUTH_TOKEN or TELNYX_API_KEY):
    refuse("TWILIO_AUTH_TOKEN", "is not set, nor is TELNYX_API_KEY; set the account of a gateway.")
GATEWAY_TIMEOUT = number("GATEWAY_TIMEOUT", 10, least=0.1)  # seconds, for one call in all
GATEWAY_CONCURRENCY = int(number("GATEWAY_CONCURRENCY", 100, least=1))  # calls at once, per worker
CLAIM_SIZE = int(number("CLAIM_SIZE", 200, least=1))  # messages a worker takes at a time
LEASE = timedelta(seconds=number("LEASE_SECONDS", 90, least=1))
if LEASE.total_seconds() < 2 * GATEWAY_TIMEOUT * max(1.0, 2 * CLAIM_SIZE / GATEWAY_CONCURRENCY):
    refuse("LEASE_SECONDS", "is too short: it must be twice the time that two claims may take.")

# --- a clock for the demo only ----------------------------------------------------------------
DEMO_CLOCK_OFFSET = timedelta(seconds=number("DEMO_CLOCK_OFFSET", 0, least=-1e9))
CALLED = [TWILIO_BASE_URL, *([TELNYX_BASE_URL] if TELNYX_API_KEY else [])]
if DEMO_CLOCK_OFFSET and (PRODUCTION or not all(is_loopback(url) for url in CALLED)):
    refuse("DEMO_CLOCK_OFFSET", "is for the demo; unset it, or a quiet hour would be broken.")

# --- Django -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "config.apps.BackOfficeConfig",
    "django_otp",
    "csp",
    "config.encryption",
    "audit",
    "consent",
    "campaigns",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "campaigns.webhooks.straight_to_its_view",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.admin.frame",
            ],
        },
    },
]
LANGUAGE_CODE = "en"
# Of the public pages, each in the language of its address; the back office is in English.
LANGUAGES = [
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("de", "Deutsch"),
    ("pt", "Português"),
]
TIME_ZONE = text("TIME_ZONE", "UTC")
if TIME_ZONE not in available_timezones():
    refuse("TIME_ZONE", "must be a name of the time zone database, such as America/New_York.")
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
if not PRODUCTION:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)

# --- who may come in --------------------------------------------------------------------------
AUTH_USER_MODEL = "audit.Operator"
AUTHENTICATION_BACKENDS = ["audit.roles.RoleBackend"]
LOGIN_URL = "sign_in"
OTP_TOTP_ISSUER = "Volens"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},  # NIST SP 800-63B-4, 3.1.1.2
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_AGE = 60 * 60  # an hour without a click ends it: NIST SP 800-63B-4, AAL2
SESSION_SAVE_EVERY_REQUEST = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "config.urls.stale_form"
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
BEHIND_TLS_PROXY = yes("BEHIND_TLS_PROXY")
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = ["config.uploads.Sealed"]

# --- logs: one line each, numbers masked -------------------------------------------------------
LOG_LEVEL = text("LOG_LEVEL", "INFO")
if LOG_LEVEL not in logging.getLevelNamesMapping():
    refuse("LOG_LEVEL", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "config.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL},  # its own console handler has no mask
        "django.server": {"handlers": ["stderr"], "propagate": False},
    },
}
