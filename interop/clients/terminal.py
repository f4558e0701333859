"""A terminal in which a full-screen program runs: a private tmux server."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from clients.base import CheckFailed

WIDTH, HEIGHT = 140, 120


class Terminal:
    """One program in one tmux server on a socket of its own, so that no other is touched.

    `directory` gets the last screen as `screen.txt`.
    """

    def __init__(self, directory, command, environment):
        self.directory = directory
        self.environment = dict(os.environ, TERM="xterm-256color", LANG="C.UTF-8", **environment)
        # Not in `directory`: the path of a Unix socket has at most 107 bytes.
        self.sockets = Path(tempfile.mkdtemp(prefix="tmux-"))
        self.tmux = ["tmux", "-S", str(self.sockets / "socket"), "-f", "/dev/null"]
        started = self._run("new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), shlex.join(command))
        if started.returncode != 0:
            self.close()
            raise CheckFailed(f"tmux cannot start {command[0]}: {started.stderr.strip()}")

    def _run(self, *arguments):
        return subprocess.run([*self.tmux, *arguments], env=self.environment, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)

    def type(self, line):
        """Types a line and Enter."""
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def screen(self):
        """What the screen shows now."""
        return self._run("capture-pane", "-p").stdout

    def running(self):
        """Whether the program still runs (tmux ends with it)."""
        return self._run("has-session").returncode == 0

    def kill(self):
        """Kills the program, and tmux ends with it."""
        pid = self._run("display-message", "-p", "#{pane_pid}").stdout.strip()
        os.kill(int(pid), signal.SIGKILL)

    def close(self):
        """Ends the tmux server and with it the program."""
        if screen := self.screen().strip():
            (self.directory / "screen.txt").write_text(screen)
        self._run("kill-server")
        shutil.rmtree(self.sockets, ignore_errors=True)
