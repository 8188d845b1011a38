"""The HTTP client of the commands: answers as JSON, problem documents as readable errors."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, NoReturn

import httpx
import typer

from libs.cli.show import errors

DEFAULT_URL = "http://localhost:8080"
#: Exit codes: the API refused the request; the API cannot be reached or failed.
REFUSED, UNREACHABLE = 1, 2


class Api:
    """Raises typer.Exit with a message on stderr whenever a call does not succeed. Queries and bodies leave out None."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, params=_given(query))

    def find(self, path: str) -> Any:
        """None if the resource does not exist."""
        return self._call("GET", path, missing=True)

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> Any:
        """Send with an Idempotency-Key, so that a request whose answer was lost can be retried safely."""
        return self._write("POST", path, body, key)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._write("PUT", path, body, None)

    def _write(self, method: str, path: str, body: dict[str, Any], key: str | None) -> Any:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self._call(method, path, json=_given(body), headers=headers)

    def _call(self, method: str, path: str, missing: bool = False, **more: Any) -> Any:
        """Retry once if the answer was lost; the Idempotency-Key makes it the same request."""
        for again in (True, False):
            try:
                answer = self._http.request(method, path, **more)
                break
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if again and isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
                    continue
                fail(
                    f"Cannot reach the API at {self.url} ({type(error).__name__}).",
                    "Start it with `make up`, or check WECARE_API_URL.",
                    code=UNREACHABLE,
                )
        if missing and answer.status_code == 404:
            return None
        if answer.is_success:
            return answer.json() if answer.content else None
        refused(answer)


def refused(answer: httpx.Response) -> NoReturn:
    """Print a problem document and end the command."""
    try:
        problem = answer.json()
        problem = problem if isinstance(problem, dict) else {}
    except ValueError:
        problem = {}
    lines = [f"{problem.get('code', answer.status_code)}: {problem.get('title', answer.reason_phrase)}"]
    wrong = [f"  {each.get('field')}: {each.get('detail')}" for each in problem.get("errors", [])]
    # For invalid fields the detail repeats the list; without a token it names a header, which the command line does not have.
    plain = (problem.get("code") == "VALIDATION_FAILED" and wrong) or "Authorization" not in answer.request.headers
    lines += [str(problem[name]) for name in ("detail", "do") if problem.get(name) and not (plain and name == "detail")]
    lines += wrong
    if answer.status_code == 401:
        lines.append("Log in with `wecare login`, or set WECARE_TOKEN to an access token.")
    fail(*lines, code=REFUSED if answer.status_code < 500 else UNREACHABLE)


def fail(*lines: str, code: int = REFUSED) -> NoReturn:
    """End with these lines on stderr."""
    for n, line in enumerate(lines):
        errors.print(line, style="bold red" if n == 0 else "", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def token_file() -> Path:
    """Where ``wecare login`` stores the token."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "wecare" / "token"


def kept_token() -> str | None:
    try:
        return token_file().read_text().strip() or None
    except OSError:
        return None


def keep_token(token: str) -> Path:
    """Store the token in a file that only this user can read."""
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(token + "\n")
    return path
