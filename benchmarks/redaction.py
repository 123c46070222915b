"""What the cleaning pass costs and finds: ``python -m benchmarks.redaction`` from the checkout's root.

    python -m benchmarks.redaction --lists gitleaks trufflehog detect-secrets    # recall over public rule lists: their checkouts
    python -m benchmarks.redaction --corpora ~/src/flask/docs /usr/share/doc     # hits in texts that hold no secrets
    git log -p | python -m benchmarks.redaction --corpora -

``git clone --depth 1 https://github.com/gitleaks/gitleaks`` brings the first list.

Prints one figure a line with its target. Times are CPU time of the calling thread, since other work on the machine would else
drown them; start-up is CPU time of the process. The calibration line says how fast the machine was meanwhile: a list of 1,000
items built in a comprehension, about 15 µs on a laptop of 2024.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import statistics
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.secret_lists import PublicKind, public_kinds, reason_to_leave_out
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.record.sanitize.cleaner import Cleaner
from tests.record.hostile_values import HOSTILE
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import AROUND_A_NAME, AROUND_A_SNIPPET, KIND_COUNT, leaks, planted

LINE = {
    "timestamp": "2026-11-21T05:22:01.123456789Z",
    "type": "step",
    "level": "INFO",
    "phase": "start",
    "component": "execution_engine",
    "action": "step_execution_started",
    "message": "plan",
    "name": "plan",
    "state_before": "pending",
    "state_after": "running",
}

PROSE = """The diff touches three files. In `reader.py` the loop now splits on bytes, which is right, but the error path returns
early and the file stays open; I would move the close into a finally block. The tests cover the happy path only. I ran them with
pytest -q and all {n} passed in {n} ms. Next I will look at the callers in src/app/main.py:{n} and see https://example.com/pull/{n}.
"""


def show(what: str, value: float, unit: str, target: str = "") -> None:
    """Print one figure."""
    print(f"{what:<58}{value:>12,.3f} {unit:<10}{target}")


def times_s(run: Callable[[], Any], count: int) -> list[float]:
    """CPU seconds of each of ``count`` runs."""
    taken = []
    for _ in range(count):
        started = time.thread_time()
        run()
        taken.append(time.thread_time() - started)
    return sorted(taken)


def p99(taken: list[float]) -> float:
    """The 99th percentile of sorted figures."""
    return taken[min(len(taken) - 1, len(taken) * 99 // 100)]


def agent_prose(size: int, rnd: random.Random) -> str:
    """Prose as agents write it, never twice the same."""
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        parts.append(PROSE.replace("{n}", str(rnd.randrange(10_000))))
    return "".join(parts)[:size]


def agent_json(size: int, rnd: random.Random) -> str:
    """Messages and usage as providers send them."""
    items: list[dict[str, Any]] = []
    while len(json.dumps(items)) < size:
        usage = {"input_tokens": rnd.randrange(10**5), "output_tokens": rnd.randrange(10**4), "cache_read_input_tokens": 0}
        items.append({"id": f"msg_{rnd.getrandbits(60):x}", "role": "assistant", "content": PROSE[:120], "usage": usage})
    return json.dumps(items)[:size]


def start_up() -> None:
    """Import and first use, each in a fresh process."""
    script = (
        "import time; t=time.process_time(); import re2; a=time.process_time()-t; t=time.process_time();"
        "from otel_agentlog.record.redaction.redactor import Redactor; r=Redactor(); b=time.process_time()-t;"
        "t=time.process_time();"
        "r.text('hello'); c=time.process_time()-t; t=time.process_time(); r.text('password=x1y2z3'); d=time.process_time()-t;"
        "t=time.process_time(); r.warm(); print(a, b, c, d, time.process_time()-t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    names = (
        *("import re2", "import otel_agentlog, re2 apart", "first search: compiles the rules"),
        *("first secret: compiles the chooser", "Redactor.warm(), for a background thread"),
    )
    for name, values in zip(names, zip(*runs, strict=True), strict=True):
        show(name, min(map(float, values)) * 1e3, "ms", "<= 100" if name.startswith("first") else "")


def small_lines(cleaner: Cleaner) -> None:
    """One line of ten short fields."""
    taken = times_s(lambda: cleaner.clean_line(LINE), 20_000)
    plain = times_s(lambda: orjson.dumps(LINE), 20_000)
    show("clean_line, 10 short fields, p50", statistics.median(taken) * 1e6, "us", "<= 15")
    show("clean_line, 10 short fields, p99", p99(taken) * 1e6, "us")
    show("clean_line against orjson.dumps of the same line", statistics.median(taken) / statistics.median(plain), "x")


def texts(redactor: Redactor) -> None:
    """10 KB of each sort: the first of its kind, then many others."""
    rnd = random.Random(1)
    sorts: dict[str, Callable[[], str]] = {
        "prose": lambda: agent_prose(10_000, rnd),
        "JSON": lambda: agent_json(10_000, rnd),
        "base64": lambda: base64.b64encode(rnd.randbytes(7_500)).decode(),
        "near misses": lambda: near_misses(rnd.getrandbits(30), 10_000)[:10_000],
    }
    for name, make in sorts.items():
        samples = [make() for _ in range(300)]
        taken = [times_s(lambda s=sample: redactor.text(s), 1)[0] for sample in samples]  # type: ignore[misc]  # bound at once
        show(f"10 KB of {name}, the first", taken[0] * 1e3, "ms")
        warm = sorted(taken[100:])
        show(f"10 KB of {name}, p50 after 1 MB", statistics.median(warm) * 1e3, "ms")
        show(f"10 KB of {name}, p99 after 1 MB", p99(warm) * 1e3, "ms", "<= 1")


def new_texts() -> None:
    """Text with words that were not there before: 4 MB of the standard library's source, in pieces of 800 bytes, once."""
    redactor, taken, size = Redactor(), 0.0, 0
    redactor.text("hello")
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        source = path.read_text("utf-8", "replace")
        pieces = [source[at : at + 800] for at in range(0, len(source), 800)]
        taken += sum(times_s(lambda piece=piece: redactor.text(piece), 1)[0] for piece in pieces)  # type: ignore[misc]  # bound at once
        size += len(source)
        if size > 4_000_000:
            break
    show("a byte of 4 MB of source code, seen for the first time", taken / size * 1e9, "ns")


