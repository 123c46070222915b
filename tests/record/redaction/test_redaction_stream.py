"""Streamed text comes out as the whole would, and searches survive forks and the end of the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from itertools import combinations, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.redaction.engine import Hit
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import HOLD_BYTES, StreamGuard
from tests.record.redaction.secret_corpus import Planted, planted
from tests.record.redaction.secret_mixtures import TEXTS

REDACTOR = Redactor()


def _streamed(text: str, cuts: list[int], redactor: Redactor = REDACTOR) -> str:
    guard = StreamGuard(redactor)
    out, at = [], 0
    while at < len(text):
        size = cuts[len(out) % len(cuts)] if cuts else len(text)
        out.append(guard.feed(text[at : at + size]))
        at += size
    return "".join([*out, guard.flush()])


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 40), max_size=12))
def test_a_stream_comes_out_as_the_whole_would(text: str, cuts: list[int]) -> None:
    """However a text is cut, what the guard lets through is what redaction makes of the whole."""
    assert _streamed(text, cuts) == REDACTOR.text(text)[0]


@pytest.mark.parametrize("within", ["é", "密", "\x1f", "😀"])
def test_what_ends_a_word_does_not_end_a_secret(within: str) -> None:
    """Each secret of the corpus with a letter that is not ASCII, or a control character, near its end, a character at a time."""
    for p in islice(planted(3), 0, None, 3):
        before, secret, after = p.text.partition(p.secret)
        for at in {len(secret) // 2, len(secret) - 1} if secret else ():
            text = before + secret[:at] + within + secret[at:] + after
            assert _streamed(text, [1]) == REDACTOR.text(text)[0]


def test_every_kind_is_found_across_chunks() -> None:
    """Each secret of the corpus, streamed a few characters at a time, comes out as from the whole text."""
    for i, p in enumerate(islice(planted(2), 0, None, 5)):
        assert _streamed(p.text, [1 + i % 7, 3, 11]) == REDACTOR.text(p.text)[0]


def _joined(text: str, cuts: Iterable[int], redactor: Redactor = REDACTOR) -> str:
    """What comes out of a stream that is cut at these places."""
    guard, at, out = StreamGuard(redactor), 0, []
    for cut in (*cuts, len(text)):
        out.append(guard.feed(text[at:cut]))
        at = cut
    return "".join([*out, guard.flush()])


APART_FROM_BASE64 = (
    "EAA" + "G" + "aB3dE6gH9j" * 10,
    "EAA" + "A" + "aB3dE6gH9j" * 6,
    "ci" + "o" + "aB3dE6gH9jaB3dE6gH9jaB3dE6gH9j12",
)
"""Tokens whose rules take the separator in front of them into the match."""


PLANTED: dict[str, list[Planted]] = {}
for each in planted(3):
    PLANTED.setdefault(each.context, []).append(each)
PLANTED["apart"] = [Planted("apart", "apart", f"got {token} and more", token) for token in APART_FROM_BASE64]


def _places(p: Planted) -> list[int]:
    """Where a text may be cut: everywhere but between the like characters within a long secret; of those, one in eleven."""
    start = p.text.find(p.secret)
    alike = range(start + 24, start + len(p.secret) - 12) if start >= 0 else range(0)
    return [cut for cut in range(1, len(p.text)) if cut not in alike or cut % 11 == 0]


@pytest.mark.parametrize("context", PLANTED)
def test_no_cut_gives_anything_away(context: str) -> None:
    """Each secret of the corpus, cut in two at each place, comes out as from the whole text; so it does a character at a time."""
    wrong = []
    for p in PLANTED[context]:
        whole = REDACTOR.text(p.text)[0]
        wrong += [(p.text, cut) for cut in _places(p) if _joined(p.text, [cut]) != whole]
        if _joined(p.text, range(1, len(p.text))) != whole:
            wrong.append((p.text, 0))

    assert wrong == []


def test_no_two_cuts_give_anything_away() -> None:
    """The same for three pieces, for secrets that a separator leads."""
    wrong = []
    for text in [f"got {token}; more" for token in APART_FROM_BASE64] + ["pay 4111 1111 1111 1111.", "run --api-key \\n – x"]:
        whole = REDACTOR.text(text)[0]
        wrong += [(text, cuts) for cuts in combinations(range(1, len(text)), 2) if _joined(text, cuts) != whole]

    assert wrong == []


def test_own_patterns_hold_in_streams() -> None:
    """A user's pattern with blanks in it is found however its line is cut."""
    redactor = Redactor(extra_patterns={"case": r"case no\. [0-9]{4} of [A-Z]\w+"})
    text = "see case no. 1234 of Smith and case no. 99 of nobody\nnext line"

    assert _streamed(text, [3], redactor) == "see [redacted:case] and case no. 99 of nobody\nnext line"


