"""Capsules without routing whose transformations are shared, on digits that move in 40x40 pixels.

Paper: Gu and Tresp, "Improving the robustness of capsule networks to image affine transformations"
(2020), which reports 93.21 % on affNIST, against 79 % of a CapsNet with dynamic routing. The trunk
is CapsNet's own: the paper's is not confirmed here. 5,330,944 parameters, of which 1,280 transform
capsules.

    python train.py --config affine_capsnet
    python evaluate.py runs/affine_capsnet --suites clean,affnist --out reports/affine_capsnet

Images, schedule and learning rate are those of `affnist:capsnet`. `affnist:affine_capsnet_slim`
has a trunk of a tenth of the cost, and the studies `routing` and `affnist` compare it.

Expected: no run of it is recorded here.
Cost: 165,000 images; on two CPU cores about half an hour.
"""

import capsnet
from configs import mnist
from training.experiment import Experiment


def get_config() -> Experiment:
    """Three epochs of 429 steps."""
    return mnist.on_equal_terms(capsnet.affine_capsnet(), 2e-3, dataset=mnist.MOVED)
