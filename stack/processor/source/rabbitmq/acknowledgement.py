"""Acknowledgements of consecutive deliveries, merged into as few frames as can be."""

from collections.abc import Sequence


class Acknowledgements:
    """Knows which deliveries are held back, and so what one frame may acknowledge.

    A frame with the flag `multiple` acknowledges all deliveries up to its tag. So it may be used only where each of
    those is settled: a worker settles in the order of delivery, but a failed one is held until the broker has
    confirmed that it keeps the copy which will be tried again.
    """

    def __init__(self) -> None:
        self._held: set[int] = set()

    @property
    def count(self) -> int:
        """Return how many deliveries are held back."""
        return len(self._held)

    @property
    def is_free(self) -> bool:
        """Return whether nothing is held back."""
        return not self._held

    def hold(self, tag: int) -> None:
        """Keep a delivery from being acknowledged with later ones."""
        self._held.add(tag)

    def release(self, tag: int) -> None:
        """Let go of a delivery that was held."""
        self._held.discard(tag)

    def merge(self, tags: Sequence[int]) -> list[tuple[int, bool]]:
        """Return (tag, multiple) of the frames that acknowledge some deliveries, given in their order."""
        if not tags:
            return []
        if not self._held:
            return [(tags[-1], len(tags) > 1)]
        first_held = min(self._held)
        before = [tag for tag in tags if tag < first_held]
        frames = [(before[-1], len(before) > 1)] if before else []
        return frames + [(tag, False) for tag in tags if tag > first_held]
