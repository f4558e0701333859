#!/usr/bin/env python3
"""Runs one check in a process of its own; `run` starts it.

usage: check.py NAME LOGS

The environment names the server (harness/server.py). Exit code 0 if the check
holds, 77 if the server does not offer what it is about; the last line on
standard error is the reason.
"""

import importlib
import re
import secrets
import signal
import sys
from pathlib import Path

import scenario
from checks import CHECKS, SKIPPED
from clients.base import CheckFailed, CheckSkipped
from harness import server


def main(name, logs):
    """Makes the two accounts, runs the scenario, and ends both clients whatever happens."""
    # A check that is ended from outside still ends its clients.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended: out of time"))
    check = CHECKS[name]
    clients = []
    try:
        for position, kind in enumerate(check.clients):
            clients.append(new_client(kind, f"{name}-{position}", logs))
        getattr(scenario, check.scenario)(*clients)
    except CheckSkipped as reason:
        print(reason, file=sys.stderr)
        sys.exit(SKIPPED)
    except CheckFailed as failure:
        sys.exit(f"{name}: {failure}")
    finally:
        for client in clients:
            client.close()


def new_client(kind, prefix, logs):
    """The client `kind` (module.Class) with a new account, so that no history is found."""
    module, _, class_name = kind.rpartition(".")
    user = re.sub(r"[^a-z0-9]+", "-", prefix) + "-" + secrets.token_hex(3)
    server.add_user(user)
    cls = getattr(importlib.import_module(f"clients.{module}"), class_name)
    return cls(user, server.PASSWORD, logs)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
