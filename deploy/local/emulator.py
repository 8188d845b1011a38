"""The embedded AWS: MiniStack on the loopback interface, with two faults of its Cognito fixed.

Runs inside `.venv-emulator`, never inside the development environment:

    AWS_PORT=4566 .venv-emulator/bin/python deploy/local/emulator.py

On a token refresh MiniStack 1.5.33 sets `auth_time` to now, and at `/oauth2/token` it omits
`cognito:groups`. Cognito keeps `auth_time` and returns the current groups. Browsers' OpenID clients refuse
a changed `auth_time`, and a token without groups has no role, so both are corrected before a
token is signed.
`tests/deploy/test_cognito_refresh.py` fails when an upgrade makes this unnecessary or ineffective.

MiniStack also parses each statement of a PartiQL batch twice, and does not cache parsed statements; that was half of the cost
of a batch, and is done once here (`tests/deploy/test_statements.py`: with the same results). A long poll continues when its client
has disconnected (a killed worker), receives the next message and makes it invisible; here it ends with its connection.

It is served by uvicorn: hypercorn, MiniStack's server, was more than a third of the cost of a small request. Faster functions
parse forms, copy and measure rows, and write answers; these were a third of the rest.
"""

import asyncio
import contextlib
import copy
import functools
import gc
import importlib
import inspect
import json
import os
import resource
import sys
import types
import urllib.parse
from typing import Any, cast

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SERVICES = (
    "cognito-idp,sns,sqs,dynamodb,s3,secretsmanager,scheduler,events,iam,sts,lambda,"
    "ssm,logs,monitoring,kms,cloudformation,apigateway,appsync"
)
DEFAULT_PORT = "4566"


def keep_session_on_refresh(cognito: Any) -> None:
    """Wrap the one function of MiniStack's Cognito module that signs every token.

    Raises RuntimeError if that function has changed: an upgrade must not lose the fixes silently.
    """
    sign = getattr(cognito, "_signed_jwt", None)
    if sign is None or list(inspect.signature(sign).parameters)[:2] != ["claims", "pool_id"]:
        raise RuntimeError(
            "MiniStack signs Cognito tokens elsewhere now: read its services/cognito.py and "
            "adapt keep_session_on_refresh in deploy/local/emulator.py"
        )
    first_auth_time: dict[str, int] = {}

    def signed(claims: dict[str, Any], pool_id: str = "", *rest: Any, **named: Any) -> str:
        if claims.get("token_use") in ("access", "id"):
            session = claims.get("origin_jti")
            if session and "auth_time" in claims:
                claims["auth_time"] = first_auth_time.setdefault(session, claims["auth_time"])
            groups = _groups_of(cognito, claims, pool_id)
            if groups:
                claims.setdefault("cognito:groups", groups)
        return str(sign(claims, pool_id, *rest, **named))

    cognito._signed_jwt = signed


def _groups_of(cognito: Any, claims: dict[str, Any], pool_id: str) -> list[str]:
    pool = cognito._get_pool_unscoped(pool_id) or {}
    user = pool.get("_users", {}).get(claims.get("username") or claims.get("cognito:username"), {})
    return list(user.get("_groups", []))


class _Hole(dict[str, Any]):
    """A placeholder for a parameter of known type while a statement is parsed; it marks the position of the value."""

    def __init__(self, place: int, kind: str) -> None:
        super().__init__({kind: None})
        self.place = place

    def __repr__(self) -> str:
        return f"p[{self.place}]"


def parse_statements_once(dynamodb: Any) -> None:
    """Run the parsed statements of a batch without parsing again, and cache parsed texts by the types of their parameters:
    values are parameters, so there are few different texts. Raises RuntimeError if MiniStack changed its structure."""
    parse, whole = getattr(dynamodb, "parse_partiql_statement", None), dynamodb._parse_partiql
    if parse is None or any(list(inspect.signature(each).parameters)[1:] != ["parameters"] for each in (parse, whole)):
        raise RuntimeError(
            "MiniStack parses PartiQL elsewhere now: read its services/dynamodb.py and adapt parse_statements_once in "
            "deploy/local/emulator.py"
        )

    @functools.lru_cache(maxsize=10_000)
    def template(text: str, kinds: tuple[str, ...]) -> Any:
        parsed = parse(text, [_Hole(place, kind) for place, kind in enumerate(kinds)])
        return eval(f"lambda p: {parsed!r}")  # noqa: S307 (names, numbers and texts in dicts, lists and tuples)

    def parse_text_once(text: str, parameters: Any) -> Any:
        kinds = tuple(next(iter(each), "") if type(each) is dict else "" for each in parameters or ())
        # Errors contain values, and so do duplicates in a set.
        return parse(text, parameters) if "" in kinds or "<<" in text else template(text, kinds)(parameters)

    last: list[Any] = []

    def parse_once(statement: Any, parameters: Any) -> Any:
        if last and last[0] is statement and last[1] is parameters:
            found = last[2]
            last.clear()
            return found
        found = whole(statement, parameters)
        last[:] = [statement, parameters, found]
        return found

    dynamodb.parse_partiql_statement = parse_text_once
    dynamodb._parse_partiql = parse_once


#: Frequent escapes of JSON in a form. Not the percent sign: a text with a remaining escape uses the slow decoder.
_ESCAPES = {f"%{ord(c):02X}": c for c in '"{}[]:,/ \\@#=&+?;|<>\n'}


def read_forms_quickly() -> None:
    """A faster form parser: a request to SNS is a form with ten JSON messages, which MiniStack decodes twice and slowly."""
    slowly = urllib.parse.unquote

    @functools.lru_cache(maxsize=256)
    def unquote(string: str | bytes, encoding: str = "utf-8", errors: str = "replace") -> str:
        if isinstance(string, str):
            plain = string
            for escape, sign in _ESCAPES.items():
                plain = plain.replace(escape, sign)
            if "%" not in plain:
                return plain
        return slowly(string, encoding, errors)

    urllib.parse.unquote = unquote


