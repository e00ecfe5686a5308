"""A todo with its history, as django-simple-history's pages show it."""

import uuid

from django.db import models
from simple_history.models import HistoricalRecords


class Todo(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.TextField()
    done = models.BooleanField(default=False)
    number = models.IntegerField()
    history = HistoricalRecords()
