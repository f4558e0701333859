"""Results: what is printed when a check fails, and the table in RESULTS.md."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from checks import CHECKS
from harness.server import tail

SHOWN = {
    "meet": "SCRAM over TLS, roster and subscription both ways, messages both ways, "
            "messages while away in order",
    "notify": "SCRAM over TLS, sends, receives while it listens and what came while it did not",
}


@dataclass(frozen=True)
class Result:
    """How one check went; its logs are in the directory `logs`."""

    name: str
    passed: bool
    seconds: float
    logs: Path

    def explanation(self):
        """The end of each client's log, the check's own words last."""
        parts = [path for path in sorted(self.logs.iterdir()) if path.is_file() and path.name != "check.log"]
        shown = [f"--- {path.name}\n{tail(path, 8)}" for path in parts]
        shown.append(f"--- {self.name}\n{tail(self.logs / 'check.log', 15)}")
        return "\n".join(shown)

    def summary(self):
        """The last line that the check printed."""
        return tail(self.logs / "check.log", 1)


def write(path, server_version, results, installed):
    """Writes the table of `results` to `path`."""
    os.environ.setdefault("INTEROP_INSTALLED", str(installed))
    rows = [row(result) for result in results]
    path.write_text(
        "# Results\n\n"
        f"Written by `interop/run --write-results` against {server_version}.\n\n"
        "| check | clients | what was shown | result |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def row(result):
    """One line of the table."""
    check = CHECKS[result.name]
    if check.program:
        clients, shown = check.program, result.summary()
    else:
        clients = ", ".join(map(program_and_version, check.clients))
        shown = SHOWN[check.scenario]
    return f"| {result.name} | {clients} | {shown} | {'ok' if result.passed else 'FAIL'} |"


def program_and_version(kind):
    """What a client class calls itself, and the version it finds installed."""
    module, _, class_name = kind.rpartition(".")
    cls = getattr(importlib.import_module(f"clients.{module}"), class_name)
    return f"{cls.program} {cls.version(cls)}"
