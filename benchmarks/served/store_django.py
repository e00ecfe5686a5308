"""Django with django-simple-history, as their pages show it: `store_django.py FOLDER`."""

import sys

import django
from django.conf import settings
from tasks import TEXT, serve

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "simple_history", "django_app"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": f"{sys.argv[1]}/django.db",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.db import connection, transaction  # noqa: E402
from django_app.models import Todo  # noqa: E402


def insert(count):
    for number in range(count):
        with transaction.atomic():
            Todo.objects.create(text=TEXT, number=number)


def hundred(count):
    for _ in range(count):
        with transaction.atomic():
            for number in range(100):
                Todo.objects.create(text=TEXT, number=number)


def fetch(count):
    key = Todo.objects.first().pk
    for _ in range(count):
        Todo.objects.get(pk=key)


from django.contrib.auth.models import User  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402

with connection.schema_editor() as editor:
    for model in (ContentType, User, Todo, Todo.history.model):
        editor.create_model(model)
serve({"insert": insert, "hundred": hundred, "fetch": fetch})
