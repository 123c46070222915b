"""How bytes become gzip: deterministic, in constant memory, and never packed tighter than `streams` dares to unpack.

A file of one byte repeated would become a thousandth of its size, which a reader must take for a bomb. Such stretches are kept
as they are, in a member of their own; any gzip reads members one after the other.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from otel_agentlog.store.streams import CHUNK_BYTES, FREE_GZIP_BYTES, MAX_GZIP_RATIO

LEVEL = 6

# Half of what readers accept, because what is in the compressor's own buffers is not counted yet.
_TIGHTEST = MAX_GZIP_RATIO // 2
_FREE_BYTES = FREE_GZIP_BYTES // 2
_GZIP = 31
"""``wbits`` for gzip with the largest window."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What went in and what came out."""

    plain_bytes: int
    packed_bytes: int
    sha256: str
    """Of the plain bytes, in hex."""


def pack(chunks: Iterable[bytes], write: Callable[[bytes], object]) -> Packed:
    """Compress, giving each piece of the result to `write`. The same bytes always give the same result."""
    taken = given = 0
    digest = hashlib.sha256()
    level, member = LEVEL, zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    for chunk in _of_one_size(chunks):
        taken += len(chunk)
        digest.update(chunk)
        wanted = 0 if taken > max(_FREE_BYTES, given * _TIGHTEST) else LEVEL
        if wanted != level:
            given += _written(member.flush(), write)
            level, member = wanted, zlib.compressobj(wanted, zlib.DEFLATED, _GZIP)
        given += _written(member.compress(chunk), write)
    given += _written(member.flush(), write)
    return Packed(taken, given, digest.hexdigest())


def unpacked_sha256(chunks: Iterable[bytes]) -> str:
    """The hash, in hex, of what gzip holds; checks every checksum on the way.

    Raises:
        ValueError: it is damaged or ends too early.
    """
    digest, inflater = hashlib.sha256(), zlib.decompressobj(wbits=_GZIP)
    try:
        for raw in chunks:
            while raw:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=_GZIP)
                digest.update(inflater.decompress(raw, CHUNK_BYTES))
                raw = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"damaged gzip: {error}") from None
    if not inflater.eof:
        raise ValueError("gzip that ends too early")
    return digest.hexdigest()


def _written(data: bytes, write: Callable[[bytes], object]) -> int:
    if data:
        write(data)
    return len(data)


def _of_one_size(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of `CHUNK_BYTES`, however they come: what comes out depends on where chunks end."""
    pending = bytearray()
    for chunk in chunks:
        if not pending and len(chunk) == CHUNK_BYTES:
            yield chunk
            continue
        pending += chunk
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)
