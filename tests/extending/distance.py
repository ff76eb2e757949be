"""The largest difference of a weight: `LARGEST = "largest", "tests.extending.distance:Largest"`."""

from __future__ import annotations

from landscape_cli.geometry.distances import NetworkPair, WeightDistance


class Largest(WeightDistance):
    """The largest absolute difference of a parameter: the maximum norm."""

    def between(self, pair: NetworkPair) -> float:
        """Return the difference."""
        return max(float((pair.a[name].double() - pair.b[name].double()).abs().max()) for name in pair.parameters)
