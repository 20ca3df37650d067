"""rxassist beside its peers, on the same bytes: ``python -m benchmarks`` from a checkout.

``table.py`` says what is measured and what the targets are. Each row has a module of its own,
whose ``measure(side, …)`` does the work of one side, in a fresh process (``worker.py``). The
command itself (``__main__.py``) needs nothing but the standard library: it makes an environment
with both sides, runs them in turns, and writes ``results.md`` and the tables of
``docs/performance.md`` (``summary.py``).

``--quick`` runs the main rows once, ``--only NAME`` some rows, ``--list`` names them,
``--rounds N`` runs each side so often, ``--instructions`` counts instructions too. ``python -m
benchmarks.worker --profile MODULE SIDE name=value …`` profiles one side.
"""
