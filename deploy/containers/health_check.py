"""The health check inside a container: `health_check.py 8081/` exits 0 when GET / on that port of it answers 2xx.

It imports only the standard library, because it runs every few seconds in every container.
"""

import http.client
import sys


def main() -> int:
    """See the module."""
    port, _, path = sys.argv[1].partition("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", f"/{path}")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"GET /{path} on port {port}: {error}")
        return 1
    print(f"GET /{path} on port {port} answers {status}")
    return 0 if 200 <= status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
