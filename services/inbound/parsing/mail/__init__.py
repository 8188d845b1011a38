"""Reads mail: MIME, HTML as text, and mail of any size within limits. Imported by child processes, so it imports little."""
