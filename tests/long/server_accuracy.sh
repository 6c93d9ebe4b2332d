#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# server_accuracy.sh BUILD: 2 workers and a server on Fashion-MNIST, 5 epochs: test accuracy >= 0.84 synchronous, >= 0.83
# asynchronous.
set -u
export OMP_WAIT_POLICY=passive
program=$1/examples/05_parameter_server
[ -x "$program" ] || { echo "skipped: $program was not built"; exit 77; }
[ -d /usr/share/datasets/fashion-mnist ] || { echo "skipped: Fashion-MNIST is not installed"; exit 77; }
file=$(mktemp)
trap 'rm -f "$file"' EXIT
code=0
for mode in sync:0.84 async:0.83; do
  line=$("$program" --loopback 3 --threads 1 --mode "${mode%:*}" --checkpoint "$file" | tail -n 1)
  echo "$mode: $line"
  awk -v line="$line" -v least="${mode#*:}" 'BEGIN {split(line, word, " "); exit !(word[3] >= least)}' || code=1
done
exit $code
