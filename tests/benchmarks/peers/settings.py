"""Settings of the peers' project: Django's own defaults, and what makes each peer fast."""

import os

import environ

env = environ.Env()
SECRET_KEY = "of a project that lives as long as a benchmark"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "post_office",
    "tests.benchmarks.peers",
]
MIDDLEWARE = [  # those of a new project
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ROOT_URLCONF = "tests.benchmarks.peers.urls"
WSGI_APPLICATION = "tests.benchmarks.peers.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": env.db_url_config(os.environ["PEERS_DATABASE"])}
if POOL := int(os.environ.get("PEERS_POOL", "0")):  # many tasks at once share few connections
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": POOL, "max_size": POOL}}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 600

# --- the provider
PROVIDER = os.environ.get("PEERS_PROVIDER", "")
CALLBACK = os.environ["PUBLIC_URL"] + "/receipt"
ACCOUNT, TOKEN = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]
CALLS_AT_ONCE = int(os.environ.get("PEERS_AT_ONCE", "100"))  # of a process

# --- Celery: nothing kept of results, no events, tasks fetched ahead
CELERY_BROKER_URL = os.environ.get("PEERS_BROKER", "")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "nothing"
CELERY_WORKER_PREFETCH_MULTIPLIER = 8
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# --- django-post-office: one batch for everything, as many threads as calls, no log of successes
POST_OFFICE = {
    "BACKENDS": {"default": "tests.benchmarks.peers.texts.Texts"},
    "BATCH_SIZE": int(os.environ.get("PEERS_BATCH", "1000")),
    "THREADS_PER_PROCESS": CALLS_AT_ONCE,
    "BATCH_DELIVERY_TIMEOUT": 600,
    "LOG_LEVEL": 1,
}
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
