#!/usr/bin/env python3
"""Runs one check in a process of its own; `run` starts it.

usage: check.py NAME LOGS

The environment names the server (harness/server.py). Exit code 0 if the check
holds, 77 if the server does not offer what it is about; the last line on
standard error is the reason.
"""

import contextlib
import importlib
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from checks import CHECKS, SKIPPED
from clients.base import CheckFailed, CheckSkipped
from harness import server


def main(name, logs):
    """Runs the check, and ends all that it started whatever happens."""
    # A check that is ended from outside still ends its clients.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended: out of time"))
    try:
        run(CHECKS[name], name, logs)
    except CheckSkipped as reason:
        print(reason, file=sys.stderr)
        sys.exit(SKIPPED)
    except (CheckFailed, server.ServerError) as failure:
        sys.exit(f"{name}: {failure}")


def run(check, name, logs):
    """Makes the accounts and runs the scenario, which is given the clients and the check's own server."""
    with contextlib.ExitStack() as ends:
        own = [ends.enter_context(own_server(logs))] if check.own_server else []
        clients, users = [], {}
        for position, kind in enumerate(check.clients):
            account = check.accounts[position] if check.accounts else position
            user = users.get(account) or new_user(f"{name}-{account}")
            users[account] = user
            clients.append(new_client(kind, user, logs))
            ends.callback(clients[-1].close)
        module, _, function = check.scenario.rpartition(".")
        getattr(importlib.import_module(module or "scenario"), function)(*clients, *own)


@contextlib.contextmanager
def own_server(logs):
    """A server for this check alone, which may restart it."""
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        # Clients that refuse to run as root read the certificate from here.
        os.chmod(directory, 0o755)
        own = server.another(directory)
        try:
            own.start()
            os.environ.update(own.environment())
            yield own
        finally:
            code = own.stop()
            shutil.copy(own.log, logs / "server.log")
    if code != 0:
        raise CheckFailed(f"the server ended with exit code {code}")


def new_user(prefix):
    """A new account, so that no history is found."""
    user = re.sub(r"[^a-z0-9]+", "-", prefix) + "-" + secrets.token_hex(3)
    server.add_user(user)
    return user


def new_client(kind, user, logs):
    """The client `kind` (module.Class) of that account."""
    module, _, class_name = kind.rpartition(".")
    cls = getattr(importlib.import_module(f"clients.{module}"), class_name)
    return cls(user, server.PASSWORD, logs)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
