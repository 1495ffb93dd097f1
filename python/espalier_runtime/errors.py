"""Errors written for the person who runs Espalier; their type names cross the bridge."""

#: The mend of what no experiment can cause.
UNFORESEEN = "This is a fault of Espalier: report it with the run's plan.json."


class EspalierError(Exception):
    """What went wrong, and in `mend` what to do next."""

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message)
        self.mend = mend

    @property
    def whole(self) -> str:
        """The message and its mend, as a record keeps them."""
        return str(self) if self.mend is None else f"{self}. {self.mend}"


class InputError(EspalierError):
    """The experiment, its files or its names are wrong: the command ends with exit code 2."""


class TrialError(EspalierError):
    """A trial that must not count as a result: it names what failed."""
