"""A terminal in which a full-screen program runs: a private tmux server."""

import os
import shlex
import signal
import subprocess

WIDTH, HEIGHT = 140, 50


class Terminal:
    """One program in one tmux server, named so that no other is touched."""

    def __init__(self, name, directory, command, environment):
        self.directory = directory
        self.environment = dict(os.environ, TERM="xterm-256color", LANG="C.UTF-8",
                                TMUX_TMPDIR=str(directory), **environment)
        self.tmux = ["tmux", "-L", name, "-f", "/dev/null"]
        self._run("new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), shlex.join(command))

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
