"""Clients that are libraries: a small peer program each, spoken to in lines.

A peer reads commands from standard input and writes events to standard output,
one a line, fields separated by tabs:

    login                    online JID MECHANISM
    add JID                  roster JID SUBSCRIPTION      (at every change)
    approve JID              request JID                  (somebody asks)
    send JID BODY            passed                       (to the library), and there
                             message JID DELAYED BODY     (DELAYED is 0 or 1)
    ping                     pong
    logout                   offline

and `available FULLJID`, `unavailable FULLJID`, `error TEXT`. End of input ends it.
Some know more:

    cut                      offline                      (drops the connection without closing the stream)
    track JID ID BODY        sent ID, delivered ID, read ID
    mark JID ID                                           (says that the message was read)
    copies                   copies, then copy received|sent JID BODY
    page AFTER SIZE          result ID BODY..., page COMPLETE LAST

rooms.py has what there is about rooms.

A peer says `sm` when its stream can be resumed: a login after the loss of its
connection then says `resumed` [MECHANISM]. It says `shown` when it has told the server
what it has. nbxmpp says `kept ID` before a message
that has an archive id. xmpp.js says `token` when it is given one (XEP-0484), by
which it logs in from then on.
"""

import os
import subprocess
import threading
from pathlib import Path

from clients.base import CheckFailed, CheckSkipped, Client, wait_for
from clients.rooms import Rooms

PEERS = Path(__file__).resolve().parent.parent / "peers"
INSTALLED = Path(os.environ.get("INTEROP_INSTALLED", "target/interop"))


class LineClient(Rooms, Client):
    """A peer program behind the line protocol."""

    #: Whether it says `shown` although it does not say `sm`.
    says_shown = False

    def __init__(self, user, password, logs):
        Client.__init__(self, user, password, logs)
        Rooms.__init__(self)
        self.online, self.mechanism, self.passed, self.pongs = False, None, 0, 0
        self.resumable, self.resumed, self.unshown = False, False, False
        self.has_token, self.readmitted = False, False
        self.roster, self.requests, self.resources = {}, set(), {}
        self.messages, self.errors = [], []
        self.departures, self.ticks = [], {}
        self.has_copies, self.copies = False, []
        self.kept, self.results, self.page = [], [], None
        # Two clients may have one account.
        self.name = f"{user}.{type(self).__name__}"
        self.log = (logs / f"{self.name}.log").open("w", buffering=1)
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
            stderr=(self.logs / f"{self.name}.stderr").open("a"),
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

    def _on_resumed(self, mechanism=None):
        self.mechanism = mechanism or self.mechanism
        self.online, self.resumed = True, True

    def _on_offline(self):
        self.online, self.unshown = False, False
        self.resources.clear()
        self.invitations.clear()

    def _on_roster(self, jid, subscription):
        self.roster[jid] = subscription

    def _on_request(self, jid):
        self.requests.add(jid.partition("/")[0])

    def _on_available(self, jid):
        self.resources.setdefault(jid.partition("/")[0], set()).add(jid)

    def _on_unavailable(self, jid):
        self.departures.append(jid)
        self.resources.get(jid.partition("/")[0], set()).discard(jid)

    def _on_message(self, jid, delayed, body):
        self.messages.append((jid.partition("/")[0], delayed == "1", body))
        self.unshown = True

    def _on_shown(self):
        self.unshown = False

    def _on_kept(self, identifier):
        self.kept.append(identifier)

    def _on_result(self, identifier, body):
        self.results.append((identifier, body))

    def _on_page(self, complete, last):
        self.page = (complete == "1", last)

    def _on_copies(self):
        self.has_copies = True

    def _on_copy(self, direction, jid, body):
        self.copies.append((direction, jid.partition("/")[0], body))

    def _on_sent(self, identifier):
        self.ticks.setdefault(identifier, set()).add("sent")

    def _on_delivered(self, identifier):
        self.ticks.setdefault(identifier, set()).add("delivered")

    def _on_read(self, identifier):
        self.ticks.setdefault(identifier, set()).add("read")

    def _on_passed(self):
        self.passed += 1

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
        """Sends, and does not wait for the server."""
        before = self.passed
        self._tell("send", jid, body)
        self._wait("to take a message for sending", lambda: self.passed > before)

    def cut(self):
        """Drops the connection without closing the stream."""
        self._tell("cut")
        self.wait_offline()

    def wait_offline(self):
        """Waits until it notices that its connection is gone."""
        self._wait("to notice that it is offline", lambda: not self.online)

    def wait_shown(self):
        if self.resumable or self.says_shown:
            self._wait("to tell the server what it has", lambda: not self.unshown)

    def track(self, jid, identifier, body):
        """Sends a message under that id and asks to be told what becomes of it."""
        self._tell("track", jid, identifier, body)

    def mark(self, jid, identifier):
        """Says that its user has read the message."""
        self._tell("mark", jid, identifier)

    def wait_tick(self, identifier, step):
        """Waits until it knows that the message was sent, delivered or read."""
        self._wait(f"to know that {identifier} was {step}", lambda: step in self.ticks.get(identifier, ()))

    def ask_for_copies(self):
        """Wants to see what the other clients of its account receive and send (XEP-0280)."""
        self._tell("copies")
        self._wait("to be granted copies", lambda: self.has_copies)

    def wait_copies(self, copies):
        """Waits for as many copies as these: direction, the other side, body; and no others."""
        self._wait(f"to be given {len(copies)} copies", lambda: len(self.copies) >= len(copies))
        if self.copies != copies:
            raise CheckFailed(f"{self.program} has the copies {self.copies}, not {copies}")

    def pages(self, size, after="", room=""):
        """Its archive, or that of a room, behind the message with the id `after`, oldest first, in pages of (id, body)."""
        pages, complete = [], False
        while not complete:
            self.results, self.page = [], None
            self._tell("page", after, str(size), room)
            self._wait("to be given a page of its archive", lambda: self.page is not None)
            complete, after = self.page
            pages.append(self.results)
            if len(pages) > 100:
                raise CheckFailed(f"{self.program} finds no end of its archive: {pages}")
        return pages

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
    says_shown = True

    def command(self):
        return [str(INSTALLED / "strophe_peer")]

    def version(self):
        return subprocess.check_output(["pkg-config", "--modversion", "libstrophe"], text=True).strip()


class XmppJs(LineClient):
    """@xmpp/client on Node, with STARTTLS; by SASL2, Bind 2 and tokens where they are offered."""

    program = "xmpp.js"
    wants_no_history = False

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
