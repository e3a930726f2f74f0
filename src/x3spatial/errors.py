"""The exceptions that the command line prints as one line, and the common case of a missing package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in the input, an option or the environment that the user can correct.

    The command line prints it as one line without a traceback and exits with code 2, so the
    message must name the file or the option and say what to do about it.
    """


class Unfinished(Exception):
    """Other processes did not finish work that this one needs; what was done is kept.

    The command line prints it as one line and exits with code 1.
    """


def flag(name: str) -> str:
    """The option of a field, as messages spell it: ``--max-new-tokens`` for ``max_new_tokens``."""
    return "--" + name.replace("_", "-")


@contextmanager
def packages_of(extra: str, wanted_by: str) -> Iterator[None]:
    """Turn an import that fails inside into a line that says what to install.

    Args:
        extra: the optional dependency group that holds the packages.
        wanted_by: the command or option that needs them.

    Raises:
        UserError: a package other than x3spatial cannot be found.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("x3spatial"):
            raise
        raise missing_package(error.name or "", extra, wanted_by) from None


def missing_package(package: str, extra: str, wanted_by: str) -> UserError:
    """The error for a package that is not installed: a line that says what to install.

    Args:
        package: its name.
        extra: the optional dependency group that holds it.
        wanted_by: the command or option that needs it.
    """
    return UserError(
        f"{wanted_by}: the package {package!r} is not installed;"
        f' run: pip install "x3spatial[{extra}]"'
    )
