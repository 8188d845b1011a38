"""The senders that discovery finds, for the exam."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "services" / "outbound" / "channels"
CHANNELS = sorted(folder.parent.name for folder in FOLDER.glob("*/channel.py"))
