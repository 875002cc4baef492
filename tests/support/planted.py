"""A failure planted in every group of tests, to see that each is reported; nothing else runs, no fixture is made:

python -m pytest -p tests.support.planted -m "slow or not slow" -n 2 --dist loadgroup -rN --tb=no tests
"""

from __future__ import annotations

from typing import NoReturn

import pytest

said: list[pytest.TestReport] = []


def _fail() -> NoReturn:
    pytest.fail("planted")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One test of each group; of those that share nothing, which are a group each, the first of each file."""
    from tests.conftest import group_of

    first: dict[str, pytest.Item] = {}
    for item in items:
        group = group_of(item.nodeid)
        first.setdefault(group.partition("::")[0], item)
    for item in first.values():
        item.setup, item.runtest = lambda: None, _fail
    config.hook.pytest_deselected(items=[item for item in items if item not in first.values()])
    items[:] = first.values()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        said.append(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = sum("planted" in report.longreprtext for report in said if report.failed)
    terminalreporter.write_line(f"planted: {told} of {len(said)} failures are reported")
