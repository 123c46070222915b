#!/bin/sh
# Counts its own runs in a file, to fail in the first two of them.
echo run >>"$INPUT_STATE"
if [ "$(wc -l <"$INPUT_STATE")" -lt 3 ]; then
    echo "the service is not ready yet" >&2
    exit 75
fi
echo "ready"
