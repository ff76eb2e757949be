"""How far apart two networks are, as columns of a result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape_cli.geometry.hamming import Latents
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry

BINARY = ("hamming", "hamming_fraction", "cosine")
CONTINUOUS = ("geodesic", "rms_angle", "euclidean", "cosine")


@dataclass(frozen=True)
class Ruler:
    """Measures distances in weights between networks of one model.

    Attributes:
        symmetry: of all networks; binary ones do without.
        latents: names of the latent weights of binary networks, and their owners; none of continuous ones.
    """

    symmetry: Symmetry | None
    latents: Latents

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns there are."""
        return BINARY if self.latents else CONTINUOUS

    def columns(self, a: Checkpoint, params_a: Params, b: Checkpoint, params_b: Params) -> dict[str, float | None]:
        """Return the distances between two networks, those along geodesics only if both are normalised.

        Args:
            a: one network.
            params_a: its tensors, on the device to compute on.
            b: the other.
            params_b: its tensors there.

        Raises:
            GeometryError: if binary networks have other weights too.
        """
        from landscape_cli.geometry.geodesic import distance
        from landscape_cli.geometry.hamming import hamming

        if self.latents:
            flips = hamming(params_a, params_b, self.latents)
            return dict(zip(BINARY, (flips.flips, flips.fraction, flips.cosine), strict=True))
        assert self.symmetry is not None
        found: dict[str, float | None] = asdict(distance(params_a, params_b, self.symmetry))
        if a.normalized is None or b.normalized is None:
            found |= {"geodesic": None, "rms_angle": None}
        return found
