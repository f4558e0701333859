"""mcabber in a terminal of its own.

Commands go in through its FIFO module; what it shows is read from its history,
what it knows of presence and SASL from its trace of the stream.
"""

import hashlib
import os
import re
import ssl
from pathlib import Path

from clients.base import Client, wait_for
from clients.terminal import Terminal
from harness.server import debian_version

CONFIGURATION = """set jid = {jid}
set password = {password}
set server = {host}
set port = {port}
set resource = mcabber
set tls = 1
set ssl_fingerprint = {fingerprint}
set logging = 1
set load_logs = 0
set logging_dir = {home}/history
set tracelog_level = 3
set tracelog_file = {home}/trace.log
set beep_on_message = 0
set autoaway = 0
set caps_directory = {home}
module load fifo
set fifo_name = {home}/fifo
"""

# A history record: MR (received) or MS (sent), time, number of further lines, text.
RECORD = re.compile(r"^MR \S+ \d+ (.*)$", re.MULTILINE)


def fingerprint(certificate):
    """The fingerprint of a PEM certificate as mcabber writes it."""
    der = ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())
    return "SHA256:" + hashlib.sha256(der).hexdigest()


class Mcabber(Client):
    """The console client mcabber, on the library Loudmouth."""

    program = "mcabber"
    # Loudmouth knows PLAIN and DIGEST-MD5 only: a server must still offer PLAIN over TLS.
    mechanism_prefix = "PLAIN"

    def __init__(self, user, password, logs):
        super().__init__(user, password, logs)
        self.home = logs / user
        (self.home / "history").mkdir(parents=True)
        self.home.chmod(0o700)
        values = {"jid": self.jid, "host": self.host, "port": self.port,
                  "password": password, "home": self.home,
                  "fingerprint": fingerprint(self.certificate)}
        self.configuration = self.home / "mcabberrc"
        self.configuration.write_text(CONFIGURATION.format(**values))
        self.configuration.chmod(0o600)
        self.terminal = None

    def version(self):
        return debian_version("mcabber")

    def login(self):
        self.close()
        (self.home / "trace.log").unlink(missing_ok=True)
        self.terminal = Terminal(self.home, ["mcabber", "-f", str(self.configuration)], {})
        wait_for("mcabber to log in", lambda: "Your status has been set" in self.terminal.screen(),
                 detail=self.terminal.screen)
        return re.search(r"<auth [^>]*mechanism=[\"']([^\"']+)", self._trace()).group(1)

    def logout(self):
        self._command("/quit")
        wait_for("mcabber to quit", lambda: not self.terminal.running())

    def kill(self):
        self.terminal.kill()
        wait_for("mcabber to be gone", lambda: not self.terminal.running())

    def wait_shown(self):
        # It has no stream management; the server pings it instead.
        def is_shown():
            given, _, after = self._trace().rpartition("<stanza-id ")
            return not given or 'id="probe-' in after
        wait_for("mcabber to answer a ping", is_shown)

    def close(self):
        if self.terminal:
            self.terminal.close()

    def _trace(self):
        path = self.home / "trace.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _command(self, line):
        """Writes a command to the FIFO, which mcabber holds open for reading."""
        path = self.home / "fifo"
        wait_for("mcabber to make its FIFO", path.is_fifo)
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def add(self, jid):
        self._command(f"/add {jid}")

    def approve(self, jid):
        wait_for(f"mcabber to be asked by {jid}",
                 lambda: re.search(r"<presence[^>]*type=[\"']subscribe[\"'][^>]*from=|"
                                   r"<presence[^>]*from=[^>]*type=[\"']subscribe[\"']", self._trace()))
        self._command(f"/authorization allow {jid}")

    def subscription(self, jid):
        states = re.findall(rf"<item\b[^>]*jid=[\"']{re.escape(jid)}[\"'][^>]*>", self._trace())
        state = states and re.search(r"subscription=[\"'](\w+)", states[-1])
        return state.group(1) if state else "none"

    def sees_online(self, jid):
        seen = re.findall(rf"<presence[^>]*from=[\"']{re.escape(jid)}/[^>]*>", self._trace())
        return bool(seen) and "unavailable" not in seen[-1]

    def send(self, jid, body):
        before = self._trace().count("<body>")
        self._command(f"/say_to -n {jid} {body}")
        wait_for("mcabber to send", lambda: self._trace().count("<body>") > before)

    def received(self, jid):
        path = self.home / "history" / jid
        return RECORD.findall(path.read_text(errors="replace")) if path.exists() else []
