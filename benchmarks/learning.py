"""Everything that is learned, one command: `python -m benchmarks.learning WHAT ...`, each with --help.

trial: a search on any labelled data, then what it found against manual policies with paired seeds. heads: conditional
weights while a network trains. band: the controller that keeps pairs inside a similarity band. proxies: scores without
labels against true accuracy.
"""

from __future__ import annotations

import importlib
import sys

WHAT = {"trial": "trial", "heads": "heads", "band": "controller", "proxies": "proxies"}


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in WHAT:
        raise SystemExit(f"{__doc__}\nexpected one of {', '.join(WHAT)}, got {command or 'nothing'}")
    sys.argv[:2] = [f"{sys.argv[0]} {command}"]
    importlib.import_module(f"benchmarks.{WHAT[command]}").main()


if __name__ == "__main__":
    main()
