"""The most used public CapsNet in PyTorch, timed from a checkout of it as it is.

git clone https://github.com/XifengGuo/CapsNet-Pytorch
python -m benchmarks.networks capsnet --xifeng_guo CapsNet-Pytorch
"""

import importlib
import importlib.util
import pathlib
import sys
import types

import torch  # pyright: ignore[reportMissingImports]

RECONSTRUCTION_WEIGHT = 0.0005 * 784  # the default of its command line


class XifengGuo(torch.nn.Module):
    """The checkout's network for 28x28 images and ten classes, with its loss.

    Its inference decodes too, as there is no way around it.

    Args:
        folder: The checkout.
    """

    def __init__(self, folder: pathlib.Path):
        super().__init__()
        self.module = _import(folder)
        self.network = self.module.CapsuleNet([1, 28, 28], 10, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Lengths of the class capsules, `[batch, 10]`."""
        return self.network(images)[0]

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The checkout's loss of images `[batch, 1, 28, 28]` and int64 labels."""
        one_hot = torch.nn.functional.one_hot(labels, 10).to(images.dtype)
        lengths, decoded = self.network(images, one_hot)
        return self.module.caps_loss(one_hot, lengths, images, decoded, RECONSTRUCTION_WEIGHT)


def _import(folder: pathlib.Path) -> types.ModuleType:
    if not torch.cuda.is_available():
        # It moves tensors to the GPU by name; without one they stay where they are.
        torch.Tensor.cuda = lambda self: self  # pyright: ignore
    if importlib.util.find_spec("torchvision") is None:
        # It imports its datasets from there, which are not asked for.
        torchvision = types.ModuleType("torchvision")
        torchvision.transforms = torchvision.datasets = None  # pyright: ignore
        sys.modules["torchvision"] = torchvision
    sys.path.insert(0, str(folder.resolve()))
    try:
        return importlib.import_module("capsulenet")
    finally:
        sys.path.pop(0)
