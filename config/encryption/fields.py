"""Encrypted columns that fail closed, on top of django-encrypted-model-fields.

What the library does is replaced where it is not safe: a value decrypts when it is read and only in
the row and column it was written for; nothing but ciphertext reaches the database; nothing typed by
a person is ever decrypted; comparing ciphertext is an error that names the blind index.
"""

import re
import uuid
from typing import TYPE_CHECKING, Any, Never

from django.core import checks
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Field, Lookup, Model, TextField, UUIDField
from django.db.models.lookups import IsNull
from django.db.models.query_utils import DeferredAttribute
from encrypted_model_fields.fields import EncryptedTextField

from config.encryption import ring
from config.encryption.ring import Token

LOOKS_LIKE_A_TOKEN = re.compile(r"\A(?:[0-9a-f]{8}\.)?gAAAA[\w-]{40,}={0,2}\Z")


class EncryptedAttribute(DeferredAttribute):
    """Decrypts at the moment of reading, so a listing that shows no number opens none."""

    field: "EncryptedText"

    def __get__(self, instance: Model | None, cls: type[Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        return value if instance is None else self.field.decrypt(value, pk=instance.pk)

    def __set__(self, instance: Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


if TYPE_CHECKING:
    Base = TextField[str | None, str]
else:
    Base = EncryptedTextField


class EncryptedText(Base):
    """Text that is in the database only as a token bound to its table, column and row.

    The row is named by its primary key, which must therefore be known before the row is written:
    the model needs a UUID primary key with a default. The empty string is stored as it is.
    """

    descriptor_class = EncryptedAttribute
    empty_values = [None, ""]

    def place(self, pk: Any) -> str:
        """The one place a token of this field may stand in, for the row `pk`."""
        row = pk if isinstance(pk, uuid.UUID) else uuid.UUID(str(pk))
        return f"{self.model._meta.db_table}.{self.column}:{row}"

    def encrypt(self, text: str, *, pk: uuid.UUID) -> Token | str:
        """What to store for `text` in the row `pk`: for statements that go round the ORM."""
        return ring.encrypt(text, place=self.place(pk)) if text else ""

    def decrypt(self, stored: Token | str | None, *, pk: uuid.UUID) -> str | None:
        """The text of what is stored in the row `pk`: for rows read without the ORM's objects.

        Raises CannotDecrypt.
        """
        return ring.decrypt(stored, place=self.place(pk)) if isinstance(stored, Token) else stored

    # --- reading ---
    def from_db_value(self, value: str | None, *args: Any) -> Token | str | None:
        return Token(value) if value else value

    def to_python(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return self._typed(value)
        raise ValidationError("Only text can be encrypted.", code="not_text")

    def _typed(self, value: str | None) -> str | None:
        if value and LOOKS_LIKE_A_TOKEN.match(value):
            raise ValidationError("This is an encrypted value, not its text.", code="token")
        return value

    def value_to_string(self, obj: Model) -> str:
        """For serializers: the token, never the text."""
        stored = obj.__dict__.get(self.attname, "")
        return stored.text if isinstance(stored, Token) else self._sealed(obj, stored)

    def _sealed(self, obj: Model, text: str) -> str:
        sealed = self.encrypt(text, pk=obj.pk)
        return sealed.text if isinstance(sealed, Token) else sealed

    # --- writing ---
    def pre_save(self, model_instance: Model, add: bool) -> Token | str | None:
        stored = model_instance.__dict__.get(self.attname)
        if stored is None or isinstance(stored, Token):
            return stored
        return self.encrypt(self.to_python(stored) or "", pk=model_instance.pk)

    def get_db_prep_save(self, value: Any, connection: Any) -> str | None:
        if value is None or value == "":
            return value  # type: ignore[no-any-return]
        if isinstance(value, Token):
            return value.text
        raise FieldError(
            f"{self.name} is encrypted for its row: use save() or bulk_create(), "
            "not update(), bulk_update() or an expression"
        )

    def db_check(self, connection: Any) -> str:
        """Plain text is refused by the database itself, whoever writes it."""
        column = connection.ops.quote_name(self.column)
        return f"{column} = '' OR substr({column}, 9, 6) = '.gAAAA'"

    # --- comparing ---
    def get_lookup(self, lookup_name: str) -> type[Lookup] | None:
        if lookup_name == "isnull":
            return IsNull
        return self._refuse_comparison()

    def get_transform(self, lookup_name: str) -> Never:
        self._refuse_comparison()

    def _refuse_comparison(self) -> Never:
        raise FieldError(
            f"{self.name} is encrypted and cannot be compared in SQL; "
            "find a person by the blind index (config.encryption.blind_index)"
        )

    # --- declared wrongly ---
    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_key(), *self._check_uniqueness()]

    def _check_key(self) -> list[checks.CheckMessage]:
        pk: Field[Any, Any] = self.model._meta.pk
        if isinstance(pk, UUIDField) and pk.has_default():
            return []
        return [checks.Error("needs a UUID primary key with a default", obj=self, id="volens.E001")]

    def _check_uniqueness(self) -> list[checks.CheckMessage]:
        if not (self.unique or getattr(self, "db_index", False)):
            return []
        return [checks.Error("ciphertext can be no index or key", obj=self, id="volens.E002")]

    def clone(self) -> "EncryptedText":
        return type(self)(*self.deconstruct()[2], **self.deconstruct()[3])