def test_prose_is_not_held_back() -> None:
    """Of ordinary prose only the unfinished word waits."""
    guard = StreamGuard(REDACTOR)

    assert guard.feed("The session of the author has ended, and tok") == "The session of the author has ended, and "
    assert guard.feed("ens are cheap. ") == "tokens are cheap. "


def test_an_emoji_torn_apart_is_joined() -> None:
    """Half a surrogate pair waits for its other half; one that stays alone becomes U+FFFD."""
    guard = StreamGuard(REDACTOR)

    out = guard.feed("ok \ud83d") + guard.feed("\ude00 and \ud83d") + guard.feed(" x ") + guard.flush()

    assert out == "ok \U0001f600 and � x "


def test_what_is_held_is_bounded() -> None:
    """Endless text without a blank flows on; an endless secret is replaced once and its rest dropped."""
    guard = StreamGuard(REDACTOR)
    for _ in range(100):
        guard.feed("z" * 1000)
        assert guard.held <= HOLD_BYTES
    assert guard.flush().endswith("z")

    secret = next(p for p in planted(0) if p.kind == "github classic").secret
    out = guard.feed(f"x {secret}") + "".join(guard.feed("Qq7" * 400) for _ in range(50)) + guard.feed(" end") + guard.flush()

    assert out == "x [redacted:github-token] end"


class BrokenRedactor(Redactor):
    """Raises at texts that hold ``boom``."""

    def next_hit(self, data: bytes, floor: int, position: int) -> Hit | None:
        if b"boom" in data:
            raise ZeroDivisionError
        return super().next_hit(data, floor, position)


def test_a_guard_that_fails_gives_nothing_away() -> None:
    """If the redactor raises, what was held is lost and the stream goes on."""
    guard = StreamGuard(BrokenRedactor())

    out = [guard.feed("so far password: "), guard.feed("boom"), guard.feed(" and on "), guard.flush()]

    assert out == ["so far ", "[redacted: redactor failed]", " and on ", ""]
    assert guard.failed == 1


FORKING = """
import base64, os, threading, time
from otel_agentlog.record.redaction.redactor import Redactor

redactor, other = Redactor(), Redactor()
other.text("password=hunter2")
stop = False

def search():
    while not stop:
        redactor.text(base64.b64encode(os.urandom(3000)).decode())  # ever new text, so that RE2 builds states under its locks

threads = [threading.Thread(target=search, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(25):
    pid = os.fork()
    if pid == 0:
        text = base64.b64encode(os.urandom(3000)).decode() + " password="
        found = [each.text(text + "hunter2")[0] for each in (other, redactor)]
        os._exit(0 if all(each.endswith(" password=[redacted:password]") for each in found) else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.005)
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.write(2, b"a child hung")
        os._exit(1)
    if status:
        os.write(2, b"a child failed")
        os._exit(1)
stop = True
for thread in threads:
    thread.join()
"""


def test_forked_children_can_redact() -> None:
    """A child forked while other threads were searching neither hangs nor misses, with that redactor or one of the same rules."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, text=True, timeout=110)

    assert (done.returncode, done.stderr) == (0, "")


EXITING = """
import threading
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.record.redaction.redactor import Redactor

cleaner = Cleaner(Redactor())
ready = threading.Event()

def record():
    while True:
        cleaner.clean({"message": "the secret of logging is restraint, said the author " * 20})
        ready.set()

for _ in range(4):
    threading.Thread(target=record, daemon=True).start()
ready.wait(60)
"""


def test_a_process_ends_as_it_wants_while_daemon_threads_redact() -> None:
    """Daemon threads that are searching when the interpreter ends do not abort it."""
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", EXITING], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["RAPIDAPI_KEY=sw", "authorization: ", "Client(api_key=byt"])
def test_what_is_held_is_not_searched_with_each_piece(unit: str) -> None:
    """Much that is held is looked at again when a sixteenth has come, or a line has ended; nothing is shown too early."""
    searches = 0

    class Counting(Redactor):
        def next_hit(self, data: bytes, floor: int, position: int) -> Hit | None:
            nonlocal searches
            searches += 1
            return super().next_hit(data, floor, position)

    guard, text = StreamGuard(Counting()), unit * (12_000 // len(unit))
    out = "".join(guard.feed(text[at : at + 10]) for at in range(0, len(text), 10))

    assert guard.held > 11_000
    assert searches < 250
    assert out + guard.feed("\n") + guard.flush() == REDACTOR.text(text + "\n")[0]
