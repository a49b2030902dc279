"""What can go wrong for a user, in one family.

The library raises these; only the command line turns them into one printed line and an exit code.
"""

from __future__ import annotations

READER_GONE = 141
"""What a shell says of a command that a closed pipe ended: 128 and the number of SIGPIPE."""


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


class ReaderGoneError(OutputError):
    """Whoever read a pipe that was written to has gone, as ``head`` does; there is nobody to tell."""

    exit_code = READER_GONE
