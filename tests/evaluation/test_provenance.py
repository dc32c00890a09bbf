import importlib.metadata
import os
import pathlib
import subprocess

import jax

from evaluation.results import provenance


def test_facts_of_a_machine_that_hides_everything(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("hidden")

    def not_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    jax.devices()  # looks at files of the machine, once
    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    monkeypatch.setattr(subprocess, "run", missing)
    monkeypatch.setattr(pathlib.Path, "read_text", missing)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(provenance.platform, "processor", lambda: "")
    facts = provenance.describe()
    assert facts["device"] == "CPU, ? cores"
    assert facts["versions"]["jax"] is None
    assert facts["git_revision"] is None


def test_a_processors_name_is_printable(monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_bytes(b"model name\t: Fast\xff\x1b[2J 3000\n")
    monkeypatch.setattr(provenance.pathlib, "Path", lambda _: cpuinfo)
    name = provenance._device_name(jax.devices()[0])
    assert name.startswith("Fast\ufffd\\x1b[2J 3000, ")
