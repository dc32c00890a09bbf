"""Speed, measured side by side with peers: one subject a file, run as `python -m benchmarks.NAME`.

Contenders take turns in one process, so that what else the machine does meets all of them, and
nothing is timed before it is compiled. Run them on an idle machine: PyTorch's threads wait for each
other and suffer far more from a busy core than XLA's do.
"""
