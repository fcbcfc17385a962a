"""The field in which a campaign's text is written, with what its live preview must know."""

from collections.abc import Mapping
from typing import Any

from django import forms

from campaigns import text


class ComposeWidget(forms.Textarea):
    """A plain field that the browser, if it runs scripts, turns into one with a preview.

    The alphabets, limits and suggestions are those of `campaigns.text`, as data attributes.
    """

    class Media:
        js = (forms.Script("compose.js", type="module"),)

    def __init__(self, attrs: Mapping[str, Any] | None = None) -> None:
        rules = {f"data-{name}": rule for name, rule in text.for_browser().items()}
        looks = {"class": "vLargeTextField", "rows": 7, "data-compose": True}
        super().__init__({**looks, **rules, **(attrs or {})})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Forms send a line's end as two characters, which would be billed as two."""
        written = super().value_from_datadict(data, files, name)
        return written.replace("\r\n", "\n") if isinstance(written, str) else written
