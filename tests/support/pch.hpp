// SPDX-License-Identifier: Apache-2.0
// What every test includes, compiled once.
#pragma once
#include "support/catch.hpp"

#if __has_include(<tenon/tenon.hpp>)
#include <tenon/tenon.hpp>
#endif
