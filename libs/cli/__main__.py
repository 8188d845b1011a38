"""``python -m libs.cli``."""

from __future__ import annotations

from libs.cli.app import main

if __name__ == "__main__":
    main()
