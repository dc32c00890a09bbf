"""Opens a page to play with trained models: `python -m playground zoo:capsnet_slim`.

Draw a digit, drop an image or take one of MNIST's test images, then turn, shift, scale, shear and
cut it up, and see side by side what each model predicts, reconstructs and looks at. The page is
answered on this machine alone, and needs no network.
"""

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h")

import argparse
import functools
from collections.abc import Sequence

import configs
from common.files import expand_given
from data.dataset import Split
from data.sources import bundled_mnist, idx
from playground.models import load_players
from playground.server import HOST, Answers, make_server
from training import process

_MOST_PORTS = 65535


def main(arguments: Sequence[str]) -> None:
    """Serves the page until it is stopped."""
    parser = commands.Parser("-m playground", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run, an export, or zoo:NAME")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes any that is free")
    own = "your file or module that a run was trained from; may be given several times"
    parser.add_argument("--code", action="append", default=[], help=own)
    parser.add_argument("--data_dir", help="folder of prepared data; else TFDS_DATA_DIR")
    chosen = parser.parse_args(arguments[1:])
    process.set_up()
    players = load_players(
        chosen.runs,
        data_dir=expand_given(chosen.data_dir, "--data_dir"),
        configurations=functools.partial(configs.load, code=configs.import_code(chosen.code)),
    )
    images, labels = idx.read_split(bundled_mnist.FOLDER, "test", bundled_mnist.CHECKSUMS)
    server = make_server(Answers(players, Split(images, labels)), chosen.port)
    for player in players:
        print(f"{player.name}: {player.model.describe()}")
    print(f"open http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
    with server:
        server.serve_forever()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > _MOST_PORTS:
        raise argparse.ArgumentTypeError(f"{text}: must be a number from 0 to {_MOST_PORTS}")
    return int(text)


if __name__ == "__main__":
    commands.run(main)
