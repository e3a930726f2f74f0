"""Exceptions that the command line prints as one line, and errors for missing packages."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar


class Reported(Exception):
    """An error that programs print as one line without a traceback before they exit with ``exit_code``."""

    exit_code: int = 1


class UserError(Reported):
    """A mistake in the input, an option or the environment that the user can correct.

    The message must name the file or option and the remedy.
    """

    exit_code = 2


class Unfinished(Reported):
    """Other processes did not finish work that this process needs; finished work is kept."""


class UnitsFailed(Reported):
    """Some units of a run failed in every try; the others are done, and the same command tries again."""

    SHOWN: ClassVar[int] = 3

    def __init__(self, failed: Sequence[tuple[str, str]], *, by_user: bool = False) -> None:
        """``failed``: (name, reason) of each; ``by_user``: a user can mend all of them."""
        self.failed = tuple(failed)
        self.exit_code = UserError.exit_code if by_user else Reported.exit_code
        shown = "; ".join(f"{name}: {reason}" for name, reason in self.failed[: self.SHOWN])
        more = len(self.failed) - self.SHOWN
        super().__init__(
            f"{len(self.failed)} failed, all others are done; {shown}"
            + (f"; and {more} more" if more > 0 else "")
            + " (the same command tries them again; --log-level debug prints the tracebacks)"
        )


class Diverged(Reported):
    """Training reached a loss or weights that are not finite; the last good checkpoint is kept."""


def flag(name: str) -> str:
    """The spelling of an option in messages: ``--max-new-tokens`` for ``max_new_tokens``."""
    return "--" + name.replace("_", "-")


@contextmanager
def packages_of(extra: str, wanted_by: str) -> Iterator[None]:
    """Convert import errors in the block to a ``UserError`` with the command that installs the package.

    tqdm, which many of them import, warns in notebooks without ipywidgets that it has no widget; that is left
    out.

    Args:
        extra: the optional dependency group that contains the packages.
        wanted_by: the command or option that needs them.

    Raises:
        UserError: a package other than x3spatial cannot be found.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("x3spatial"):
            raise
        raise missing_package((error.name or "").partition(".")[0], extra, wanted_by) from None


def missing_package(package: str, extra: str, wanted_by: str) -> UserError:
    """The error for a package that is not installed, with the command that installs it.

    Args:
        package: its name.
        extra: the optional dependency group that contains it.
        wanted_by: the command or option that needs it.
    """
    return UserError(
        f"{wanted_by}: the package {package!r} is not installed;"
        f' run: pip install "x3spatial[{extra}]"'
    )
