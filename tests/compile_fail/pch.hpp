// SPDX-License-Identifier: Apache-2.0
// What every case includes, compiled once for each compiler.
#if __has_include(<tenon/tenon.hpp>)
#include <tenon/tenon.hpp>
#else
#include <tenon/core/error.hpp>
#endif
