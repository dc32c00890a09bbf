"""MNIST under random distortions exactly as the paper trains on it.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.1 and appendix A.4: stochastic gradient descent without momentum, 150,000 steps of batch
256, a learning rate of 0.01 that is divided by 10 every 50,000 steps. The argument is TASK,NETWORK
as for `stn_mnist`.

    python train.py --config stn_mnist_paper:rts,st_cnn_affine

Expected: the paper's table 1 gives test errors, the mean of three runs, such as 0.8 % (RTS, CNN)
and 0.5 % (RTS, ST-CNN affine); not measured here. Others who tried found two to three times the
error in the same order.
Cost: 38.4 million images; four hours or more on two CPU cores, meant for a GPU.
"""

from configs import stn_mnist
from training.experiment import Experiment
from training.optimizers import MomentumConfig, StepSchedule


def get_config(argument: str = "") -> Experiment:
    """The task and the network that the argument names, on the paper's schedule."""
    experiment = stn_mnist.get_config(argument)
    experiment.steps = 150_000
    experiment.batch_size = 256
    experiment.optimizer = MomentumConfig(learning_rate=0.01, schedule=StepSchedule())
    experiment.validate_every = 2500
    experiment.checkpoint_every = 2500
    experiment.log_every = 100
    return experiment
