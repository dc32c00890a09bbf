"""What is measured, at full and at small sizes, in the order of importance."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import capsnet
from benchmarks import networks, routing
from benchmarks.accelerator.correctness import SAMPLERS
from benchmarks.accelerator.speed import Network
from capsnet.networks import matrix
from capsnet.networks.sabour import CapsNetConfig
from cnn.decoder import DenseDecoder
from stn.networks.birds import PartsConfig
from stn.networks.house_numbers import HouseNumberConfig
from stn.networks.mnist import TransformerNetworkConfig
from stn.networks.volumes import VolumeNetworkConfig

PEERED = tuple(networks.NETWORKS)
"""Networks that `benchmarks.peers` has in PyTorch."""
NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    **networks.NETWORKS,
    "matrix_capsnet": (matrix.small(), (32, 32, 2)),
    "attention_capsnet": (capsnet.AttentionCapsNetConfig(), (32, 32, 3)),
    "variational_capsnet": (capsnet.VariationalCapsNetConfig(), (32, 32, 2)),
    "trunk_and_head": (capsnet.TrunkAndHeadConfig(), (28, 28, 1)),
    "st_cnn_tps 60x60": (TransformerNetworkConfig("cnn", "tps", pooling=True), (60, 60, 1)),
    "stn_svhn": (HouseNumberConfig(), (64, 64, 3)),
    "stn_extruded": (VolumeNetworkConfig(), (60, 60, 60, 1)),
    "stn_cub": (PartsConfig(), (224, 224, 3)),
}
"""All but the co-localiser, whose loss is of pairs of images."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The items of a session and their sizes.

    Attributes:
        matrix: Side of the matrices whose product is timed.
        side: Of the images that errors are measured on, in pixels.
        steps: In one dispatch.
        least: Seconds that a measurement lasts at least.
        in_capsules: Of the routings that are timed.
        batches: In the order of importance.
        precisions: In the order of importance.
        networks: Configuration and image shape, by name.
        routings: Names in `benchmarks.routing.ROUTINGS`.
        samplers: Names in `benchmarks.accelerator.correctness.SAMPLERS`.
    """

    matrix: int = 8192
    side: int = 28
    steps: int = 10
    least: float = 0.3
    in_capsules: int = 1152
    batches: tuple[int, ...] = (128, 2048, 512, 256, 1024)
    precisions: tuple[str, ...] = ("TF32", "bfloat16", "float32")
    networks: Mapping[str, tuple[Any, tuple[int, ...]]] = dataclasses.field(
        default_factory=lambda: NETWORKS
    )
    routings: tuple[str, ...] = tuple(routing.ROUTINGS)
    samplers: tuple[str, ...] = tuple(SAMPLERS)

    def settings(self) -> Iterator[tuple[int, str]]:
        """Every batch with every precision, in the order of importance."""
        return ((batch, precision) for batch in self.batches for precision in self.precisions)

    def timed(self) -> dict[str, Network]:
        """The networks."""
        return {name: Network(*described) for name, described in self.networks.items()}


_TINY = CapsNetConfig(
    convolution_channels=8, primary_types=2, primary_stride=4, decoder=DenseDecoder((8,))
)
SIZES = {
    "full": Sizes(),
    "small": Sizes(
        matrix=64,
        side=12,
        steps=1,
        least=0.0,
        in_capsules=12,
        batches=(2,),
        precisions=("TF32",),
        networks={"capsnet": (_TINY, (20, 20, 1))},
        routings=("uniform",),
        samplers=("bilinear, gather",),
    ),
}
"""By the names that `--sizes` takes; small ones say that everything runs, and nothing of speed."""
