#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh NVCC HOST_COMPILER SOURCE PROGRAM FLAG...: nvcc compiles SOURCE as CUDA, its own warnings and the host's being
# errors, and the program ends with 0, on a machine with or without a device.
set -euo pipefail
nvcc=$1 host=$2 source=$3 program=$4
shift 4
"$nvcc" -x cu -O1 -ccbin "$host" "$@" --expt-relaxed-constexpr -Xcudafe --promote_warnings \
  -Xcompiler -Wall,-Wextra,-Werror -o "$program" "$source"
"$program"
