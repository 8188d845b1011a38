"""Rows for tiny real processes."""

import sys

from deploy.local.process import Process

_SERVER = """
import http.server, os, signal, sys
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.end_headers()
        self.wfile.write(os.environ.get("GREETING", "").encode())
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hello).serve_forever()
"""
_STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, "stays", flush=True)
time.sleep(600)
"""


def server(name: str = "server", **changes: object) -> Process:
    """Answers /health on its port after a moment."""
    fields: dict[str, object] = {
        "name": name,
        "argv": (sys.executable, "-c", _SERVER, f"{{{name}}}"),
        "port": name,
        "health": "/health",
        "ready_seconds": 10.0,
    }
    return Process(**(fields | changes))  # type: ignore[arg-type]


def script(code: str, name: str = "script", **changes: object) -> Process:
    """A process without a port."""
    return Process(name=name, argv=(sys.executable, "-c", code), **changes)  # type: ignore[arg-type]


def stubborn() -> Process:
    """Ignores SIGTERM, and has a child in a session of its own."""
    return script(_STUBBORN, "stubborn", ready_line="stays", grace_seconds=0.3)
