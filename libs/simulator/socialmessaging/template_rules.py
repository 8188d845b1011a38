"""Template rules: valid definitions, and whether a send matches its template (facts 2.2, 2.10)."""

from __future__ import annotations

import re
from typing import Any

from libs.simulator.errors import ProviderError
from libs.simulator.socialmessaging.codes import meta_error
from libs.simulator.socialmessaging.records import Template, Waba

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")
BODY_MAX, HEADER_MAX, FOOTER_MAX = 1024, 60, 60
CATEGORIES = ("MARKETING", "UTILITY", "AUTHENTICATION")
MEDIA_HEADERS = ("IMAGE", "VIDEO", "GIF", "DOCUMENT", "LOCATION")
PER_KIND = {"URL": 2, "PHONE_NUMBER": 1, "COPY_CODE": 1}

MetaError = dict[str, Any]


def variables(text: str) -> list[str]:
    """The distinct variables of a text, in order of appearance: `["1", "2"]` or names."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def _bad(details: str) -> ProviderError:
    return ProviderError("InvalidParametersException", f"(#100) Invalid parameter: {details}")


def check_definition(definition: dict[str, Any]) -> None:
    """A definition for CreateWhatsAppMessageTemplate; raises InvalidParametersException."""
    if not re.fullmatch(r"[a-z0-9_]{1,512}", str(definition.get("name", ""))):
        raise _bad("name must be lower case letters, digits and underscores, at most 512")
    if not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2,4})?", str(definition.get("language", ""))):
        raise _bad("language must be a code such as en_US")
    if definition.get("category") not in CATEGORIES:
        raise _bad(f"category must be one of {', '.join(CATEGORIES)}")
    if definition.get("parameter_format", "POSITIONAL") not in ("POSITIONAL", "NAMED"):
        raise _bad("parameter_format must be POSITIONAL or NAMED")
    check_components(definition.get("components"), definition.get("parameter_format", "POSITIONAL"))


def check_components(components: Any, parameter_format: str) -> None:
    if not isinstance(components, list) or not all(isinstance(c, dict) for c in components):
        raise _bad("components must be a list of objects")
    kinds = [str(c.get("type", "")).upper() for c in components]
    if kinds.count("BODY") != 1 or len(set(kinds)) != len(kinds):
        raise _bad("components need exactly one BODY, and no type twice")
    for kind, component in zip(kinds, components, strict=True):
        if kind == "HEADER":
            _check_header(component)
        elif kind == "BODY":
            _check_text(component, BODY_MAX, "BODY", parameter_format)
        elif kind == "FOOTER":
            _check_text(component, FOOTER_MAX, "FOOTER", parameter_format, most_variables=0)
        elif kind == "BUTTONS":
            _check_buttons(component.get("buttons"))
        else:
            raise _bad(f"component type {kind or 'missing'}")


def _check_header(component: dict[str, Any]) -> None:
    kind = str(component.get("format", "TEXT")).upper()
    if kind == "TEXT":
        _check_text(component, HEADER_MAX, "HEADER", None, most_variables=1)
    elif kind not in MEDIA_HEADERS:
        raise _bad(f"HEADER format must be TEXT or one of {', '.join(MEDIA_HEADERS)}")


def _check_text(
    component: dict[str, Any], maximum: int, what: str, parameter_format: str | None, most_variables: int | None = None
) -> None:
    text = component.get("text")
    # Authentication bodies are Meta's own text and have none in their definition.
    if text is None and what == "BODY" and "add_security_recommendation" in component:
        return
    if not isinstance(text, str) or not text or len(text) > maximum:
        raise _bad(f"{what} text must have 1 to {maximum} characters")
    found = variables(text)
    if most_variables is not None and len(found) > most_variables:
        raise _bad(f"{what} may have at most {most_variables} variable(s)")
    if found and "example" not in component:
        raise _bad(f"{what} variables need example values")
    if parameter_format == "POSITIONAL" and found != [str(i + 1) for i in range(len(found))]:
        raise _bad(f"{what} variables must be {{{{1}}}}, {{{{2}}}}, ... in order")
    if what == "BODY" and (VARIABLE.match(text) or re.search(r"\}\}\W*$", text)) and len(found) > 0:
        raise ProviderError("InvalidParametersException", "(#2388299) BODY must not start or end with a variable")


def _check_buttons(buttons: Any) -> None:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 10:
        raise _bad("BUTTONS needs 1 to 10 buttons")
    kinds = [str(b.get("type", "")).upper() if isinstance(b, dict) else "" for b in buttons]
    known = {"QUICK_REPLY", "URL", "PHONE_NUMBER", "COPY_CODE", "OTP", "FLOW"}
    for kind, button in zip(kinds, buttons, strict=True):
        if kind not in known:
            raise _bad(f"button type must be one of {', '.join(sorted(known))}")
        if len(str(button.get("text", ""))) > 25:
            raise _bad("button text must have at most 25 characters")
    for kind, maximum in PER_KIND.items():
        if kinds.count(kind) > maximum:
            raise _bad(f"at most {maximum} button(s) of type {kind}")


def find_template(waba: Waba, sent: dict[str, Any]) -> Template | MetaError:
    """The approved template that a message names, or the error of its status."""
    name, language = sent["name"], sent["language"]["code"]
    template = waba.templates.get((name, language))
    if template is None:
        return meta_error(132001, f"template name ({name}) does not exist in {language}")
    if template.status == "PAUSED":
        return meta_error(132015)
    if template.status == "DISABLED":
        return meta_error(132016)
    if template.status != "APPROVED":
        return meta_error(132001, f"template name ({name}) is not approved in {language} ({template.status})")
    return template


def check_parameters(template: Template, sent: dict[str, Any]) -> MetaError | None:
    """Whether the components of a send match the template; the first mismatch as Meta's error."""
    given = sent.get("components") or []
    by_kind = {str(c["type"]).lower(): c for c in given if str(c["type"]).lower() != "button"}
    return (
        _header_fits(template, by_kind.get("header"))
        or _body_fits(template, by_kind.get("body"))
        or _buttons_fit(template, [c for c in given if str(c["type"]).lower() == "button"])
    )


