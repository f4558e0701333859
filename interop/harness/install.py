"""Installs the clients that are not Debian packages, under `target/interop`.

PyPI packages go into a virtual environment, npm packages beside a copy of the
JavaScript peer, slixmpp's source archive (it holds the integration tests) is
unpacked, and the C peer is compiled. Each step is skipped while what it was made
from has not changed.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SLIXMPP = "1.17.0"
REQUIREMENTS = HERE / "requirements.txt"

DEBIAN_PACKAGES = (
    "dbus", "gajim", "gcc", "go-sendxmpp", "libglib2.0-bin", "libstrophe-dev", "mcabber",
    "nodejs", "npm", "openssl", "pkg-config", "profanity", "python3-nbxmpp", "python3-venv",
    "tmux", "xvfb",
)
# A program that stands for its package, where it may come from elsewhere.
PROGRAMS = {"nodejs": "node", "npm": "npm", "gcc": "cc", "pkg-config": "pkg-config"}


def missing_packages():
    """The Debian packages that the checks need and that are not installed."""
    return [package for package in DEBIAN_PACKAGES if not is_installed(package)]


def is_installed(package):
    """Whether dpkg knows the package as installed, or its program is on the path."""
    if package in PROGRAMS and shutil.which(PROGRAMS[package]):
        return True
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True
    )
    return done.stdout == "installed"


def install(target):
    """Brings `target` up to date. Raises CalledProcessError if a step fails."""
    target.mkdir(parents=True, exist_ok=True)
    step(target, "venv", [REQUIREMENTS], lambda: install_python(target / "venv"))
    step(target, "slixmpp", [REQUIREMENTS], lambda: unpack_slixmpp(target))
    sources = [HERE / "peers/xmpp_js" / name for name in ("package.json", "package-lock.json")]
    step(target, "js", sources, lambda: install_javascript(target / "js", sources))
    shutil.copy(HERE / "peers/xmpp_js/xmpp_peer.mjs", target / "js")
    strophe = HERE / "peers/strophe_peer.c"
    step(target, "strophe_peer", [strophe], lambda: compile_strophe(strophe, target))


def step(target, name, sources, action):
    """Runs `action` unless it was done for the same contents of `sources`."""
    digest = hashlib.sha256(b"\0".join(Path(source).read_bytes() for source in sources)).hexdigest()
    stamp = target / f"{name}.stamp"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    print(f"installing {name}", file=sys.stderr)
    action()
    stamp.write_text(digest)


def install_python(directory):
    """A virtual environment with what requirements.txt pins."""
    venv.create(directory, clear=True, with_pip=True)
    run([directory / "bin/pip", "install", "--quiet", "--disable-pip-version-check",
         "--requirement", REQUIREMENTS])


def unpack_slixmpp(target):
    """slixmpp's source archive, for its `itests`."""
    archive = target / f"slixmpp-{SLIXMPP}.tar.gz"
    if not archive.is_file():
        run([target / "venv/bin/pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--no-binary", "slixmpp", "--dest", target, f"slixmpp=={SLIXMPP}"])
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def install_javascript(directory, sources):
    """The npm packages that package-lock.json pins."""
    directory.mkdir(exist_ok=True)
    for source in sources:
        shutil.copy(source, directory)
    run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=directory)


def compile_strophe(source, target):
    """The libstrophe peer."""
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "libstrophe"], text=True)
    run(["cc", "-O1", "-Wall", "-Wextra", source, "-o", target / "strophe_peer", *flags.split()])


def run(command, cwd=None):
    """Runs a command of the installation, its output on our standard error."""
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, stdout=sys.stderr)
