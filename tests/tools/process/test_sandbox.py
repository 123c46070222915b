"""Rights that a script does not have are refused by the kernel; where it cannot, the script does not run."""

from __future__ import annotations

import os
import socket

import pytest

from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.tools import ToolResult
from otel_agentlog.tools.process.sandbox import _gaps
from tests.tools.workshop import Workshop

CODE = """
import os, socket, sys
def tried(what, *arguments):
    try:
        what(*arguments)
        print("yes")
    except PermissionError:
        print("no")
tried(open, sys.argv[1])
tried(open, sys.argv[2], "w")
tried(open, "own-file", "w")
tried(socket.create_connection, ("127.0.0.1", int(sys.argv[3])))
tried(os.kill, os.getppid(), 0)
"""


def enter(workshop: Workshop, port: int, **sandbox: object) -> None:
    """A script that tries to read, write, connect and signal."""
    outside = workshop.folder.parent / "outside"
    outside.write_text("x")
    (workshop.folder / "tries.py").write_text(CODE)
    program = ["{python}", "-I", "-S", "{here}/tries.py", str(outside), str(outside) + "-new", str(port)]
    workshop.entries["tries"] = {"argv": program, "sandbox": sandbox}


@pytest.mark.parametrize(
    ("sandbox", "expected"),
    [
        ({}, "yes yes yes yes yes"),
        ({"write": []}, "yes no yes yes no"),
        ({"read": []}, "no yes yes yes no"),
        ({"network": False}, "yes yes yes no no"),
        ({"read": [], "write": [], "network": False}, "no no yes no no"),
        ({"read": ["{outside}"], "write": ["{outside}"]}, "yes yes yes yes no"),
    ],
)
def test_what_is_not_allowed_is_refused(workshop: Workshop, sandbox: dict[str, object], expected: str) -> None:
    """Reading, writing and connecting elsewhere; its own folder stays its own."""
    place = str(workshop.folder.parent)
    given = {key: [place] if value == ["{outside}"] else value for key, value in sandbox.items()}
    with socket.create_server(("127.0.0.1", 0)) as server:
        enter(workshop, server.getsockname()[1], **given)

        result = workshop.service().execute("tries")

    if result.error_details is not None:
        # A kernel without Landlock, or an older one: refused as a whole.
        assert result.error_details.category is ErrorCategory.DEPENDENCY
        assert result.error_details.context["cause"] == "no_sandbox"
        return
    said = result.output.split()
    # Signals are confined from Linux 6.12 on.
    assert said[:4] == expected.split()[:4], result.stderr
    assert result.sandboxed is bool(sandbox)


def test_new_privileges_are_never_gained(workshop: Workshop) -> None:
    """A script cannot gain rights by set-user-id programs."""
    workshop.script("status", "#!/bin/sh\ngrep NoNewPrivs /proc/self/status\n")

    assert workshop.service().execute("status").output.split() == ["NoNewPrivs:", "1"]


