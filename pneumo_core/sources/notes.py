"""What a source left out or could not tell, counted, for people to read."""

from collections import Counter


class Notes:
    """Counts by sentence. A sentence has `{}` in place of the count and quotes nothing private."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, sentence: str, number: int = 1) -> None:
        if number:
            self._counts[sentence] += number

    def counts(self) -> dict[str, int]:
        """Return the counts by sentence, as they came."""
        return dict(self._counts)

    def sentences(self) -> list[str]:
        """Return the sentences with their counts, as they came."""
        return [sentence.replace("{}", f"{n:,}") for sentence, n in self._counts.items()]
