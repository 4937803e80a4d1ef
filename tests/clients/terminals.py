"""A pseudo-terminal with the binary behind it, or another program, for what a person sees and types."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import polder

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")


class Terminal:
    """Runs the binary, or `program`, on a terminal of 120 columns; `text` is all that it has written."""

    def __init__(self, *arguments, env=None, program=None):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [str(program or polder.binary()), *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            preexec_fn=own_terminal, env=polder.environment({"TERM": "xterm-256color", **(env or {})}))
        os.close(slave)
        self.master = master
        self.raw = ""
        self.read_to = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, seconds: float) -> bool:
        """Takes what was written; False when there was nothing, or will be nothing more."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.master, 1 << 16).decode(errors="replace")
        except OSError:
            return False
        if "\x1b[6n" in part:
            # The program asks where the cursor is.
            os.write(self.master, b"\x1b[1;1R")
        self.raw += part
        return bool(part)

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)

    def wait_for(self, words: str, seconds: float = polder.SOON_SECONDS) -> str:
        """Waits until `words` come after what was waited for before; the text up to them."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.text.find(words, self.read_to)
            if found >= 0:
                seen, self.read_to = self.text[self.read_to:found], found + len(words)
                return seen
            assert time.monotonic() < deadline, f"{words!r} did not come; there was {self.text[self.read_to:]!r}"
            self.read(0.1)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self, seconds: float = polder.SOON_SECONDS) -> int:
        """Reads to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.wait(polder.SOON_SECONDS)
