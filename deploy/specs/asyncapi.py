"""AsyncAPI 3.0 from the declarations: a channel per topic, an operation per service and event said or heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.declare.event import Event
from libs.common.declare.names import Names
from libs.common.declare.service import Service


def envelope(event: type[Event]) -> dict[str, Any]:
    """JSON Schema of the CloudEvents object that carries the event."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"const": event.TYPE},
            "subject": {**text, "description": f"the {event.ABOUT.replace('_', ' ')}"},
            "time": {**text, "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "correlationid": text,
            "causationid": text,
            "actor": text,
            "traceparent": text,
            "data": schema(event),
        },
    }


def schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema of the fact itself, as it is on the wire."""
    return event.model_json_schema(by_alias=True, mode="serialization")


def document(services: Sequence[Service], prefix: str) -> dict[str, Any]:
    """The whole document."""
    names = Names(prefix)
    events = sorted({event for service in services for event in service.facts()}, key=lambda event: event.TYPE)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for event in events:
        channel = channels.setdefault(event.topic(), {"address": names.topic(event.topic()), "messages": {}})
        channel["messages"][event.TYPE] = {"$ref": f"#/components/messages/{event.TYPE}"}
    for service in services:
        for event in service.facts():
            operations[f"{service.name}.send.{event.TYPE}"] = _operation("send", event)
        for heard in service.hears:
            key = f"{service.name}.receive.{heard.event.TYPE}" + (f".{heard.lane}" if heard.lane else "")
            operations[key] = _operation("receive", heard.event) | {"x-filter": dict(heard.where)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "WECARE events", "version": "1", "description": "CloudEvents 1.0 over SNS and SQS."},
        "channels": dict(sorted(channels.items())),
        "operations": dict(sorted(operations.items())),
        "components": {
            "messages": {
                event.TYPE: {
                    "name": event.TYPE,
                    "summary": (event.__doc__ or "").strip().split("\n")[0],
                    "contentType": "application/cloudevents+json",
                    "payload": envelope(event),
                }
                for event in events
            }
        },
    }


def _operation(action: str, event: type[Event]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{event.topic()}"},
        "messages": [{"$ref": f"#/channels/{event.topic()}/messages/{event.TYPE}"}],
    }
