"""python -m benchmarks.pages: fill the pages in, or say which of them differ from their results."""

from __future__ import annotations

import argparse

from benchmarks.pages import filling, values


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill the numbers of every page in from benchmarks/results.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 where a page differs"
    )
    parser.add_argument("--plots", action="store_true", help="draw the pictures anew, too")
    options = parser.parse_args()
    changed = []
    for page in filling.pages():
        old = page.read_text(encoding="utf-8")
        new = filling.filled(old, values.value)
        if new != old:
            changed.append(page.relative_to(filling.ROOT).as_posix())
            if not options.check:
                page.write_text(new, encoding="utf-8")
    if options.plots:
        values.draw()
    for name in changed:
        print(f"{'differs from its results' if options.check else 'filled anew'}: {name}")
    if options.check and changed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
