"""`Speed`: how many tokens a model computes per second, of late."""

# After how many seconds of computing a measurement counts half.
HALF_LIFE = 10.0


class Speed:
    """A mean over runs that forgets old ones."""

    def __init__(self) -> None:
        self._tokens = self._seconds = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count a run; `seconds` without the time in which other runs went on."""
        kept = 0.5 ** (seconds / HALF_LIFE)
        self._tokens = self._tokens * kept + tokens
        self._seconds = self._seconds * kept + seconds

    @property
    def tokens_per_second(self) -> float:
        return self._tokens / self._seconds if self._seconds else 0.0

    def seconds(self, tokens: int) -> float:
        """Return how long tokens will take."""
        return tokens / self.tokens_per_second if self._tokens else 0.0
