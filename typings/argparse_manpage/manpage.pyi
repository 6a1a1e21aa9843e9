"""The part of argparse-manpage 4.8 that we use."""

from argparse import ArgumentParser

class Manpage:
    source: str
    section: str
    manual: str
    description: str | None
    def __init__(self, parser: ArgumentParser, format: str = "pretty") -> None: ...
