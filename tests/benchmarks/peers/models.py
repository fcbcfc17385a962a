"""People, what they agreed to, and what is sent to them: in clear, with no trail."""

from django.db import models


class Person(models.Model):
    number = models.CharField(max_length=16, unique=True)

    def __str__(self) -> str:
        return f"person {self.pk}"


class Consent(models.Model):
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=20)
    given_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"consent {self.pk}"


class Message(models.Model):
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    body = models.TextField()
    status = models.CharField(max_length=12, default="waiting")
    provider_id = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"message {self.pk}"
