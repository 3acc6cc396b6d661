"""`Observer`: what the scheduler reports besides its outcomes, so that metrics need not be part of it."""


class Observer:
    """Told by the event loop's thread; each method does nothing, and a subclass does something quick."""

    def round_ended(self, model: str, rows: int, tokens: int, seconds: float) -> None:
        """rows: documents, or windows of them. tokens: that were computed. seconds: that it ran."""

    def results_shared(self, model: str, cached: int, rows: int) -> None:
        """cached: how many of a request's rows the score cache knew."""