def copy_rows_quickly(dynamodb: Any) -> None:
    """A faster copy of rows, which are dicts, lists and texts; `copy.deepcopy` supports any object."""

    def copied(value: Any) -> Any:
        if type(value) is dict:
            return {name: copied(each) for name, each in value.items()}
        if type(value) is list:
            return [copied(each) for each in value]
        return value if type(value) in (str, int, float, bool, type(None)) else copy.deepcopy(value)

    dynamodb.copy = types.SimpleNamespace(deepcopy=copied)


def speak_json_quickly(*modules: Any) -> None:
    """Make modules of MiniStack use orjson where the result is the same."""

    def dumps(value: Any, **how: Any) -> str:
        if how.keys() <= {"ensure_ascii"}:
            with contextlib.suppress(TypeError):
                return orjson.dumps(value).decode()
        return json.dumps(value, **how)

    for module in modules:
        module.json = types.SimpleNamespace(loads=orjson.loads, dumps=dumps, JSONDecodeError=json.JSONDecodeError)


def weigh_rows_quickly(dynamodb: Any) -> None:
    """A faster row size: every write measures its row three times, for the limit and for units of 1 KB. The size of JSON is slightly larger."""
    exactly = dynamodb._item_size_bytes

    def weight(item: Any) -> int:
        about = len(orjson.dumps(item))
        return about if about < 1024 else int(exactly(item))

    dynamodb._item_size_bytes = weight


def refuse_what_queues_refuse(sns: Any, sqs: Any) -> None:
    """SQS refuses some characters, so a message with one of them is never delivered by its topic. MiniStack delivers it; here
    SNS refuses it, like one that is too long. Raises RuntimeError if MiniStack changed its structure."""
    weigh, refused = getattr(sns, "_message_payload_size", None), getattr(sqs, "_INVALID_SQS_CHARS_RE", None)
    if weigh is None or refused is None or list(inspect.signature(weigh).parameters) != ["message", "attrs"]:
        raise RuntimeError(
            "MiniStack checks messages elsewhere now: read its services/sns.py and services/sqs.py and adapt "
            "refuse_what_queues_refuse in deploy/local/emulator.py"
        )

    def size(message: str, attrs: dict[str, Any]) -> int:
        return sys.maxsize if refused.search(message or "") else int(weigh(message, attrs))

    sns._message_payload_size = size


def end_polls_with_their_connection(app: Any) -> Any:
    """The ASGI application, with each `ReceiveMessage` cancelled once its client has disconnected."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or (b"x-amz-target", b"AmazonSQS.ReceiveMessage") not in scope["headers"]:
            await app(scope, receive, send)
            return
        asked = [await receive()]
        while asked[-1].get("more_body"):
            asked.append(await receive())
        gone = asyncio.ensure_future(receive())

        async def heard() -> Any:
            return asked.pop(0) if asked else await asyncio.shield(gone)

        answer = asyncio.ensure_future(app(scope, heard, send))
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        answer.cancel()  # no effect if it exists
        with contextlib.suppress(asyncio.CancelledError):
            await answer

    return served


class _Answers(HttpToolsProtocol):
    """Send each answer in one write, so that the client is woken once."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast("asyncio.Transport", _Joined(transport)))


class _Joined:
    """A transport that delays the head of an answer until the body, or until the end of the event-loop iteration."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
            asyncio.get_running_loop().call_soon(self._release)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._release()
        self._transport.close()

    def _release(self) -> None:
        if self._head:
            self.write(b"")


def main() -> None:
    """Serve until SIGTERM; AWS_HOST and AWS_PORT are the bind address, SERVICES (comma-separated) the emulated services."""
    # MiniStack reads these while it is imported. By default it binds every interface, opens an MQTT port,
    # and looks for a Docker daemon whose containers it may remove.
    os.environ["BIND_HOST"] = os.environ.get("AWS_HOST") or "127.0.0.1"
    os.environ["GATEWAY_PORT"] = os.environ.get("AWS_PORT", DEFAULT_PORT)
    os.environ["IOT_MTLS_ENABLED"] = "0"
    os.environ["SFTP_ENABLED"] = "0"
    os.environ["DOCKER_HOST"] = "unix:///var/empty/no-docker.sock"
    os.environ["SERVICES"] = os.environ.get("SERVICES") or SERVICES
    os.environ.setdefault("LOG_LEVEL", "WARNING")  # a line for each delivery to a queue
    app: Any = importlib.import_module("ministack.app")
    keep_session_on_refresh(importlib.import_module("ministack.services.cognito"))
    dynamodb = importlib.import_module("ministack.services.dynamodb")
    parse_statements_once(dynamodb)
    copy_rows_quickly(dynamodb)
    weigh_rows_quickly(dynamodb)
    read_forms_quickly()
    refuse_what_queues_refuse(*map(importlib.import_module, ("ministack.services.sns", "ministack.services.sqs")))
    others = ("ministack.services.sqs", "ministack.services.sns", "ministack.core.responses")
    speak_json_quickly(dynamodb, *map(importlib.import_module, others))
    # All rows are in memory and permanent: scanning them in a garbage collection would block for seconds.
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000_000)
    serve(end_polls_with_their_connection(app.app), os.environ["BIND_HOST"], int(os.environ["GATEWAY_PORT"]))


def serve(app: Any, host: str, port: int) -> None:
    """Serve until SIGTERM; open long polls then return no message."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each long poll is a connection
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=_Answers,
        ws="wsproto",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
