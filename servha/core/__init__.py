"""The core decides: events in, effects out, no I/O. Start reading in rules.py."""
