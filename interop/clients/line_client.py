"""Clients that are libraries: a small peer program each, spoken to in lines.

A peer reads commands from standard input and writes events to standard output,
one a line, fields separated by tabs:

    login                    online JID MECHANISM
    add JID                  roster JID SUBSCRIPTION      (at every change)
    approve JID              request JID                  (somebody asks)
    send JID BODY            message JID DELAYED BODY     (DELAYED is 0 or 1)
    ping                     pong
    logout                   offline

and `available FULLJID`, `unavailable FULLJID`, `error TEXT`. End of input ends it.
slixmpp alone knows `cut`, which drops the connection without closing the stream;
its next login may then say `resumed`, and it says `sm` when that is possible.
xmpp.js says `token` when it is given one (XEP-0484), by which it logs in from then on.
"""

import os
import subprocess
import threading
from pathlib import Path

from clients.base import CheckFailed, CheckSkipped, Client, wait_for

PEERS = Path(__file__).resolve().parent.parent / "peers"
INSTALLED = Path(os.environ.get("INTEROP_INSTALLED", "target/interop"))


class LineClient(Client):
    """A peer program behind the line protocol."""

    def __init__(self, user, password, logs):
        super().__init__(user, password, logs)
        self.online, self.mechanism, self.pongs = False, None, 0
        self.resumable, self.resumed = False, False
        self.has_token, self.readmitted = False, False
        self.roster, self.requests, self.resources = {}, set(), {}
        self.messages, self.errors = [], []
        self.log = (logs / f"{user}.log").open("w", buffering=1)
        self.process, self.reader = None, None

    def command(self):
        """The peer's command line."""
        raise NotImplementedError

    def environment(self):
        """The peer's environment."""
        return dict(os.environ, INTEROP_JID=self.jid, INTEROP_PASSWORD=self.password)

    def _start(self):
        self.process = subprocess.Popen(
            self.command(), text=True, bufsize=1, encoding="utf-8", env=self.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(self.logs / f"{self.user}.stderr").open("a"),
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, output):
        for line in output:
            self.log.write(f"< {line}")
            kind, *fields = line.rstrip("\n").split("\t")
            handler = getattr(self, f"_on_{kind}", None)
            if handler:
                handler(*fields)

    def _on_online(self, jid, mechanism):
        self.full_jid = jid
        self.mechanism = mechanism
        self.online, self.resumed = True, False

    def _on_sm(self):
        self.resumable = True

    def _on_token(self):
        self.has_token = True

    def _on_resumed(self):
        self.online, self.resumed = True, True

    def _on_offline(self):
        self.online = False
        self.resources.clear()

    def _on_roster(self, jid, subscription):
        self.roster[jid] = subscription

    def _on_request(self, jid):
        self.requests.add(jid.partition("/")[0])

    def _on_available(self, jid):
        self.resources.setdefault(jid.partition("/")[0], set()).add(jid)

    def _on_unavailable(self, jid):
        self.resources.get(jid.partition("/")[0], set()).discard(jid)

    def _on_message(self, jid, delayed, body):
        self.messages.append((jid.partition("/")[0], delayed == "1", body))

    def _on_pong(self):
        self.pongs += 1

    def _on_error(self, text):
        self.errors.append(text)

    def _tell(self, *fields):
        line = "\t".join(fields)
        self.log.write(f"> {line}\n")
        try:
            self.process.stdin.write(line + "\n")
        except (BrokenPipeError, ValueError) as error:
            raise CheckFailed(f"the {self.program} peer is gone: {self.errors}") from error

    def _wait(self, what, condition):
        wait_for(f"{self.program} {what}", lambda: condition() or self.process.poll() is not None,
                 detail=lambda: "; ".join(self.errors))
        if not condition():
            raise CheckFailed(f"the {self.program} peer ended while waiting {what}: {self.errors}")

    def login(self):
        if self.process is None:
            self._start()
        self._tell("login")
        self._wait("to log in", lambda: self.online)
        return self.mechanism

    def logout(self):
        self._tell("logout")
        self._wait("to go offline", lambda: not self.online)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.has_token = False
        self._on_offline()
        self.process = None

    def close(self):
        if self.process is None:
            return
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def add(self, jid):
        self._tell("add", jid)

    def approve(self, jid):
        self._wait(f"to be asked by {jid}", lambda: jid in self.requests)
        self._tell("approve", jid)

    def subscription(self, jid):
        return self.roster.get(jid, "none")

    def sees_online(self, jid):
        return bool(self.resources.get(jid))

    def send(self, jid, body):
        """Sends, and waits for the answer to a ping: the server has then read the message."""
        before = self.pongs
        self._tell("send", jid, body)
        self._tell("ping")
        self._wait("to have its ping answered", lambda: self.pongs > before)

    def post(self, jid, body):
        """Sends, and waits for nothing."""
        self._tell("send", jid, body)

    def cut(self):
        """Drops the connection without closing the stream."""
        self._tell("cut")
        self._wait("to notice that it is offline", lambda: not self.online)

    def received(self, jid):
        return [body for sender, _, body in self.messages if sender == jid]

    def delayed(self, jid):
        """The bodies of those messages from `jid` that carry a delay (XEP-0203), in order."""
        return [body for sender, delayed, body in self.messages if sender == jid and delayed]