ACTS = r"""
import ctypes, errno, os, socket, sys
outside, agent, port, abstract = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    sized = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if libc.syscall(ctypes.c_long(number), *sized) < 0:
        raise OSError(ctypes.get_errno(), "call")
def reach(family, kind, protocol=0, address=None):
    with socket.socket(family, kind, protocol) as link:
        if address is not None:
            link.connect(address)
def pair_reaches(kind):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    one.sendto(b"x", b"\0" + abstract.encode() + b"-datagrams")
def read(path):
    with open(path, "rb") as file:
        file.read(1)
def own():
    open("own", "w").close(); os.mkdir("folder"); os.rename("own", "folder/own"); os.unlink("folder/own")
    one, other = socket.socketpair(); one.send(b"x"); assert other.recv(1) == b"x"
    import subprocess; assert subprocess.run(["/bin/echo"], stdout=-1).stdout == b"\n"
def fd(act):
    with open(outside) as file:
        act(file.fileno())
def inherited():
    found = os.listdir("/proc/self/fd")
    assert set(found) <= set("0123"), found
here = ("127.0.0.1", port)
def remote(pid):
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    return (pid, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0)
flags = (ctypes.c_int * 1)(0)
acts = {
    "tcp": lambda: reach(socket.AF_INET, 1, 0, here), "mptcp": lambda: reach(socket.AF_INET, 1, 262, here),
    "udp": lambda: reach(socket.AF_INET, 2, 0, here), "udp6": lambda: reach(socket.AF_INET6, 2),
    "sctp": lambda: reach(socket.AF_INET, 1, 132, here), "raw": lambda: reach(socket.AF_INET, 3, 1),
    "packet": lambda: reach(17, 3), "netlink": lambda: reach(16, 3), "vsock": lambda: reach(40, 1),
    "bluetooth": lambda: reach(31, 3), "alg": lambda: reach(38, 5), "xdp": lambda: reach(44, 3),
    "unix": lambda: reach(1, 1, 0, outside + ".socket"), "abstract": lambda: reach(1, 1, 0, b"\0" + abstract.encode()),
    "pair-datagrams": lambda: pair_reaches(2), "pair-raw": lambda: pair_reaches(3),
    "io_uring": lambda: call(425, 4, ctypes.create_string_buffer(256)),
    "chmod": lambda: os.chmod(outside, 0o777), "fchmod": lambda: fd(lambda n: os.fchmod(n, 0o777)),
    "fchmodat2": lambda: call(452, -100, outside.encode(), 0o777, 0),
    "chown": lambda: os.chown(outside, os.getuid(), -1), "lchown": lambda: os.lchown(outside, os.getuid(), -1),
    "fchown": lambda: fd(lambda n: os.fchown(n, os.getuid(), -1)),
    "utime": lambda: os.utime(outside, (1, 1)), "futime": lambda: fd(lambda n: os.utime(n, (1, 1))),
    "setxattr": lambda: os.setxattr(outside, "user.x", b"1"), "removexattr": lambda: os.removexattr(outside, "user.here"),
    "chattr": lambda: fd(lambda n: __import__("fcntl").ioctl(n, 0x40086602, flags)),
    "chmod-own": lambda: (open("mine", "w").close(), os.chmod("mine", 0o600)),
    "link-in": lambda: os.link(outside, "link"),
    "link-out": lambda: (open("mine", "w").close(), os.link("mine", outside + "-link")),
    "rename": lambda: os.rename(outside, "taken"), "truncate": lambda: os.truncate(outside, 0),
    "symlink-out": lambda: os.symlink("x", outside + "-symlink"), "mkfifo": lambda: os.mkfifo(outside + "-fifo"),
    "unlink": lambda: os.unlink(outside + ".other"), "mkdir": lambda: os.mkdir(outside + "-folder"),
    "read": lambda: read(outside), "list": lambda: os.listdir(os.path.dirname(outside)), "stat": lambda: os.stat(outside),
    "environ": lambda: read(f"/proc/{agent}/environ"), "memory": lambda: read(f"/proc/{agent}/maps"),
    "descriptors": lambda: os.listdir(f"/proc/{agent}/fd"),
    "cmdline": lambda: read(f"/proc/{agent}/cmdline"), "vm_read": lambda: call(310, *remote(agent)),
    "ptrace": lambda: call(101, 16, agent, 0, 0), "signal": lambda: os.kill(agent, 0),
    "limits": lambda: __import__("resource").prlimit(agent, 7, __import__("resource").prlimit(agent, 7)),
    "shm": lambda: call(29, 0x1234, 4096, 0o1600), "keys": lambda: call(250, 0, -3, 0),
    "mount": lambda: call(165, b"none", b"/mnt", b"tmpfs", 0, 0),
    "inherited": inherited,
    "own": own,
}
for name in sys.argv[5].split():
    try:
        acts[name]()
        print(name, "done")
    except OSError as error:
        print(name, "refused" if error.errno in (1, 13, 18, 30) else errno.errorcode.get(error.errno))
    except AssertionError as error:
        print(name, "failed", error)
"""
NETWORK = "tcp mptcp udp udp6 sctp raw packet netlink vsock bluetooth alg xdp unix abstract pair-datagrams pair-raw io_uring"
ATTRIBUTES = "chmod fchmod fchmodat2 chown lchown fchown utime futime setxattr removexattr chattr chmod-own"
WRITES = "link-in link-out rename truncate symlink-out mkfifo unlink mkdir mount"
READS = "read list environ memory vm_read ptrace"
OTHERS = "signal limits shm keys io_uring"


def act(workshop: Workshop, acts: str, **sandbox: object) -> tuple[dict[str, str], ToolResult]:
    """What came of each act in a sandboxed script, and the result."""
    outside = workshop.folder.parent / "outside"
    outside.write_text("secret")
    outside.with_suffix(".other").write_text("x")
    outside.chmod(0o640)
    (workshop.folder / "acts.py").write_text(ACTS)
    name = f"agentlog-{workshop.mark}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        for link, address in ((unix, f"{outside}.socket"), (abstract, f"\0{name}")):
            link.bind(address)
            link.listen()
        datagrams.bind(f"\0{name}-datagrams")
        program = ["{python}", "-I", "-S", "{here}/acts.py", str(outside), str(os.getpid())]
        program += [str(server.getsockname()[1]), name, acts]
        workshop.entries["acts"] = {"argv": program, "sandbox": sandbox}
        result = workshop.service().execute("acts")
    if result.error_details is not None and result.error_details.context.get("cause") == "no_sandbox":
        pytest.skip("this system has no sandbox")
    assert result.exit_code == 0, result.stderr
    return dict(line.split(" ", 1) for line in result.output.splitlines()), result


