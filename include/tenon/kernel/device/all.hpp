// SPDX-License-Identifier: Apache-2.0
// Everything in kernel/device/ that programs need; not part of tenon.hpp.
#pragma once
#include <tenon/kernel/device/arguments.hpp>
#include <tenon/kernel/device/bodies.hpp>
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/device/fill.hpp>
#include <tenon/kernel/device/functions.hpp>
#include <tenon/kernel/device/group.hpp>
#include <tenon/kernel/device/group_backward.hpp>
#include <tenon/kernel/device/layout.hpp>
#include <tenon/kernel/device/lookup_bodies.hpp>
#include <tenon/kernel/device/product.hpp>
#include <tenon/kernel/device/rows.hpp>
#include <tenon/kernel/device/rows_backward.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/device/team.hpp>
#include <tenon/kernel/device/tensors.hpp>
#include <tenon/kernel/device/update.hpp>
