"""Profanity in a terminal of its own.

What it shows is read from its chat log, what it knows of presence and SASL from
its debug log, the rest from the screen.
"""

import html
import re

from clients.base import Client, wait_for
from clients.terminal import Terminal
from harness.server import debian_version

ACCOUNT = """[{jid}]
enabled=true
jid={jid}
server={host}
port={port}
resource=profanity
password={password}
tls.policy=trust
"""

# No history from the archive: what it shows is what the server delivered.
PREFERENCES = """[ui]
splash=false
occupants=false
[notifications]
message=false
[logging]
chlog=true
[connection]
reconnect=0
account={jid}
"""

# A chat log line: time of day or full timestamp, then who, then the text.
CHAT_LINE = re.compile(r"^\S+ - ([^:]+): (.*)$")
# A line of a room's window; lines about the room have a `!` instead.
ROOM_LINE = re.compile(r"^\S+(?: \S+)? - (\S+): (.*?)\s*$", re.MULTILINE)


class Profanity(Client):
    """The console client Profanity."""

    program = "Profanity"

    def __init__(self, user, password, logs):
        super().__init__(user, password, logs)
        self.home = logs / user
        for directory in ("config", "data"):
            (self.home / directory / "profanity").mkdir(parents=True)
        values = {"jid": self.jid, "host": self.host, "port": self.port, "password": password}
        (self.home / "data/profanity/accounts").write_text(ACCOUNT.format(**values))
        (self.home / "config/profanity/profrc").write_text(PREFERENCES.format(**values))
        self.terminal, self.log, self.logins = None, None, 0

    def version(self):
        return debian_version("profanity")

    def login(self):
        self.close()
        self.logins += 1
        self.log = self.home / f"profanity-{self.logins}.log"
        environment = {"XDG_CONFIG_HOME": str(self.home / "config"),
                       "XDG_DATA_HOME": str(self.home / "data")}
        command = ["profanity", "-l", "DEBUG", "-f", str(self.log), "-a", self.jid]
        self.terminal = Terminal(self.home, command, environment)
        wait_for("Profanity to log in", lambda: "logged in successfully" in self.terminal.screen(),
                 detail=self.terminal.screen)
        return re.search(r"<auth [^>]*mechanism=[\"']([^\"']+)", self._trace()).group(1)

    def logout(self):
        self.terminal.type("/quit")
        wait_for("Profanity to quit", lambda: not self.terminal.running())

    def kill(self):
        self.terminal.kill()
        wait_for("Profanity to be gone", lambda: not self.terminal.running())

    def wait_shown(self):
        def is_shown():
            given, _, after = self._trace().rpartition("RECV: <message")
            return not given or "SENT: <a " in after
        wait_for("Profanity to tell the server what it has", is_shown)

    def close(self):
        if self.terminal:
            self.terminal.close()

    def _trace(self):
        return self.log.read_text(errors="replace") if self.log and self.log.exists() else ""

    def add(self, jid):
        self.terminal.type(f"/roster add {jid}")
        self.terminal.type(f"/sub request {jid}")

    def approve(self, jid):
        wait_for(f"Profanity to be asked by {jid}",
                 lambda: re.search(r"RECV: <presence[^>]*type=[\"']subscribe[\"']", self._trace()))
        self.terminal.type(f"/sub allow {jid}")

    def subscription(self, jid):
        states = re.findall(rf"<item\b[^>]*jid=[\"']{re.escape(jid)}[\"'][^>]*>", self._trace())
        return re.search(r"subscription=[\"'](\w+)", states[-1]).group(1) if states else "none"

    def sees_online(self, jid):
        seen = re.findall(rf"RECV: (<presence[^>]*from=[\"']{re.escape(jid)}/[^>]*>)", self._trace())
        return bool(seen) and "unavailable" not in seen[-1]

    def send(self, jid, body):
        before = self._trace().count("SENT: <message")
        self.terminal.type(f"/msg {jid} {body}")
        wait_for("Profanity to send", lambda: self._trace().count("SENT: <message") > before)

    def received(self, jid):
        chat = self.home / "data/profanity/chatlogs" / self.jid.replace("@", "_at_") / jid.replace("@", "_at_")
        text = "".join(path.read_text(errors="replace") for path in sorted(chat.glob("*.log")))
        lines = filter(None, map(CHAT_LINE.match, text.splitlines()))
        return [line.group(2) for line in lines if line.group(1) != "me"]

    # Rooms. The window of the room is the one that is shown.

    wants_no_history = False

    def enter(self, room, nick):
        """Enters a room, or makes one that is locked."""
        before = self._trace().count("<status code=\"110\"")
        self.terminal.type(f"/join {room} nick {nick}")
        wait_for(f"Profanity to enter {room}", lambda: self._trace().count("<status code=\"110\"") > before,
                 detail=self.terminal.screen)
        wait_for("Profanity to show the room", lambda: "role: " in self.terminal.screen(),
                 detail=self.terminal.screen)

    def be_refused(self, room, nick, condition):
        """Tries to enter, and shows that it may not."""
        self.in_room(f"/join {room} nick {nick}", f"Error joining room {room}, reason: {condition}")

    def accept_defaults(self):
        """Unlocks the room that it has just made."""
        self.in_room("/room accept", "Room unlocked")

    def wait_invited(self, room):
        """Waits until it shows the invitation."""
        wait_for(f"Profanity to be invited to {room}", lambda: room in "".join(
            line for line in self.terminal.screen().splitlines() if "nvit" in line), detail=self.terminal.screen)

    def rename(self, _room, nick):
        """Takes another nickname in the room that is shown."""
        self.terminal.type(f"/nick {nick}")

    def in_room(self, command, shown):
        """A command in the room, and what the room's window then says."""
        self.terminal.type(command)
        self.wait_shown_in_room(shown)

    def wait_shown_in_room(self, text):
        """Waits until the room's window says something."""
        wait_for(f"Profanity to show {text!r}", lambda: text in self.terminal.screen(), detail=self.terminal.screen)

    def say(self, _room, body):
        """Says something in the room that is shown."""
        before = self._trace().count("SENT: <message")
        self.terminal.type(body)
        wait_for("Profanity to send", lambda: self._trace().count("SENT: <message") > before)

    def heard(self, room):
        """Nickname and body of what came from the room."""
        came = re.findall(rf"RECV: <message [^>]*from=\"{re.escape(room)}/([^\"]*)\"[^>]*>.*?<body>([^<]*)</body>",
                          self._trace())
        return [tuple(map(html.unescape, pair)) for pair in came]

    def wait_displayed(self, room):
        # Not in this order: its own words it shows before the room has them.
        wait_for("Profanity to show what came from the room, once",
                 lambda: sorted(ROOM_LINE.findall(self.terminal.screen())) == sorted(self.heard(room)),
                 detail=self.terminal.screen)
