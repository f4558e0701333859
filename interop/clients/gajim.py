"""Gajim on a display and a message bus of its own, driven over D-Bus.

Gajim refuses to run as root; as root everything here runs as nobody. What it
shows is read from its history database.
"""

import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from clients.base import CheckFailed, Client, wait_for
from clients.line_client import PEERS
from harness.server import debian_version

START_SECONDS = 30
CHAT_MESSAGE_RECEIVED = 4  # KindConstant.CHAT_MSG_RECV

GROUPCHAT_MESSAGE = 2  # KindConstant.GC_MSG

HEARD = """SELECT contact_name, message FROM logs JOIN jids USING (jid_id)
WHERE jids.jid = ? AND kind = ? AND message IS NOT NULL ORDER BY log_line_id"""
RECEIVED = """SELECT message FROM logs JOIN jids USING (jid_id)
WHERE jids.jid = ? AND kind = ? ORDER BY time, log_line_id"""


class Gajim(Client):
    """The desktop client Gajim."""

    program = "Gajim"

    def __init__(self, user, password, logs):
        super().__init__(user, password, logs)
        # Not under the logs: their directories may be closed to nobody.
        self.home = Path(tempfile.mkdtemp(prefix="interop-gajim-"))
        for name in ("peers", "home", "run"):
            (self.home / name).mkdir(mode=0o700)
        shutil.copy(PEERS / "gajim_launcher.py", self.home / "peers")
        self.log = self.home / "gajim.log"
        self.log.touch()
        self._give_to_user()
        self.processes, self.gajim = [], None
        self.variables = {
            "PATH": os.environ["PATH"], "HOME": str(self.home / "home"), "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.home / "run"), "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1", "GDK_BACKEND": "x11", "LIBGL_ALWAYS_SOFTWARE": "1", "PYTHONUNBUFFERED": "1",
            "INTEROP_JID": self.jid, "INTEROP_PASSWORD": password, "INTEROP_HOST": self.host,
            "INTEROP_PORT": self.port, "INTEROP_CERTIFICATE": self.certificate,
        }

    def version(self):
        return debian_version("gajim")

    def _give_to_user(self):
        """As root, makes everything nobody's."""
        self.prefix = []
        if os.geteuid() != 0:
            return
        nobody = pwd.getpwnam("nobody")
        self.prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def _spawn(self, command, **options):
        process = subprocess.Popen([*self.prefix, *command], env=self.variables, cwd=self.home,
                                   stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def _start_desktop(self):
        """Starts the message bus and the display."""
        bus = self._spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.variables["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
        display = self._spawn(["Xvfb", "-displayfd", "1", "-screen", "0", "1100x700x24", "-nolisten", "tcp"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.variables["DISPLAY"] = f":{display.stdout.readline().strip()}"

    def _start_gajim(self):
        with self.log.open("ab") as log:
            self.gajim = self._spawn(
                ["/usr/bin/python3", "peers/gajim_launcher.py", str(self.home / "profile"),
                 "-l", ".nbxmpp=INFO,.nbxmpp.smacks=DEBUG"], stdout=log, stderr=subprocess.STDOUT,
            )

    def _call(self, method, *arguments):
        """Calls a method of Gajim's D-Bus interface; its answer as text, empty if there is none."""
        done = subprocess.run(
            [*self.prefix, "gdbus", "call", "--session", "--dest", "org.gajim.Gajim",
             "--object-path", "/org/gajim/dbus/RemoteObject",
             "--method", f"org.gajim.dbus.RemoteInterface.{method}", *arguments],
            env=self.variables, capture_output=True, text=True,
        )
        return done.stdout.strip()

    def login(self):
        if not self.processes:
            self._start_desktop()
        if self.gajim is None:
            self._start_gajim()
        else:
            self._call("change_status", "online", "", "interop")
        wait_for("Gajim to log in", lambda: "'online'" in self._call("get_status", "interop"),
                 seconds=START_SECONDS, detail=lambda: self.log.read_text(errors="replace")[-1000:])
        return re.findall(r"Chosen auth mechanism: (\S+)", self.log.read_text(errors="replace"))[-1]

    def logout(self):
        self._call("change_status", "offline", "", "interop")
        wait_for("Gajim to go offline", lambda: "'offline'" in self._call("get_status", "interop"))

    def kill(self):
        self.gajim.kill()
        self.gajim.wait()
        self.gajim = None

    def wait_shown(self):
        def is_shown():
            given, _, after = self.log.read_text(errors="replace").rpartition("IN, message")
            return not given or "Send ack" in after
        wait_for("Gajim to tell the server what it has", is_shown)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.home.exists():
            shutil.copy(self.log, self.logs / "gajim.log")
            shutil.rmtree(self.home, ignore_errors=True)

    def _contact_state(self, jid):
        """Subscription and show of a contact."""
        found = re.search(r"'(\w+) (\w+)'", self._call("contact_state", jid, "interop"))
        return found.groups() if found else ("none", "offline")

    def add(self, jid):
        self._call("add_contact", jid, "interop")

    def approve(self, jid):
        """Its account is set to approve whoever asks; waits until it has."""
        wait_for(f"Gajim to approve {jid}", lambda: self.subscription(jid) in ("from", "both"))

    def subscription(self, jid):
        return self._contact_state(jid)[0]

    def sees_online(self, jid):
        return self._contact_state(jid)[1] != "offline"

    def send(self, jid, body):
        if "true" not in self._call("send_chat_message", jid, body, "interop"):
            raise CheckFailed("Gajim refused to send")

    def received(self, jid):
        return [row[0] for row in self._rows(RECEIVED, (jid, CHAT_MESSAGE_RECEIVED))]

    def _rows(self, query, values):
        """What its history database has."""
        path = self.home / "profile/logs.db"
        if not path.exists():
            return []
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return list(database.execute(query, values))
        except sqlite3.OperationalError:
            # Locked by Gajim for a moment, or not yet made.
            return []
        finally:
            database.close()

    # Rooms. It keeps what it was given, whatever room that came through.

    wants_no_history = False

    def _wait_joined(self, room):
        wait_for(f"Gajim to be in {room}", lambda: "JOINED " in self._group_state(room).replace("NOT_JOINED", ""),
                 detail=lambda: self._group_state(room) + self.log.read_text(errors="replace")[-1000:])

    def _group_state(self, room):
        return self._call("group_state", room, "interop")

    def create(self, room, _nick):
        """Makes a private group as its dialog does; it goes there by its account's name."""
        self._call("create_group", room, "interop")
        self._wait_joined(room)

    def grant(self, room, jids):
        """It makes members of those that it invites."""

    def invite(self, room, jid, _direct=False):
        """Makes somebody a member, and invites."""
        self._call("invite_to_group", room, jid, "interop")

    def enter(self, room, nick):
        """Enters a room; before that it asks what kind of room it is."""
        self._call("enter_group", room, nick, "interop")
        self._wait_joined(room)

    def say(self, room, body):
        """Says something in the room."""
        if "true" not in self._call("send_groupchat_message", room, body, "interop"):
            raise CheckFailed("Gajim refused to send")

    def heard(self, room):
        """Nickname and body of all that it keeps of the room."""
        return [tuple(row) for row in self._rows(HEARD, (room, GROUPCHAT_MESSAGE))]
