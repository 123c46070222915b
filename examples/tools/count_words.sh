#!/bin/sh
# Inputs come as INPUT_<NAME>; one JSON value goes to stdout.
printf '{"words":%d}\n' "$(printf '%s' "$INPUT_TEXT" | wc -w)"
