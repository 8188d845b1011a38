"""Validates the content of a version for its channel before it is submitted: each error names its field. Pure.

WhatsApp's limits: Meta, "Message templates, components" (2026). Names follow Meta's rule on every channel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.rendering import BRACES, VARIABLE, html_problem, variables
from services.templates.model import Json, Template, TemplateVersion, Variable, body_variables, component

#: Maximum size of a definition that AWS accepts, in bytes.
MAX_DEFINITION_LENGTH = 6000
#: Maximum size of the text and HTML of a version, in bytes: it must fit one event.
MAX_CONTENT_LENGTH = 120_000
MAX_META_BODY_LENGTH, MAX_META_HEADER_LENGTH, MAX_META_FOOTER_LENGTH, MAX_BUTTONS = 1024, 60, 60, 10

Wrong = Iterator[dict[str, str]]


def wrong(channel: Channel, version: TemplateVersion) -> list[dict[str, str]]:
    """Returns all errors: ``[{"field", "detail"}]``."""
    if channel.traits.templates.at_provider:
        return [*_meta(version), *_variables(version, body_variables(version.components), needs_examples=True)]
    found = variables(version.subject, version.body, version.html)
    return [*_written(channel, version), *_variables(version, found, needs_examples=False)]


def _written(channel: Channel, version: TemplateVersion) -> Wrong:
    yield from _only(channel, version)
    for field in ("subject", "body", "html"):
        text = getattr(version, field)
        if text and BRACES.search(VARIABLE.sub("", text)):
            detail = (
                "Write a variable as {{name}}: small letters, digits and underscores; other braces do not stand for it."
            )
            yield {"field": field, "detail": detail}
    longest = channel.traits.templates.max_body_length
    if len(version.body or "") > longest:
        yield {"field": "body", "detail": f"It has {len(version.body or '')} characters; {channel} takes {longest}."}
    if version.subject and (len(version.subject) > 998 or any(ord(c) < 32 for c in version.subject)):
        yield {"field": "subject", "detail": "One line of up to 998 characters."}
    if len(f"{version.body or ''}{version.html or ''}".encode()) > MAX_CONTENT_LENGTH:
        yield {"field": "html", "detail": f"Text and HTML together may have {MAX_CONTENT_LENGTH} bytes."}
    problem = html_problem(version.html) if version.html else None
    if problem:
        yield {"field": "html", "detail": problem}


def _only(channel: Channel, version: TemplateVersion) -> Wrong:
    """Checks the fields that the channel requires, and those that it does not support."""
    if channel.traits.text_content == "email":
        if not version.subject:
            yield {"field": "subject", "detail": "An e-mail needs a subject."}
        if not version.body and not version.html:
            yield {"field": "body", "detail": "Give a text, HTML, or both."}
    elif not version.body:
        yield {"field": "body", "detail": "Give the text."}
    for field in ("subject", "html", "voice", "ssml"):
        if getattr(version, field) and field not in channel.traits.templates.parts:
            yield {"field": field, "detail": f"{channel} has no place for it."}
    if version.components:
        yield {"field": "components", "detail": "Only WhatsApp has components; write the body."}


def _variables(version: TemplateVersion, found: tuple[str, ...], *, needs_examples: bool) -> Wrong:
    positional = [name for name in found if name.isdecimal()]
    if positional and (len(positional) != len(found) or sorted(map(int, positional)) != list(range(1, len(found) + 1))):
        yield {"field": "variables", "detail": "Use either {{1}}, {{2}} … without gaps, or names, not both."}
    declared = {each.name: each for each in version.variables}
    for name in declared.keys() - set(found):
        yield {"field": f"variables.{name}", "detail": "The template does not use it."}
    for name in found:
        if needs_examples and not (name in declared and declared[name].example):
            yield {"field": f"variables.{name}", "detail": "Meta's reviewers need an example value."}


def _meta(version: TemplateVersion) -> Wrong:
    kinds = [str(each.get("type", "")).upper() for each in version.components]
    if kinds.count("BODY") != 1 or len(set(kinds)) != len(kinds):
        yield {"field": "components", "detail": "Exactly one BODY, and no type twice."}
    for kind in set(kinds) - {"HEADER", "BODY", "FOOTER", "BUTTONS"}:
        yield {"field": "components", "detail": f"There is no component {kind or 'without a type'}."}
    for kind, longest in (
        ("BODY", MAX_META_BODY_LENGTH),
        ("HEADER", MAX_META_HEADER_LENGTH),
        ("FOOTER", MAX_META_FOOTER_LENGTH),
    ):
        text = (component(version.components, kind) or {}).get("text")
        if text is not None and not (isinstance(text, str) and 1 <= len(text) <= longest):
            yield {"field": f"components.{kind.lower()}", "detail": f"1 to {longest} characters."}
    text = str((component(version.components, "BODY") or {}).get("text") or "")
    if re.match(r"\s*\{\{", text) or re.search(r"\}\}\W*$", text):
        yield {"field": "components.body", "detail": "Meta takes no variable at the very beginning or end."}
    if len((component(version.components, "BUTTONS") or {}).get("buttons") or []) > MAX_BUTTONS:
        yield {"field": "components.buttons", "detail": f"At most {MAX_BUTTONS} buttons."}


def definition(template: Template, version: TemplateVersion) -> bytes:
    """Returns the ``templateDefinition`` for Meta."""
    whole = {
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "parameter_format": version.parameter_format,
        "components": version.components,
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def components_with_examples(components: list[Json], given: list[Variable]) -> list[Json]:
    """Adds the variables' examples to the body component, where Meta requires them."""
    examples = {each.name: each.example for each in given if each.example}

    def filled(each: Json) -> Json:
        names = body_variables([each])
        if str(each.get("type", "")).upper() != "BODY" or not names or "example" in each or "text" not in each:
            return each
        return {**each, "example": _example(names, examples)}

    return [filled(each) for each in components]


def _example(names: tuple[str, ...], examples: dict[str, str]) -> dict[str, Any]:
    if all(name.isdecimal() for name in names):
        return {"body_text": [[examples.get(name, "") for name in sorted(names, key=int)]]}
    return {
        "body_text_named_params": [{"param_name": name, "example": examples.get(name, "")} for name in names],
    }


def parameter_format(components: list[Json]) -> str:
    names = body_variables(components)
    return "NAMED" if names and not all(name.isdecimal() for name in names) else "POSITIONAL"
