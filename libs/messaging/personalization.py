"""Personalises one content for many recipients: fills in ``{{name}}`` in it, or a template's variables."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TypeVar

from libs.messaging.content import Content, Email, Rich, Speech, Template, Text
from libs.messaging.rendering import VARIABLE, html_filled, one_line, variables

C = TypeVar("C")


def wanted(content: Content) -> tuple[str, ...]:
    """Returns the variables in the content itself; those of a template are known from its definition instead."""
    match content:
        case Text():
            return variables(content.body)
        case Speech():
            return variables(content.text)
        case Email():
            return variables(content.subject, content.text, content.html)
        case Rich():
            return variables(content.text, content.fallback_text)
        case Template():
            return variables(*content.variables.values())
        case _:
            return ()


def personal(content: Content, values: Mapping[str, str]) -> Content:
    """Returns the content for one recipient. Raises :class:`libs.messaging.rendering.Unfit` for a value that is not a
    safe URL where a URL is expected."""

    def fill(text: str) -> str:
        return VARIABLE.sub(lambda found: values.get(found.group(1), ""), text)

    match content:
        case Template():
            return _with(content, variables={**content.variables, **values})
        case Text():
            return _with(content, body=fill(content.body))
        case Speech():
            shown = {name: escape(value) for name, value in values.items()} if content.ssml else values
            return _with(content, text=VARIABLE.sub(lambda found: shown.get(found.group(1), ""), content.text))
        case Email():
            subject = VARIABLE.sub(lambda found: one_line(values.get(found.group(1), "")), content.subject)
            text = fill(content.text) if content.text else None
            html = html_filled(content.html, values) if content.html else None
            return _with(content, subject=subject[:998].strip() or "-", text=text, html=html)
        case Rich():
            text = fill(content.text) if content.text else None
            fallback = fill(content.fallback_text) if content.fallback_text else None
            return _with(content, text=text, fallback_text=fallback)
        case _:
            return content


def _with(content: C, **change: object) -> C:
    return content.model_copy(update=change)  # type: ignore[attr-defined, no-any-return]
