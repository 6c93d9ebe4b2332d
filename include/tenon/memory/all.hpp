// SPDX-License-Identifier: Apache-2.0
// Everything in memory/.
#pragma once
#include <tenon/memory/allocator.hpp>
#include <tenon/memory/device.hpp>
