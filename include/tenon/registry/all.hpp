// SPDX-License-Identifier: Apache-2.0
// Everything in registry/.
#pragma once
#include <tenon/registry/arguments.hpp>
#include <tenon/registry/attributes.hpp>
#include <tenon/registry/call.hpp>
#include <tenon/registry/composed.hpp>
#include <tenon/registry/contract.hpp>
#include <tenon/registry/device.hpp>
#include <tenon/registry/elementwise.hpp>
#include <tenon/registry/gather.hpp>
#include <tenon/registry/index.hpp>
#include <tenon/registry/kernels.hpp>
#include <tenon/registry/loss.hpp>
#include <tenon/registry/norm.hpp>
#include <tenon/registry/optimize.hpp>
#include <tenon/registry/order.hpp>
#include <tenon/registry/reduce.hpp>
#include <tenon/registry/shape.hpp>
#include <tenon/registry/table.hpp>
#include <tenon/registry/value.hpp>
#include <tenon/registry/window.hpp>
