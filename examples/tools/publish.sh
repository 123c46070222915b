#!/bin/sh
# Inputs come as JSON on stdin.
printf 'publishing with '
cat
echo
