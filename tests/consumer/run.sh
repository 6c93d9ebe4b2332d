#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh WAY FOLDER COMPILER EIGEN: another project gets tenon by WAY (copied, add_subdirectory, fetch_content,
# find_package or pkg_config), builds a program of some lines, and the program prints what it should.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
way=$1 dir=$2/$1 compiler=$3 eigen=$4
rm -rf "$dir"
mkdir -p "$dir"
cp "$here/main.cpp" "$here/CMakeLists.txt" "$dir"
cd "$dir"
version=$(sed -n 's/^#define TENON_VERSION //p' "$root/include/tenon/core/config.hpp")
dotted=$((version / 10000)).$((version / 100 % 100)).$((version % 100))
export CMAKE_BUILD_TYPE= CXX=$compiler

configure() { cmake -S . -B build -DWAY="$way" "$@" >cmake.log 2>&1 || { cat cmake.log; exit 1; }; }
install_tenon() {
  cmake -S "$root" -B tenon -DCMAKE_INSTALL_PREFIX="$dir/prefix" -DTENON_TESTS=OFF -DTENON_EXAMPLES=OFF \
    -DTENON_BENCHMARKS=OFF -DTENON_CUDA=OFF -DTENON_MPI=OFF >cmake.log 2>&1 || { cat cmake.log; exit 1; }
  cmake --install tenon >/dev/null
}

case $way in
  options)
    configure_tenon() { cmake -S "$root" -B tenon -DTENON_TESTS=OFF -DTENON_EXAMPLES=OFF -DTENON_BENCHMARKS=OFF "$@" 2>&1; }
    says() { tr -s '\n ' '  ' <cmake.log | grep -qF -- "$1" || { echo "CMake does not say: $1"; cat cmake.log; exit 1; }; }
    # Here neither nvcc nor MPI is found.
    hidden=(-DTENON_NVCC=OFF -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON)
    configure_tenon "${hidden[@]}" -DTENON_OPENMP=OFF >cmake.log
    says "tenon: OPENMP off: TENON_OPENMP is OFF"
    says "tenon: CUDA off: nvcc is neither in PATH"
    says "tenon: MPI off: no MPI compiler wrapper (mpicxx) was found"
    if configure_tenon "${hidden[@]}" -DTENON_CUDA=ON >cmake.log; then echo "CUDA=ON passes without nvcc"; exit 1; fi
    says "tenon: TENON_CUDA is ON, but nvcc is neither"
    if configure_tenon "${hidden[@]}" -DTENON_CUDA=AUTO -DTENON_MPI=ON >cmake.log; then echo "MPI=ON passes without MPI"; exit 1; fi
    says "tenon: TENON_MPI is ON, but no MPI"
    if configure_tenon "${hidden[@]}" -DTENON_MPI=PERHAPS >cmake.log; then echo "an unknown choice passes"; exit 1; fi
    says "TENON_MPI is PERHAPS: it must be AUTO, ON or OFF"
    echo "options: as they say"
    exit 0
    ;;
  copied)
    cp -r "$root/include" include
    "$compiler" -std=c++20 -I include -I "$eigen" main.cpp -o consumer
    ;;
  add_subdirectory | fetch_content)
    configure -DTENON_SOURCE="$root"
    cmake --build build >/dev/null
    mv build/consumer consumer
    ;;
  find_package)
    install_tenon
    configure -DCMAKE_PREFIX_PATH="$dir/prefix" -DTENON_WANTED="${dotted%.*}"
    cmake --build build >/dev/null
    mv build/consumer consumer
    # A later version than the one installed must not be found.
    if cmake -S . -B later -DWAY=find_package -DCMAKE_PREFIX_PATH="$dir/prefix" -DTENON_WANTED=99.0 >later.log 2>&1; then
      echo "find_package(tenon 99.0) succeeds"; exit 1
    fi
    grep -q "$dotted" later.log || { cat later.log; exit 1; }
    ;;
  pkg_config)
    command -v pkg-config >/dev/null || { echo "skipped: pkg-config is not installed"; exit 77; }
    install_tenon
    export PKG_CONFIG_PATH=$dir/prefix/share/pkgconfig
    [ "$(pkg-config --modversion tenon)" = "$dotted" ]
    # shellcheck disable=SC2046 # a list of flags
    "$compiler" -std=c++20 $(pkg-config --cflags tenon) main.cpp -o consumer
    ;;
esac
wanted="loss 522, dw 132, code 1, version $version"
printed=$(./consumer)
[ "$printed" = "$wanted" ] || { printf 'printed: %s\nwanted:  %s\n' "$printed" "$wanted"; exit 1; }
echo "$way: $printed"
