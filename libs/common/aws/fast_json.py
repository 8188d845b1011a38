"""Bypasses botocore's models for DynamoDB and SQS, which cost a fifth of each call.

botocore converts every member of a request and answer of the JSON protocol: times, binaries and names. The operations used
here have none of these (a binary attribute or member would stay base64), so JSON and Python values are the same.
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
    """Make a client of one of :data:`SERVICES` pass requests and answers unchanged. Raises RuntimeError if botocore changed its
    internal structure."""
    if not isinstance(client._serializer, JSONSerializer) or not hasattr(client._endpoint, "_response_parser_factory"):
        raise RuntimeError("botocore changed its serializer: adapt libs/common/aws/fast_json.py")
    client._serializer = _Serializer()
    client._endpoint._response_parser_factory = _Parsers()
