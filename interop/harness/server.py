"""The server under test: Waxwing, or Prosody as the yardstick.

Each server gets a directory of its own, a certificate for `localhost` signed by
a CA made for the run, and free loopback ports. `Waxwing` and `Prosody` have the
same surface, so that a failing check can be tried against the other one: it
then shows whether the fault is the server's or the check's.
"""

import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

DOMAIN = "localhost"
MUC_DOMAIN = f"groups.{DOMAIN}"
UPLOAD_DOMAIN = f"upload.{DOMAIN}"
PASSWORD = "correct horse battery"

# slixmpp's own suite asserts the standard ports, so these live on an address of
# their own, where nobody else listens.
STANDARD_PORTS_HOST = "127.0.0.8"

START_SECONDS = 20
STOP_SECONDS = 10


class ServerError(Exception):
    """The server could not be started or refused an administrative command."""


def free_port(host="127.0.0.1"):
    """A TCP port that is free now, outside the range of ephemeral ports."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        if is_free(host, port):
            return port
    raise ServerError(f"no free port on {host}")


def is_free(host, port):
    """Whether `host:port` can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def make_certificates(directory):
    """Writes ca.pem, server.crt and server.key for `localhost` and its services."""
    run = lambda *args: subprocess.run(
        ["openssl", *args], check=True, cwd=directory, capture_output=True
    )
    names = ",".join(f"DNS:{name}" for name in (DOMAIN, MUC_DOMAIN, UPLOAD_DOMAIN))
    (directory / "server.ext").write_text(
        f"subjectAltName={names},IP:127.0.0.1,IP:{STANDARD_PORTS_HOST}\n"
        "basicConstraints=CA:FALSE\n"
        "keyUsage=digitalSignature\n"
        "extendedKeyUsage=serverAuth\n"
    )
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
        "-subj", "/CN=Interop CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("req", "-new", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={DOMAIN}")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "30", "-extfile", "server.ext", "-out", "server.crt")
    # Readable by clients that refuse to run as root.
    (directory / "ca.pem").chmod(0o644)
    (directory / "server.crt").chmod(0o644)


class Server:
    """What both servers share: ports, certificates, the environment for checks."""

    name = "server"

    def __init__(self, directory):
        self.directory = Path(directory)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.tls_port = free_port()
        self.http_port = free_port()
        self.standard_ports = all(is_free(STANDARD_PORTS_HOST, p) for p in (5222, 5223))
        self.process, self.ready = None, ""
        self.log = self.directory / "server.log"
        make_certificates(self.directory)

    def environment(self):
        """The variables by which a check finds the server and adds accounts."""
        return {
            "INTEROP_SERVER": self.name,
            "INTEROP_HOST": self.host,
            "INTEROP_PORT": str(self.port),
            "INTEROP_TLS_PORT": str(self.tls_port),
            "INTEROP_HTTP_PORT": str(self.http_port) if " http=" in self.ready else "",
            "INTEROP_STANDARD_PORTS": "1" if self.standard_ports else "",
            "INTEROP_CA": str(self.directory / "ca.pem"),
            "INTEROP_CERTIFICATE": str(self.directory / "server.crt"),
            "INTEROP_CONFIG": str(self.config),
        }

    def stop(self):
        """Asks the server to end, and kills it if it does not; its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def restart(self):
        """An orderly restart, on the same data and ports."""
        if (code := self.stop()) != 0:
            raise ServerError(f"ended with exit code {code}:\n{tail(self.log)}")
        self.start()


class Waxwing(Server):
    """The server of this repository, configured by a file of its own."""

    name = "waxwing"

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = str(binary)
        self.config = self.directory / "config.toml"

    def start(self):
        """Starts the server and waits for its `ready` line."""
        self.config.write_text(self._config_text())
        environment = dict(os.environ, RUST_LOG=os.environ.get("RUST_LOG", "debug"))
        self.process = subprocess.Popen(
            [self.binary, "--config", str(self.config), "serve"],
            cwd=self.directory, env=environment, stdout=subprocess.PIPE,
            stderr=self.log.open("ab"), text=True,
        )
        self.ready = self.process.stdout.readline().strip()
        if not self.ready.startswith("ready "):
            self.stop()
            raise ServerError(f"no ready line:\n{tail(self.log)}")

    def add_user(self, user):
        """Creates the account `user@localhost` through the command line."""
        add_waxwing_user(self.binary, self.config, user)

    def environment(self):
        return dict(super().environment(), INTEROP_BINARY=self.binary)

    def version(self):
        """What the binary says of its version."""
        return first_line([self.binary, "--version"])

    def _config_text(self):
        c2s, c2s_tls = [f"{self.host}:{self.port}"], [f"{self.host}:{self.tls_port}"]
        if self.standard_ports:
            c2s.append(f"{STANDARD_PORTS_HOST}:5222")
            c2s_tls.append(f"{STANDARD_PORTS_HOST}:5223")
        return f"""domain = "{DOMAIN}"
