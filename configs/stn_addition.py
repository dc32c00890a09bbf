"""The sum of two distorted digits, one in each channel, with no, one or two spatial transformers.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
appendix A.1 and table 4: 42x42x2 images of two digits that are turned, scaled and moved on their
own (RTS), 19 classes, a fully connected classifier. Each transformer reads and warps both channels.
The argument is NUMBER,TRANSFORM; a part that is left out is the default's.

    python train.py --config stn_addition
    python train.py --config stn_addition:1,projective

What the transformers hand on is halved by average pooling, as the paper does for RTS; without it
two of them leave the classifier 24 units a layer of the 400,000 parameters.

Expected: at the last of 20,000 steps (2.56 million images) test errors of 72.4 % without a
transformer, 41.8 % with one and 24.4 % with two (95 % intervals of +-1.0 at most); none has
converged. The paper has 47.7 %, 18.5 % with the best single transformer and 5.8 % with the best
two, after 38 million images.
Cost: 2.56 million images; from one minute (none) to six (two) on two CPU cores.
"""

from data.tasks.addition import AdditionConfig
from stn.networks.mnist import TransformerNetworkConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config(argument: str = "") -> Experiment:
    """A network with 0 to 4 transformers of a family, both as the argument names them."""
    number, _, transform = argument.partition(",")
    if (number or "2") not in tuple("01234"):
        raise ValueError(f"{number!r} is not a number of transformers from 0 to 4")
    transformers = int(number or 2)
    return Experiment(
        model=TransformerNetworkConfig(
            "fcn", transform or "affine", transformers=transformers, pooling=True
        ),
        steps=20_000,
        batch_size=128,
        dataset=AdditionConfig(),
        # At the classifier's rate the transformers drift off the digits in the first steps and
        # take tens of thousands to come back.
        optimizer=AdamConfig(
            schedule=CosineSchedule(warmup_steps=100),
            slow_part="transformers" if transformers else "",
            slow_factor=0.1,
        ),
        validate_every=1000,
        checkpoint_every=1000,
        log_every=100,
        suites=("clean", "pose"),
    )