def large(cleaner: Cleaner) -> None:
    """20 MB in one string."""
    rnd = random.Random(2)
    prose = (agent_prose(1_000_000, rnd) * 20)[:20_000_000]
    for name, text in {
        "prose": prose,
        "base64": base64.b64encode(rnd.randbytes(15_000_000)).decode(),
        "prose with one secret": prose[:10_000_000] + " password=hunter2 " + prose[10_000_000:],
        "prose with umlauts": prose.replace("file", "Datei für"),
    }.items():
        show(f"20 MB of {name}, best of 5", times_s(lambda t=text: cleaner.text(t), 5)[0] * 1e3, "ms", "<= 50")  # type: ignore[misc]


def pathological(cleaner: Cleaner) -> None:
    """100 KB built to be searched again and again."""
    for name, text in {
        "names of no secrets": "password_policy=strict " * 4_500,
        "one endless name": "password" * 12_500 + "_policy=x1",
        "quotes": '"password":"' * 8_300,
        "URLs": "http://a:8080/" * 7_000,
        "digits": "4111 1111 1111 1112 " * 5_000,
        "dashes": "-----BEGIN RSA PRIVATE KEY-----" * 3_200,
    }.items():
        show(f"100 KB of {name}", times_s(lambda t=text: cleaner.text(t), 3)[0] * 1e3, "ms", "<= 10")  # type: ignore[misc]


def objects(cleaner: Cleaner) -> None:
    """The hostile corpus."""
    slow = []
    for name, make in HOSTILE.items():
        value = make()
        best = times_s(lambda v=value: cleaner.clean(v), 3)[0] * 1e3  # type: ignore[misc]  # bound at once
        if best > 1:
            slow.append((best, name))
    show("hostile objects", len(HOSTILE), "kinds")
    for best, name in sorted(slow, reverse=True)[:8]:
        show(f"  {name}, best of 3", best, "ms", "<= 50" if "MB" in name else "<= 5")


def found(redactor: Redactor) -> None:
    """Recall and false hits."""
    corpus = [p for seed in range(10, 14) for p in planted(seed)]
    missed = [p for p in corpus if leaks(redactor.text(p.text)[0], p.secret)]
    show(f"recall over {KIND_COUNT} kinds, {len(corpus)} texts", 100 - 100 * len(missed) / len(corpus), "%", ">= 99")
    prose = near_misses(99, 500_000).encode()
    show("false hits per 100 KB of near misses", len(list(redactor.hits(prose))) / len(prose) * 1e5, "", "<= 1")


def streams(redactor: Redactor) -> None:
    """Prose in chunks of about a token."""
    words = agent_prose(20_000, random.Random(3)).split(" ")
    guard = StreamGuard(redactor)
    taken = sorted(times_s(lambda w=word: guard.feed(f"{w} "), 1)[0] for word in words)  # type: ignore[misc]  # bound at once
    show("stream guard, one word, p50", statistics.median(taken) * 1e6, "us")


