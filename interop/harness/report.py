"""Results: what is printed when a check fails, and the table in RESULTS.md."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from checks import CHECKS, SKIPPED
from harness.server import tail

SHOWN = {
    "meet": "TLS, roster and subscription both ways, messages both ways, "
            "messages while away and after a crash, in order",
    "resume": "TLS, resumption after a cut, nothing lost or doubled",
    "restart": "TLS, both resume across a restart of the server, unseen by each other, nothing lost or doubled",
    "archive": "TLS, the archive in pages, each message once and under the id that it came with",
    "copies": "TLS, two clients of an account see what the other receives and sends; "
              "what one has, the other gets when it was away",
    "ticks": "TLS, what was sent, delivered and read, also to one who is away and from one who was",
    "readmit": "TLS, SASL2, Bind 2, later logins by token, messages while away, in order",
    "rooms.group": "TLS, a private group made as Gajim does, invitations, all see all in one order and once; "
                   "each quits and comes back to what it missed; a restart of the server, resumed or not; "
                   "the archive in pages; self-pings",
    "rooms.desktop": "TLS, a private group that Gajim makes and invites to, all see all in one order and once; "
                     "each quits and comes back to what it missed",
    "rooms.pair": "TLS, a private group made as Conversations does, a direct invitation, "
                  "what was missed after a crash, the archive in pages, a self-ping",
    "rooms.open_room": "TLS, a room by /join, subject, nicknames, kick, self-pings inside and outside",
    "notify": "TLS, sends to one who is there and to one who is away",
    "listen": "TLS, prints what came while it did not listen and what comes",
}


@dataclass(frozen=True)
class Result:
    """How one check went; its logs are in the directory `logs`."""

    name: str
    code: int
    seconds: float
    logs: Path

    @property
    def passed(self):
        """Whether the check holds."""
        return self.code == 0

    @property
    def failed(self):
        """Whether it does not; a skipped check has neither passed nor failed."""
        return self.code not in (0, SKIPPED)

    def word(self):
        """The result in a word."""
        return "ok" if self.passed else "FAIL" if self.failed else "skip"

    def line(self):
        """What is printed when the check is done."""
        line = f"{self.word():<4} {self.name:<20} {self.seconds:5.1f} s"
        return line if self.passed or self.failed else f"{line}  {self.summary()}"

    def explanation(self):
        """The end of each client's log, the check's own words last."""
        logs = [path for kind in ("log", "stderr", "out", "txt") for path in self.logs.rglob(f"*.{kind}")]
        written = [path for path in sorted(logs) if path.stat().st_size and path.name != "check.log"]
        shown = [f"--- {path.relative_to(self.logs)}\n{tail(path, 8)}" for path in written]
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
        clients = "; ".join(map(program_and_version, check.clients))
        shown = SHOWN[check.scenario] if result.passed or result.failed else result.summary()
    return f"| {result.name} | {clients} | {shown} | {result.word()} |"


def program_and_version(kind):
    """What a client class calls itself, the version it finds installed, how it logs in."""
    module, _, class_name = kind.rpartition(".")
    cls = getattr(importlib.import_module(f"clients.{module}"), class_name)
    return f"{cls.program} {cls.version(cls)}, {cls.mechanism_prefix.rstrip('-')}"
