"""Log messages as lines for a terminal."""

from __future__ import annotations

import logging

from x3spatial.program.reporting import one_line
from x3spatial.texts import printable


class LogLine(logging.Formatter):
    """``x3: message`` on one line: file names and replies of servers may contain anything.

    Messages of the level debug may have a traceback below them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a message."""
        text = one_line(f"x3: {record.getMessage()}")
        if record.exc_info and record.levelno <= logging.DEBUG:
            text += "\n" + printable(self.formatException(record.exc_info))
        return text