class Slixmpp(LineClient):
    """slixmpp with STARTTLS."""

    program = "slixmpp"

    def command(self):
        python = INSTALLED / "venv/bin/python"
        return [str(python), str(PEERS / "slixmpp_peer.py"), "starttls", self.port]

    def version(self):
        python = INSTALLED / "venv/bin/python"
        code = "import importlib.metadata as m; print(m.version('slixmpp'))"
        return subprocess.check_output([str(python), "-c", code], text=True).strip()


class SlixmppDirectTls(Slixmpp):
    """slixmpp with TLS from the first byte (XEP-0368)."""

    program = "slixmpp (direct TLS)"

    def command(self):
        return [*super().command()[:2], "direct", self.tls_port]


class Nbxmpp(LineClient):
    """nbxmpp, the library of Gajim, on GLib's TLS."""

    program = "nbxmpp"

    def command(self):
        # The Debian package belongs to the system's interpreter.
        return ["/usr/bin/python3", str(PEERS / "nbxmpp_peer.py")]

    def version(self):
        code = "import nbxmpp; print(nbxmpp.__version__)"
        return subprocess.check_output(["/usr/bin/python3", "-c", code], text=True).strip()


class Strophe(LineClient):
    """libstrophe, the C library under Profanity."""

    program = "libstrophe"

    def command(self):
        return [str(INSTALLED / "strophe_peer")]

    def version(self):
        return subprocess.check_output(["pkg-config", "--modversion", "libstrophe"], text=True).strip()


class XmppJs(LineClient):
    """@xmpp/client on Node, with STARTTLS; by SASL2, Bind 2 and tokens where they are offered."""

    program = "xmpp.js"

    def login(self):
        """By its password, or by a token if it has one: then not the mechanism, which is HT-*."""
        expected = self.has_token
        mechanism = super().login()
        self.readmitted = mechanism.startswith("HT-SHA-256-")
        if self.readmitted != expected:
            raise CheckFailed(f"{self.program} {'has a' if expected else 'has no'} token and logged in by {mechanism}")
        # With Bind 2 the server makes the resource, from the program's name.
        self.has_bind2 = self.full_jid.partition("/")[2] != "xmppjs"
        return None if self.readmitted else mechanism

    def service(self):
        """The address as @xmpp/client takes it."""
        return f"xmpp://localhost:{self.port}"

    def command(self):
        return ["node", str(INSTALLED / "js/xmpp_peer.mjs"), self.service()]

    def environment(self):
        return dict(super().environment(), NODE_EXTRA_CA_CERTS=self.ca)

    def version(self):
        code = "console.log(require('@xmpp/client/package.json').version)"
        return subprocess.check_output(["node", "-e", code], cwd=INSTALLED / "js", text=True).strip()


class XmppJsDirectTls(XmppJs):
    """@xmpp/client with TLS from the first byte."""

    program = "xmpp.js (direct TLS)"

    def service(self):
        return f"xmpps://localhost:{self.tls_port}"


class XmppJsWebSocket(XmppJs):
    """@xmpp/client over WebSocket (RFC 7395), as behind a reverse proxy."""

    program = "xmpp.js (WebSocket)"

    def __init__(self, *arguments):
        if not os.environ["INTEROP_HTTP_PORT"]:
            raise CheckSkipped("the server has no HTTP listener")
        super().__init__(*arguments)

    def service(self):
        return f"ws://localhost:{os.environ['INTEROP_HTTP_PORT']}/xmpp-websocket"
