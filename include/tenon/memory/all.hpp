// SPDX-License-Identifier: Apache-2.0
// Everything in memory/.
#pragma once
#include <tenon/memory/allocator.hpp>
#include <tenon/memory/device.hpp>
#include <tenon/memory/device_division.hpp>
#include <tenon/memory/device_kernels.hpp>
#include <tenon/memory/device_pool.hpp>
#include <tenon/memory/device_table.hpp>
