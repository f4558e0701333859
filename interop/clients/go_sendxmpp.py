"""go-sendxmpp, which sends standard input and ends, or listens until it is ended."""

import os
import re
import signal
import subprocess

from clients.base import CheckFailed, CheckSkipped, Client, wait_for
from harness.server import debian_version

LIMIT_SECONDS = 15
PANIC = 2  # The exit code of a Go program that ends by a panic.
# What it prints of a message: time, sender, text.
MESSAGE = re.compile(r"^\S+ ([^\s:]+): (.*)$", re.MULTILINE)


class GoSendxmpp(Client):
    """The command line sender go-sendxmpp."""

    program = "go-sendxmpp"
    has_roster = False
    # Debian 12's version knows no SCRAM: a server must still offer PLAIN over TLS.
    mechanism_prefix = "PLAIN"

    def __init__(self, user, password, logs):
        super().__init__(user, password, logs)
        self.output = logs / f"{user}.out"
        self.trace = logs / f"{user}.stderr"
        self.listener = None

    def version(self):
        return debian_version("go-sendxmpp")

    def _command(self, *arguments):
        return ["go-sendxmpp", "--debug", "-u", self.jid, "-p", self.password,
                "-j", f"{self.host}:{self.port}", *arguments]

    def _environment(self):
        return dict(os.environ, SSL_CERT_FILE=self.ca, HOME=str(self.logs))

    def login(self):
        """Starts listening; online when the server has sent its own presence back."""
        self.trace.write_text("")
        self.listener = subprocess.Popen(
            self._command("--listen"), env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=self.output.open("ab"), stderr=self.trace.open("ab"),
        )
        wait_for("go-sendxmpp to listen", lambda: "<presence" in self.trace.read_text(), detail=self.trace.read_text)
        # It prints what the server says; PLAIN is the one mechanism without a challenge.
        return "SCRAM-*" if "<challenge" in self.trace.read_text() else "PLAIN"

    def logout(self):
        self.close()

    def close(self):
        if self.listener and self.listener.poll() is None:
            self.listener.send_signal(signal.SIGINT)
            try:
                self.listener.wait(5)
            except subprocess.TimeoutExpired:
                self.listener.kill()
                self.listener.wait()

    def send(self, jid, body):
        done = subprocess.run(self._command(jid), env=self._environment(), input=body + "\n",
                              text=True, capture_output=True, timeout=LIMIT_SECONDS)
        with self.trace.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise CheckFailed(f"go-sendxmpp ended with {done.returncode}: {done.stderr[-300:]}")

    def received(self, jid):
        if self.listener.poll() == PANIC and "main.rcvStanzas" in self.trace.read_text():
            raise CheckSkipped(f"go-sendxmpp {self.version()} crashes on any IQ without <query/>, such as a ping")
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return [body for sender, body in MESSAGE.findall(text) if sender.startswith(jid)]