def _header_fits(template: Template, given: dict[str, Any] | None) -> MetaError | None:
    header = template.component("HEADER")
    parameters = (given or {}).get("parameters") or []
    kind = str((header or {}).get("format", "TEXT")).upper()
    if header is None:
        return meta_error(132000, "header: number of params does not match 0") if parameters else None
    if kind == "TEXT":
        return _texts_fit(template, variables(header.get("text", "")), parameters, "header")
    wanted = "video" if kind == "GIF" else kind.lower()
    if len(parameters) != 1:
        return meta_error(132012, f"header: Format mismatch, expected {kind}, received UNKNOWN")
    if parameters[0].get("type") != wanted or not isinstance(parameters[0].get(wanted), dict):
        received = str(parameters[0].get("type", "UNKNOWN")).upper()
        return meta_error(132012, f"header: Format mismatch, expected {kind}, received {received}")
    return None


def _body_fits(template: Template, given: dict[str, Any] | None) -> MetaError | None:
    body = template.component("BODY") or {}
    # Authentication bodies are Meta's: one code.
    source = str(body.get("text") or "{{1}}")
    parameters = (given or {}).get("parameters") or []
    wanted = variables(source)
    unsupported_reason = _texts_fit(template, wanted, parameters, "body")
    if unsupported_reason is not None:
        return unsupported_reason
    grown = len(VARIABLE.sub("", source)) + sum(len(str(p.get("text", ""))) for p in parameters)
    return meta_error(132005, f"body: {grown} characters exceed {BODY_MAX}") if grown > BODY_MAX else None


def _texts_fit(template: Template, wanted: list[str], given: list[dict[str, Any]], where: str) -> MetaError | None:
    if len(given) != len(wanted):
        details = f"{where}: number of localizable_params ({len(given)}) does not match the expected number of params ({len(wanted)})"
        return meta_error(132000, details)
    if template.parameter_format == "NAMED":
        names = [p.get("parameter_name") for p in given]
        if not all(isinstance(name, str) for name in names):
            return meta_error(132012, f"{where}: Parameter name is missing")
        if set(names) != set(wanted):
            return meta_error(132000, f"{where}: expected the parameters {', '.join(wanted)}")
    for parameter in given:
        unsupported_reason = _value_fits(parameter, where)
        if unsupported_reason is not None:
            return unsupported_reason
    return None


def _value_fits(parameter: dict[str, Any], where: str) -> MetaError | None:
    kind = parameter.get("type")
    if kind in ("currency", "date_time"):
        inner = parameter.get(kind)
        ok = isinstance(inner, dict) and isinstance(inner.get("fallback_value"), str)
        return None if ok else meta_error(132012, f"{where}: {kind} needs fallback_value")
    if kind != "text":
        return meta_error(132012, f"{where}: Format mismatch, expected TEXT, received {str(kind).upper()}")
    value = parameter.get("text")
    if not isinstance(value, str) or not value:
        return meta_error(131008, f"{where}: Parameter of type text is missing text value")
    if re.search(r"[\n\t]| {5}", value):
        return meta_error(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
    return None


def _buttons_fit(template: Template, given: list[dict[str, Any]]) -> MetaError | None:
    buttons = (template.component("BUTTONS") or {}).get("buttons") or []
    by_index = {str(c.get("index", "")): c for c in given}
    for index in by_index:
        if not index.isdigit() or int(index) >= len(buttons):
            return meta_error(132000, f"button: the template has no button at index {index or 'missing'}")
    for i, button in enumerate(buttons):
        unsupported_reason = _button_fits(i, button, by_index.get(str(i)))
        if unsupported_reason is not None:
            return unsupported_reason
    return None


def _button_fits(index: int, button: dict[str, Any], given: dict[str, Any] | None) -> MetaError | None:
    kind = str(button.get("type", "")).upper()
    expected = {
        "URL": ("url",),
        "OTP": ("url", "copy_code"),
        "QUICK_REPLY": ("quick_reply",),
        "COPY_CODE": ("copy_code",),
        "FLOW": ("flow",),
    }
    needs = kind in ("OTP", "COPY_CODE") or (kind == "URL" and "{{" in str(button.get("url", "")))
    if given is None:
        details = f"buttons: Button at index {index} of type {kind.title()} requires a parameter"
        return meta_error(131008, details) if needs else None
    if str(given.get("sub_type", "")).lower() not in expected.get(kind, ()):
        return meta_error(132012, f"buttons: Button at index {index} is of type {kind}")
    if needs and len(given.get("parameters") or []) != 1:
        return meta_error(132000, f"buttons: Button at index {index} needs exactly one parameter")
    return None
