"""The one exception that stands for "the user can fix this"."""


class UserError(Exception):
    """A mistake in the input, an option or the environment that the user can correct.

    The command line prints it as one line without a traceback and exits with code 2, so the
    message must name the file or the option and say what to do about it.
    """