def open_ones(said: dict[str, str], acts: str) -> list[str]:
    """Those of some acts that were done; what the kernel has no means for (``EPROTONOSUPPORT``) was not."""
    assert set(said) >= set(acts.split())
    return [name for name in acts.split() if said[name] == "done" or said[name].startswith("failed")]


@pytest.mark.parametrize("more", [{}, {"read": []}, {"write": []}, {"read": [], "write": []}])
def test_without_network_nothing_is_reached(workshop: Workshop, more: dict[str, object]) -> None:
    """No protocol, no family of sockets, no pair that sends elsewhere, no io_uring; streams within the script remain."""
    said, result = act(workshop, f"{NETWORK} own inherited", network=False, **more)

    assert open_ones(said, NETWORK) == []
    assert {said[name] for name in NETWORK.split()} == {"refused"}
    assert (said["own"], said["inherited"], result.sandboxed) == ("done", "done", True)


def test_outside_of_write_nothing_changes(workshop: Workshop) -> None:
    """No content, no name, no link, no mode, owner, time or attribute; the mode of its own files neither."""
    said, result = act(workshop, f"{WRITES} {ATTRIBUTES} own", write=[])

    assert open_ones(said, f"{WRITES} {ATTRIBUTES}") == []
    assert (said["own"], result.sandboxed) == ("done", True)
    assert (workshop.folder.parent / "outside").stat().st_mode & 0o777 == 0o640
    assert not any("attributes" in gap for gap in result.not_enforced)


def test_attributes_that_are_allowed_are_told(workshop: Workshop) -> None:
    """With ``attributes`` a script may change modes, outside too, and the result says so."""
    said, result = act(workshop, "chmod chmod-own utime", write=[], attributes=True)

    assert open_ones(said, "chmod chmod-own utime") == ["chmod", "chmod-own", "utime"]
    assert any("mode, owner, times" in gap for gap in result.not_enforced)


def test_outside_of_read_nothing_is_read(workshop: Workshop) -> None:
    """No file, no list, nothing of the agent's memory, environment and descriptors; what is left open is told."""
    said, result = act(workshop, f"{READS} stat cmdline descriptors own", read=[])

    assert open_ones(said, READS) == []
    assert open_ones(said, "stat cmdline") == ["stat", "cmdline"]
    assert [gap for gap in result.not_enforced if gap.startswith("read: which files")]
    assert [gap for gap in result.not_enforced if gap.startswith("read: names, arguments")]


@pytest.mark.parametrize("sandbox", [{"read": []}, {"write": []}, {"network": False}])
def test_any_sandbox_keeps_off_other_processes(workshop: Workshop, sandbox: dict[str, object]) -> None:
    """No signal, no limits, no shared memory, no keys, no memory of others."""
    said, result = act(workshop, f"{OTHERS} environ memory vm_read ptrace", **sandbox)

    told = {"signal"} if any(gap.startswith("signals") for gap in result.not_enforced) else set()
    assert set(open_ones(said, f"{OTHERS} environ memory vm_read ptrace")) <= told


@pytest.mark.parametrize("sandbox", [{}, {"network": True}, {"best_effort": True}, {"network": True, "best_effort": False}])
def test_what_forbids_nothing_is_no_sandbox(workshop: Workshop, sandbox: dict[str, object]) -> None:
    """``sandboxed`` is only true where something is enforced."""
    said, result = act(workshop, "tcp chmod", **sandbox)

    assert open_ones(said, "tcp chmod") == ["tcp", "chmod"]
    assert (result.sandboxed, result.not_enforced) == (False, ())


def test_what_the_kernel_lacks_is_told() -> None:
    """Each version of Landlock has its gaps, and fewer than the one before."""
    rights = {"read": [], "write": [], "network": False}
    counts = [len(_gaps(rights, version)) for version in range(1, 8)]

    assert counts == sorted(counts, reverse=True)
    assert any("truncation" in gap for gap in _gaps(rights, 2))
    assert not any("truncation" in gap for gap in _gaps(rights, 3))


def test_a_script_that_stops_its_supervisor_ends_in_time(workshop: Workshop) -> None:
    """Once or again and again: the time limit holds."""
    for number, again in enumerate((False, True)):
        loop = "while True: os.kill(parent, signal.SIGSTOP)" if again else "os.kill(parent, signal.SIGSTOP); time.sleep(60)"
        code = f"import os, signal, time\nparent = os.getppid()\n{loop}\n"
        workshop.python(f"stops-{number}", code, timeout_s=2, grace_s=0.5)

        result = workshop.service().execute(f"stops-{number}")

        assert (result.outcome, result.duration_s < 12) == ("timed_out", True), result
