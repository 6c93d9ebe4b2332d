#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exchange.sh NVCC CXX WORKDIR FLAG...: builds exchange/host.cpp with CXX and exchange/device.cu with NVCC, links them in
# both orders, and runs both programs: with a device on it, without one on the processor. FLAGs are those of CXX and
# must hold for both: instruction sets (-m...) that differ would make two libraries of one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nvcc=$1 cxx=$2 work=$3
shift 3
mkdir -p "$work"
plain=(-std=c++20 -O1) for_nvcc=()
while [ $# -gt 0 ]; do
  case $1 in
    -I | -isystem | -D) plain+=("$1" "$2"); shift ;;
    -I* | -D* | -std=*) plain+=("$1") ;;
    *) for_nvcc+=(-Xcompiler "$1") ;;
  esac
  shift
done
host=()
for ((i = 1; i < ${#for_nvcc[@]}; i += 2)); do host+=("${for_nvcc[i]}"); done
arch=${TENON_CUDA_ARCH:-}
cu=("$nvcc" -ccbin "$cxx" --expt-relaxed-constexpr -Xcudafe --promote_warnings ${arch:+-arch=$arch} "${plain[@]}"
    ${for_nvcc[@]+"${for_nvcc[@]}"} "-I$here/../../include")
"$cxx" "${plain[@]}" ${host[@]+"${host[@]}"} "-I$here/../../include" -c "$here/exchange/host.cpp" -o "$work/host.o"
"${cu[@]}" -c "$here/exchange/device.cu" -o "$work/device.o"
"${cu[@]}" -c "$here/../../include/tenon/kernel/cuda/library.cu" -o "$work/library.o"
for order in "host device library" "library device host"; do
  objects=()
  for name in $order; do objects+=("$work/$name.o"); done
  "$nvcc" -ccbin "$cxx" ${arch:+-arch=$arch} -o "$work/exchange" "${objects[@]}" -lcublas
  echo "linked in the order $order"
  "$work/exchange"
done
