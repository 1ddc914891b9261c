"""What people read, in their languages: one text for all of them, or one for each."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from scenarios.yaml_file import StrictModel

MOST_CHARACTERS = 4000


class Text(StrictModel):
    """`Does it hold?`, or `{en: Does it hold?, fr: Est-ce que cela tient ?}`. As a string, it is the English one."""

    en: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    fr: str = Field(min_length=1, max_length=MOST_CHARACTERS)

    @model_validator(mode="before")
    @classmethod
    def _one_for_all(cls, content: Any) -> Any:
        if isinstance(content, str) and content:
            return dict.fromkeys(cls.model_fields, content)
        if not isinstance(content, dict):
            raise ValueError(  # noqa: TRY004 - what pydantic makes a sentence of
                f"write a text, or one for each of {' and '.join(cls.model_fields)}"
            )
        return content

    def __str__(self) -> str:
        return self.en

    def in_language(self, language: str) -> str:
        """The text of a language, by its code; the English one where the language is none of these."""
        text: str = dict(self).get(language, self.en)
        return text
