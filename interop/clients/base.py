"""What a client is to a check, whatever program stands behind it.

A client is named by its account, logs in and out, manages its contacts, sends
and receives. Every wait is for a condition with a deadline; none is for a time.
"""

import os
import time

WAIT_SECONDS = 20
POLL_SECONDS = 0.05


class CheckFailed(Exception):
    """A client did not do, or did not see, what the check asked for."""


class CheckSkipped(Exception):
    """The server does not offer what the check is about."""


def wait_for(what, condition, seconds=WAIT_SECONDS, detail=lambda: ""):
    """Polls `condition` until it is true and returns its value.

    Raises `CheckFailed` with `what`, and with what `detail` says, after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            extra = detail()
            raise CheckFailed(f"waited {seconds} s for {what}" + (f": {extra}" if extra else ""))
        time.sleep(POLL_SECONDS)


class Client:
    """One program logged in as one account."""

    #: The program's name, as in RESULTS.md.
    program = ""
    #: How the SASL mechanism that it is to choose begins.
    mechanism_prefix = "SCRAM-"
    #: Whether it can add contacts and tell its roster.
    has_roster = True

    def __init__(self, user, password, logs):
        self.user = user
        self.jid = f"{user}@localhost"
        self.password = password
        self.logs = logs
        self.host = os.environ["INTEROP_HOST"]
        self.port = os.environ["INTEROP_PORT"]
        self.tls_port = os.environ["INTEROP_TLS_PORT"]
        self.ca = os.environ["INTEROP_CA"]
        self.certificate = os.environ["INTEROP_CERTIFICATE"]

    # What each client provides.

    def version(self):
        """The version of the program."""
        raise NotImplementedError

    def login(self):
        """Logs in over TLS and returns the SASL mechanism, or None if it cannot be told."""
        raise NotImplementedError

    def logout(self):
        """Goes offline, keeping what the program keeps on disk."""
        raise NotImplementedError

    def kill(self):
        """Ends the program as a crash would: no closing of the stream, no last acknowledgement."""
        raise NotImplementedError

    def close(self):
        """Ends the program. Safe to call at any time, more than once."""
        raise NotImplementedError

    def add(self, jid):
        """Puts `jid` on the roster and asks to see its presence."""
        raise NotImplementedError

    def approve(self, jid):
        """Waits for the request of `jid` to see our presence, and grants it."""
        raise NotImplementedError

    def subscription(self, jid):
        """The state of `jid` on the roster: none, to, from or both."""
        raise NotImplementedError

    def sees_online(self, jid):
        """Whether the contact is shown as online."""
        raise NotImplementedError

    def send(self, jid, body):
        """Sends a chat message; returns when it is on its way to the server."""
        raise NotImplementedError

    def received(self, jid):
        """The bodies of all messages from `jid` so far, in order."""
        raise NotImplementedError

    def wait_shown(self):
        """Waits until it has told the server that it has what it was given, where that can be seen.

        The server asks for it now and then. What a client has not told when it leaves comes again.
        """

    def wait_displayed(self, room):
        """Waits until its window shows all that it was given of a room, and once; nothing if it has no window."""

    # What follows from them.

    def wait_subscribed(self, jid):
        """Waits until both see each other's presence."""
        wait_for(f"{self.program} to show {jid} with subscription both",
                 lambda: self.subscription(jid) == "both", detail=lambda: self.subscription(jid))

    def wait_online(self, jid, online=True):
        """Waits until the contact is shown as online, or as offline."""
        wait_for(f"{self.program} to show {jid} {'online' if online else 'offline'}",
                 lambda: self.sees_online(jid) == online)

    def wait_received(self, jid, bodies):
        """Waits for as many messages as `bodies`, which must be exactly these, in this order."""
        wait_for(f"{self.program} to show {len(bodies)} messages from {jid}",
                 lambda: len(self.received(jid)) >= len(bodies),
                 detail=lambda: repr(self.received(jid)))
        if self.received(jid) != list(bodies):
            raise CheckFailed(f"{self.program} shows {self.received(jid)}, not {list(bodies)}")
