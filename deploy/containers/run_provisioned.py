"""`python -m deploy.containers.run_provisioned MODULE ARGUMENTS…`: run a module with the variables of provisioning.

Provisioning is a container of its own; the ids that it creates (of the user pool, of the phone numbers) reach the others
through the volume /provisioned. In AWS the deployment sets them in the environment.
"""

import json
import os
import runpy
import sys
from pathlib import Path

FILE = Path(os.environ.get("PROVISIONED", "/provisioned/config.json"))


def main() -> None:
    """Run the named module in this process. Existing environment variables have priority over those of provisioning."""
    if len(sys.argv) < 2:
        sys.exit(str(__doc__))
    for name, value in json.loads(FILE.read_text()).items():
        os.environ.setdefault(name, value)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
