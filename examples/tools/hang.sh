#!/bin/sh
# Starts something in the background, too: it ends with the script.
sleep 600 &
exec sleep 600
