"""The process that the service lives in: where its output goes, what may interrupt it, when it must end."""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time

from espalier_runtime.errors import EspalierError


def settle(log: str) -> None:
    """Make this interpreter a quiet servant of its parent.

    Call it once, on the main thread, before anything prints. Standard output and error, of this process and
    of those it starts, are appended to the file `log`; so is the Python stack of the thread at fault, if the
    process crashes. Ctrl-C is left to the parent, which asks jobs to stop. When the parent dies, this process ends.

    Raises:
        EspalierError: the log cannot be written.
    """
    _redirect(log)
    # One thread: those of the others would push its stack, and what was printed before, out of the log's tail.
    faulthandler.enable(all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _forget_pythonia()
    threading.Thread(target=_end_with, args=(os.getppid(),), name="espalier-watchdog", daemon=True).start()


def flush() -> None:
    """Write out what Python still holds back of standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _redirect(log: str) -> None:
    flush()
    try:
        target = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        mend = "Give a file in a folder that exists and may be written."
        raise EspalierError(f"Python's log {log} cannot be written: {error.strerror}.", mend) from error
    nothing = os.open(os.devnull, os.O_RDONLY)
    # File descriptors, not sys.stdout: libraries in C and processes started from here write to them too.
    # Standard input is the parent's terminal, which is not for this process to read.
    for source, copies in ((target, (1, 2)), (nothing, (0,))):
        for copy in copies:
            os.dup2(source, copy)
        os.close(source)
    for stream in (sys.stdout, sys.stderr):
        # A crash keeps what is written by then: hold back no more than a line.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _forget_pythonia() -> None:
    """Take away what would make code here, or processes started from here, run pythonia again."""
    for name in ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE"):
        os.environ.pop(name, None)
    # multiprocessing's children would import this file, the bridge's own loop, as their main module.
    main = sys.modules["__main__"]
    vars(main).pop("__file__", None)
    # pythonia's folder stands first on the path with modules named Bridge, proxy, interface and ws.
    if sys.path and os.path.exists(os.path.join(sys.path[0], "interface.py")):  # noqa: PTH110, PTH118
        sys.path.pop(0)


def _end_with(parent: int) -> None:
    # A process whose parent died is handed to another. The main thread ends when the parent closes the
    # channel; Python would then wait for the threads that a library left running.
    while os.getppid() == parent and threading.main_thread().is_alive():
        time.sleep(0.2)
    flush()
    os._exit(0)
