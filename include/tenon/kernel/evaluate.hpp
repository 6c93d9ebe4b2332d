// SPDX-License-Identifier: Apache-2.0
// The one door with all that stands behind it: fused kernels, and groups operation by operation.
#pragma once
#include <tenon/kernel/any.hpp>
#include <tenon/kernel/door.hpp>
#include <tenon/kernel/interpret.hpp>
