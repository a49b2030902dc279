"""What can go wrong for a user, in one family.

The library raises these; only the command line turns them into one printed line and an exit code.
"""

from __future__ import annotations


class GroundswellError(Exception):
    """Something a user can put right; its text is one line that says what and where."""

    exit_code = 1


class UsageError(GroundswellError, ValueError):
    """What was asked for cannot be meant: an unknown option, a rate below 0, an empty span, a path not there."""

    exit_code = 2


class DataError(GroundswellError, ValueError):
    """A file that was read is not what it should be; the text names the file and the place in it."""


class OutputError(GroundswellError, OSError):
    """An output could not be written; nothing is left half-written."""
