"""Preparing TFDS datasets once, and finding them prepared, with clear words when that fails.

Left to itself, TFDS retries a download for minutes on a machine without a network, and its errors
run over many lines. So the network is probed first, for seconds, and only when nothing on disk
will do.
"""

import contextlib
import functools
import importlib.util
import json
import pathlib
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import requests
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core.registered import DatasetNotFoundError

from common.errors import UserError, first_line

_PROBE_SECONDS = 4.0
# Examples that are decoded at once; large images are kept only at the size that is asked for.
_CHUNK = 1000
# The stored formats that have random access, and so need no TensorFlow to read.
_READABLE_FORMATS = ("array_record", "bagz", "parquet")
# Of TFDS's own datasets: name/configuration:version. Other names that TFDS takes have a namespace,
# whose code it would download and run, or arguments.
_PUBLIC_NAME = re.compile(r"[A-Za-z_]\w*(/[\w.+-]+)?(:[\d.*]+)?", re.ASCII)
# The features that TFDS brings along; others would be imported from wherever a file says.
_FEATURES = "tensorflow_datasets.core.features."


@contextlib.contextmanager
def quiet():
    """Silences TFDS's progress bars and its notices about folders that it has yet to write."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        logging.set_verbosity(verbosity)
        tfds.enable_progress_bar()


@quiet()
def find_prepared(name: str, folder: pathlib.Path) -> tfds.core.DatasetBuilder | None:
    """Opens prepared data of a TFDS name such as "cifar10" or "mnist_corrupted/rotate".

    Returns:
        A builder that reads without TensorFlow, or None if nothing is prepared.

    Raises:
        UserError: if the data is damaged or stored in a format that only TensorFlow reads.
    """
    try:
        for stored in (folder / name.partition(":")[0]).glob("**/features.json"):
            _check_features(stored)
        builder = _find_registered(name, folder) or _find_unregistered(name, folder)
        if builder is None or not builder.is_prepared():
            return None
        file_format = builder.info.file_format
    except UserError:
        raise
    except Exception as error:  # of many kinds: its files are parsed by JSON, protobuf and TFDS
        raise UserError(
            f"dataset.name={name!r} cannot be opened: the prepared data in {folder / name} is "
            f"damaged ({first_line(error)}); delete that folder and prepare it again"
        ) from error
    if file_format is not None and file_format.value not in _READABLE_FORMATS:
        raise UserError(
            f"dataset.name={name!r} is prepared in {builder.data_path} as "
            f"{file_format.value}, which only TensorFlow reads; delete that folder "
            "and run again to prepare it as array_record"
        )
    return builder


def _find_registered(name, folder):
    """The builder of a dataset that TFDS knows, prepared or not."""
    if not _PUBLIC_NAME.fullmatch(name):
        return None
    try:
        return tfds.builder(name, data_dir=folder, try_gcs=False)
    except (DatasetNotFoundError, ImportError):
        return None
    except (ValueError, AssertionError) as error:  # an unknown configuration or version
        if is_public(name):
            raise UserError(
                f"dataset.name={name!r} cannot be opened: {first_line(error)}"
            ) from error
        raise


def _find_unregistered(name, folder):
    """Prepared data whose builder TFDS does not know, such as a user's own."""
    for candidate in sorted((folder / name).glob("**/dataset_info.json"), reverse=True):
        return tfds.builder_from_directory(candidate.parent)
    return None


def _check_features(path: pathlib.Path) -> None:
    """Raises a `UserError` if a stored description of features names a class from elsewhere.

    TFDS imports the module of each; data must not say what is imported.
    """
    pending = [json.loads(path.read_text(encoding="utf-8"))]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            for key in ("pythonClassName", "python_class_name", "type"):
                kind = value.get(key, _FEATURES)
                if isinstance(kind, str) and "." in kind and not kind.startswith(_FEATURES):
                    raise UserError(f"{path} names {kind}, which is none of TFDS's own features")


def public_names() -> list[str]:
    """The datasets that TFDS knows how to download."""
    return tfds.list_builders(with_community_datasets=False)


def is_public(name: str) -> bool:
    """True if TFDS knows how to download a dataset, whatever its configuration and version."""
    return bool(_PUBLIC_NAME.fullmatch(name)) and re.split("[/:]", name)[0] in public_names()


def prepare_public(name: str, folder: pathlib.Path) -> tfds.core.DatasetBuilder:
    """Downloads and prepares a public TFDS dataset; needs the extra `[tfds]`.

    Args:
        name: One that `is_public`.
        folder: Of prepared data.

    Raises:
        UserError: if the configuration is unknown, or the extra or the network is missing.
    """
    try:
        with quiet():
            builder = tfds.builder(name, data_dir=folder, file_format="array_record", try_gcs=False)
    except (ImportError, ValueError, AssertionError) as error:
        raise UserError(f"dataset.name={name!r} cannot be opened: {first_line(error)}") from error
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"dataset.name={name!r} is not prepared in {folder}, and preparing it needs "
            "TensorFlow once: pip install -e '.[train,tfds]'"
        )
    host = _first_host(builder)
    if host and not _responds(host):
        raise UserError(
            f"dataset.name={name!r} is not prepared in {folder}, and {host}, where it is "
            "downloaded from, does not answer; prepare it where there is a network and copy "
            "the folder"
        )
    try:
        builder.download_and_prepare()
    except (OSError, AssertionError, ValueError, tfds.download.DownloadError) as error:
        raise UserError(
            f"dataset.name={name!r} could not be prepared: {first_line(error)}"
        ) from error
    return builder


def read_examples(
    builder: Any,
    spec: str,
    convert: Callable[[dict[str, Any]], Any],
    *,
    most: int | None = None,
) -> list[Any]:
    """Reads the examples of prepared data, in order, each converted.

    Args:
        builder: Of data that is prepared.
        spec: A split in TFDS's slicing notation.
        convert: From an example's features to what is kept of it.
        most: So many of the first examples at the most; None for all.

    Raises:
        UserError: if the data is damaged, or what `convert` raises.
    """
    with quiet():
        source = _readable(builder, lambda: builder.as_data_source(split=spec))
        count = len(source) if most is None else min(most, len(source))
        chunks = (range(k, min(k + _CHUNK, count)) for k in range(0, count, _CHUNK))
        return [
            convert(example)
            for chunk in chunks
            for example in _readable(builder, functools.partial(source.__getitems__, chunk))
        ]


def _readable(builder: Any, read: Callable[[], Any]) -> Any:
    """Reads prepared data; any error is one of its files."""
    try:
        return read()
    except Exception as error:  # those of array_record, protobuf, Pillow and TFDS
        raise UserError(
            f"the prepared data in {builder.data_path} is damaged "
            f"({first_line(error)}); delete that folder and run again"
        ) from error


def _first_host(builder) -> str | None:
    """Scheme and host of the first file that the builder's checksums list."""
    for url in getattr(builder, "url_infos", {}):
        parts = urlparse(url)
        if parts.scheme in ("http", "https"):
            return f"{parts.scheme}://{parts.netloc}"
    return None


def _responds(host: str) -> bool:
    """True if a host responds within seconds, by any status, through a proxy if one is set."""
    responded = threading.Event()

    def probe():
        with contextlib.suppress(requests.RequestException):
            requests.head(host, timeout=_PROBE_SECONDS)
            responded.set()

    # A thread, for the look-up of a name has no time limit of its own.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS + 1.0)
    return responded.is_set()
