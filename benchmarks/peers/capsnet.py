"""The capsule network of `capsnet.paper`, in PyTorch, and what others have in common with it.

Votes are made by one batched product, input capsules first, and copied once to `[b, j, i, d]`
(axes as in `capsnet.routing`). In this layout both halves of a routing iteration are batched
products without further copies. It is the fastest of those tried on two CPU cores at batch 128,
forwards and backwards: `[j, b, i, d]` takes up to a tenth longer; `[i, b, j, d]`, `[b, i, j, d]`
and `[b, j, d, i]` take one and a half to four times as long.
"""

import torch  # pyright: ignore[reportMissingImports]

import capsnet
from benchmarks.peers import layers
from capsnet.networks import classifier
from cnn.decoder import DenseReconstructor

functional = torch.nn.functional


class CapsuleClassifier(torch.nn.Module):
    """A network that classifies by the lengths of class capsules, and decodes one of them.

    The peer of `capsnet.networks.classifier`; a subclass has `forward`.

    Args:
        model: The model whose class capsules and decoder are copied.

    Raises:
        ValueError: if it has another decoder or loss than the paper's network.
    """

    def __init__(self, model: classifier.CapsuleClassifier):
        super().__init__()
        decoder, kernel = model.decoder, layers.tensor(model.class_capsules.kernel)
        if not isinstance(decoder, DenseReconstructor) or model.class_capsules.bias is not None:
            raise ValueError(
                "the peer of a CapsNet has a dense decoder and no bias of class capsules"
            )
        if model.margin_weight != 1.0:
            raise ValueError("the peer of a CapsNet has the paper's loss")
        self.classes = model.num_classes
        # A matrix from capsule i to all poses, [i, c, j * d].
        self.class_kernel = torch.nn.Parameter(kernel.flatten(2))
        self.decoder = torch.nn.Sequential()
        for layer in list(decoder.layers)[:-1]:
            self.decoder.extend([layers.linear(layer), torch.nn.ReLU(inplace=True)])
        self.decoder.extend([layers.linear(decoder.layers[-1]), torch.nn.Sigmoid()])
        self.reconstruction_weight = model.reconstruction_weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class capsules `[batch, j, d]` of images `[batch, channels, height, width]`."""
        raise NotImplementedError

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Margin loss plus weighted reconstruction error, mean over the batch.

        Args:
            images: `[batch, channels, height, width]` in [0, 1].
            labels: `[batch]`, int64.
        """
        poses = self(images)
        one_hot = functional.one_hot(labels, self.classes).to(poses.dtype)
        decoded = self.decoder((poses * one_hot[..., None]).flatten(1))
        error = functional.mse_loss(decoded, layers.flatten(images), reduction="sum")
        margin = margin_loss(torch.linalg.vector_norm(poses, dim=-1), one_hot)
        return margin + self.reconstruction_weight / len(images) * error


class CapsNet(CapsuleClassifier):
    """The network of `capsnet.paper`, of any size, with copies of a model's parameters.

    Args:
        model: The model to copy.
        iterations: Of the routing.

    Raises:
        ValueError: if the model has parts that the paper's network has not.
    """

    def __init__(self, model: capsnet.CapsNet, iterations: int = 3):
        super().__init__(model)
        primary = model.primary_capsules
        if primary.coupling != 1.0:
            raise ValueError("the peer of a CapsNet has the paper's primary capsules")
        self.convolution = layers.convolution(model.convolution)
        self.primary_capsules = layers.convolution(primary.convolution, primary.bias)
        self.primary_dim = primary.dim
        self.iterations = iterations

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class capsules `[batch, j, d]` of images `[batch, channels, height, width]`."""
        features = functional.relu(self.convolution(images), inplace=True)
        capsules = layers.flatten(self.primary_capsules(features))
        capsules = squash(capsules.unflatten(1, (-1, self.primary_dim)))
        return route(make_votes(capsules, self.class_kernel, self.classes), self.iterations)


class DynamicRouting(torch.nn.Module):
    """The routing alone.

    Args:
        ours: The routing to copy.

    Raises:
        ValueError: if it is other than the paper's.
    """

    def __init__(self, ours: capsnet.routing.DynamicRouting):
        super().__init__()
        if ours.leaky or ours.stop_gradient:
            raise ValueError("the peer of dynamic routing has no leak and is differentiated whole")
        self.iterations = ours.iterations

    def forward(self, votes: torch.Tensor, activations: torch.Tensor) -> tuple[torch.Tensor]:
        """Poses `[b, j, d]` of votes `[b, j, i, d]`; the activations do not matter."""
        del activations
        return (route(votes, self.iterations),)


def make_votes(capsules: torch.Tensor, kernel: torch.Tensor, classes: int) -> torch.Tensor:
    """Votes `[b, j, i, d]` of capsules `[b, i, c]` by matrices `[i, c, j * d]`."""
    votes = torch.bmm(capsules.transpose(0, 1), kernel)
    return votes.unflatten(2, (classes, -1)).permute(1, 2, 0, 3).contiguous()


def squash(vectors: torch.Tensor) -> torch.Tensor:
    """Shortens the vectors along the last axis to lengths in [0, 1)."""
    # Unlike the root of a sum of squares, the norm's derivative at the zero vector is zero.
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors * (length / (1.0 + length.square()))


def route(votes: torch.Tensor, iterations: int) -> torch.Tensor:
    """Dynamic routing of votes `[b, j, i, d]` to poses `[b, j, d]`, differentiated throughout."""
    # The couplings of the first iteration are uniform.
    poses = squash(votes.sum(2, keepdim=True) / votes.shape[1])
    logits = votes.new_zeros(())
    for _ in range(iterations - 1):
        logits = logits + votes @ poses.transpose(2, 3)
        couplings = logits.softmax(1)
        poses = squash(couplings.transpose(2, 3) @ votes)
    return poses.squeeze(2)


def margin_loss(lengths: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
    """Margin loss of lengths `[batch, classes]`: summed over the classes, mean over the batch."""
    present = one_hot * functional.relu(0.9 - lengths).square()
    absent = (1.0 - one_hot) * functional.relu(lengths - 0.1).square()
    return (present + 0.5 * absent).sum(1).mean()