data = "{self.directory / 'data'}"

[listen]
c2s = {toml_list(c2s)}
c2s_tls = {toml_list(c2s_tls)}

[tls]
certificate = "{self.directory / 'server.crt'}"
key = "{self.directory / 'server.key'}"

[registration]
mode = "open"
"""


class Prosody(Server):
    """Debian's Prosody with the modules that the checks touch."""

    name = "prosody"

    def __init__(self, directory):
        super().__init__(directory)
        self.config = self.directory / "prosody.cfg.lua"

    def start(self):
        """Starts Prosody and waits until its ports accept."""
        self.config.write_text(self._config_text())
        self.process = subprocess.Popen(
            ["prosody", "--config", str(self.config), "-F"],
            cwd=self.directory, stdout=self.log.open("ab"), stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.tls_port)) == 0:
                    self.ready = f"ready c2s={self.host}:{self.port} http={self.host}:{self.http_port}"
                    return
            time.sleep(0.05)
        self.stop()
        raise ServerError(f"Prosody did not start:\n{tail(self.log)}")

    def add_user(self, user):
        """Creates the account `user@localhost` through prosodyctl."""
        add_prosody_user(self.config, user)

    def version(self):
        """The Debian version."""
        return "Prosody " + debian_version("prosody")

    def _config_text(self):
        standard = self.standard_ports
        addresses = [self.host] + ([STANDARD_PORTS_HOST] if standard else [])
        lua = lambda items: "{ " + ", ".join(map(repr, items)) + " }"
        return f"""
run_as_root = true
interfaces = {lua(addresses)}
c2s_ports = {lua([self.port] + ([5222] if standard else []))}
c2s_direct_tls_ports = {lua([self.tls_port] + ([5223] if standard else []))}
s2s_ports = {{}}
http_ports = {{ {self.http_port} }}
https_ports = {{}}
data_path = "{self.directory}"
pidfile = "{self.directory}/prosody.pid"
ssl = {{ certificate = "{self.directory}/server.crt"; key = "{self.directory}/server.key" }}
c2s_require_encryption = true
consider_websocket_secure = true
authentication = "internal_hashed"
allow_registration = true
modules_enabled = {{
  "roster", "saslauth", "tls", "disco", "carbons", "pep", "private", "blocklist",
  "vcard4", "vcard_legacy", "version", "ping", "register", "mam", "smacks", "lastactivity",
  "websocket",
}}
modules_disabled = {{ "s2s" }}
limits = {{}}
log = {{ {{ levels = {{ min = "debug" }}, to = "console" }} }}
VirtualHost "{DOMAIN}"
Component "{MUC_DOMAIN}" "muc"
  modules_enabled = {{ "muc_mam", "vcard_muc" }}
"""


def another(directory):
    """One more of the kind that the environment names, not started; for a check alone."""
    if os.environ["INTEROP_SERVER"] == "waxwing":
        return Waxwing(directory, os.environ["INTEROP_BINARY"])
    return Prosody(directory)


def add_user(user):
    """Creates an account on the server that the environment names (used by checks)."""
    config = os.environ["INTEROP_CONFIG"]
    if os.environ["INTEROP_SERVER"] == "waxwing":
        add_waxwing_user(os.environ["INTEROP_BINARY"], config, user)
    else:
        add_prosody_user(config, user)


def add_waxwing_user(binary, config, user):
    """`waxwing user add`, with the password on standard input."""
    administer(
        [binary, "--config", str(config), "user", "add", f"{user}@{DOMAIN}", "--password-stdin"],
        PASSWORD + "\n",
    )


def add_prosody_user(config, user):
    """`prosodyctl register`."""
    administer(["prosodyctl", "--root", "--config", str(config), "register", user, DOMAIN, PASSWORD], "")


def administer(command, text):
    """Runs an administrative command and raises with its own words if it fails."""
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=START_SECONDS)
    if done.returncode != 0:
        raise ServerError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")


def find_binary(root, given):
    """The Waxwing binary: the one given, else the newest that the build left."""
    if given:
        found = shutil.which(given) or given
        if not Path(found).is_file():
            raise ServerError(f"no such binary: {given}")
        return Path(found).resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    built = [path for kind in ("debug", "release") if (path := target / kind / "waxwing").is_file()]
    if not built:
        raise ServerError("no waxwing binary: run `cargo build`, or name one with --binary")
    return max(built, key=lambda path: path.stat().st_mtime)


def debian_version(package):
    """The installed version of a Debian package, or an empty string."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True
    )
    return done.stdout.strip()


def first_line(command):
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def toml_list(items):
    """A TOML array of strings."""
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def tail(path, lines=25):
    """The last lines of a text file."""
    try:
        return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
