"""What a lab refuses or fails to do: a sentence for people and the exit code of the command."""

from __future__ import annotations

from enum import IntEnum

from servha.core.words import Text


class Exit(IntEnum):
    """The exit codes of the command line that a lab can end with."""

    FAILED = 1
    USAGE = 2
    NO_SUCH = 6
    EXISTS = 7
    TRY_AGAIN = 75
    NOT_PERMITTED = 77
    TIMED_OUT = 124


class LabError(Exception):
    """The thing, the reason and the next step."""

    def __init__(self, text: Text, code: Exit = Exit.FAILED) -> None:
        super().__init__(str(text))
        self.text = text
        self.code = code