def lists(redactor: Redactor, checkouts: list[Path]) -> None:
    """Recall over the kinds of public lists: bare where they have a shape of their own, else by their names."""
    cleaner = Cleaner(redactor)
    for checkout in checkouts:
        everything = list(public_kinds(checkout))
        left_out = {kind.name: reason for kind in everything if (reason := reason_to_leave_out(kind.name))}
        kinds = [kind for kind in everything if kind.name not in left_out]
        bare = [kind for kind in kinds if not kind.words and kind.fixed >= FEWEST_FIXED_CHARS]
        hidden = [kind.name for kind in kinds if not kind.words and kind.fixed < FEWEST_FIXED_CHARS]
        recall(f"{checkout.name}, bare", bare, lambda kind: bare_misses(redactor, kind))
        recall(f"{checkout.name}, by name", [kind for kind in kinds if kind.words], lambda kind: named_misses(cleaner, kind))
        print(f"left out of bare, as any hash, id or word (less than {FEWEST_FIXED_CHARS} fixed characters): {', '.join(hidden)}")
        for reason in sorted(set(left_out.values())):
            print(f"left out, {reason}: {', '.join(name for name in left_out if left_out[name] == reason)}")


FEWEST_FIXED_CHARS = 3
SUFFIXES = ("api_key", "token", "key", "secret", "access_token", "secret_key")


def recall(name: str, kinds: list[PublicKind], misses: Callable[[PublicKind], list[bool]]) -> None:
    """Print how many texts lost their secret, and which kinds are missed most."""
    missed = {kind.name: misses(kind) for kind in kinds}
    total = sum(map(len, missed.values()))
    if not total:
        return
    show(f"recall, {name}: {len(kinds)} kinds", 100 - 100 * sum(map(sum, missed.values())) / total, "%", ">= 95")
    worst = sorted(missed, key=lambda kind: -sum(missed[kind]))[:8]
    print(
        "  missed most:", ", ".join(f"{kind} ({sum(missed[kind])} of {len(missed[kind])})" for kind in worst if sum(missed[kind]))
    )


def bare_misses(redactor: Redactor, kind: PublicKind) -> list[bool]:
    """Whether the secret can be read, for each context that a snippet may stand in."""
    out, rnd = [], random.Random(kind.name)
    for around in AROUND_A_SNIPPET.values():
        text, secret = kind.make(rnd)
        rest = text.replace(secret, "", 1).replace("\\n", "").replace("\\r", "")
        snippet = text.strip() if sum(char.isalnum() for char in rest) >= FEWEST_FIXED_CHARS else secret
        out.append(leaks(redactor.text(around(snippet))[0], secret))
    return out


def named_misses(cleaner: Cleaner, kind: PublicKind) -> list[bool]:
    """The same under names made of the rule's words, in text and in objects."""
    out, rnd = [], random.Random(kind.name)
    for name in names_of(kind):
        for around in rnd.sample(list(AROUND_A_NAME.values()), 3):
            secret = kind.make(rnd)[1]
            out.append(leaks(cleaner.text(around(name, secret))[0], secret))
        secret = kind.make(rnd)[1]
        out.append(leaks(json.dumps(cleaner.clean({"all": [{name: secret}]}).value), secret))
    return out


def names_of(kind: PublicKind) -> Iterator[str]:
    """``adafruit_api_key`` in snake, upper, kebab and camel case, with each of the usual endings."""
    words = [word for word in kind.words if len(word) > 3 and word.replace("-", "").replace("_", "").replace(".", "").isalnum()]
    names = [f"{words[i % len(words)]}_{suffix}" for i, suffix in enumerate(SUFFIXES)] if words else []
    for parts in ([part for part in name.replace("-", "_").replace(".", "_").split("_") if part] for name in names):
        yield from ("_".join(parts), "_".join(parts).upper(), "-".join(parts))
        yield parts[0] + "".join(part.capitalize() for part in parts[1:])


def corpora(redactor: Redactor, places: list[str]) -> None:
    """Hits in text that should have none."""
    for place in places:
        hits: Counter[str] = Counter()
        size = 0
        for data in texts_in(place):
            size += len(data)
            hits.update(hit.name for hit in redactor.hits(data))
        show(f"hits per 100 KB, {place}", 1e5 * hits.total() / max(size, 1), f"{size / 1e6:.1f} MB", "<= 1")
        print(" ", dict(hits.most_common(5)))


def texts_in(place: str) -> Iterator[bytes]:
    """The text files of a folder, one file, or standard input (``-``) in pieces of 1 MB."""
    if place == "-":
        yield from iter(lambda: sys.stdin.buffer.read(1 << 20), b"")
        return
    for path in [Path(place), *sorted(Path(place).rglob("*"))]:
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            yield data


def main() -> None:
    """Print all figures, or those that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lists", type=Path, nargs="+", default=[])
    parser.add_argument("--corpora", nargs="+", default=[])
    options = parser.parse_args()
    redactor = Redactor()
    if options.lists or options.corpora:
        lists(redactor, options.lists)
        corpora(redactor, options.corpora)
        return
    redactor.warm()
    cleaner = Cleaner(redactor)
    show("calibration: list of 1,000 in a comprehension", times_s(lambda: [None for _ in range(1000)], 2000)[0] * 1e6, "us")
    start_up()
    small_lines(cleaner)
    texts(redactor)
    new_texts()
    streams(redactor)
    large(cleaner)
    pathological(cleaner)
    objects(cleaner)
    found(redactor)


if __name__ == "__main__":
    main()
