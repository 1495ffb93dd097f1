"""Errors written for the person who runs Espalier; their type names cross the bridge."""


class EspalierError(Exception):
    """What went wrong, and in `mend` what to do next."""

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message)
        self.mend = mend


class InputError(EspalierError):
    """The experiment, its files or its names are wrong: the command ends with exit code 2."""


class TrialError(EspalierError):
    """A trial that must not count as a result: it names what failed."""
