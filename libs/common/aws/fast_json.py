"""DynamoDB and SQS without the walk through their models: a fifth of what a call costs here.

botocore takes every request and answer of the JSON protocol apart, member by member, to convert times, binaries and names.
These two services have none in what we use (a binary attribute or a binary member would come through as base64): what goes over the wire is what is in Python.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiobotocore.parsers import AioJSONParser, AioResponseParserFactory
from botocore.serialize import JSONSerializer

SERVICES = ("dynamodb", "sqs")


class _Serializer(JSONSerializer):  # type: ignore[misc]
    def serialize_to_request(self, parameters: dict[str, Any], operation_model: Any) -> dict[str, Any]:
        request: dict[str, Any] = super().serialize_to_request({}, operation_model)
        request["body"] = orjson.dumps(parameters)
        return request


class _Parser(AioJSONParser):  # type: ignore[misc]
    def _parse_shape(self, shape: Any, node: Any) -> Any:
        return node

    def _parse_body_as_json(self, body_contents: bytes) -> Any:
        try:
            return orjson.loads(body_contents or b"{}")
        except ValueError:
            return super()._parse_body_as_json(body_contents)


class _Parsers(AioResponseParserFactory):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._parser = _Parser(**self._defaults)

    def create_parser(self, protocol_name: str) -> Any:
        return self._parser if protocol_name == "json" else super().create_parser(protocol_name)


def install_fast_json(client: Any) -> None:
    """Have a client of one of :data:`SERVICES` pass on requests and answers as they are. Raises RuntimeError when botocore keeps what
    does this elsewhere now."""
    if not isinstance(client._serializer, JSONSerializer) or not hasattr(client._endpoint, "_response_parser_factory"):
        raise RuntimeError("botocore serializes elsewhere now: adapt libs/common/aws/fast_json.py")
    client._serializer = _Serializer()
    client._endpoint._response_parser_factory = _Parsers()
