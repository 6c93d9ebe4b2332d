// SPDX-License-Identifier: Apache-2.0
// Everything in op/.
#pragma once
#include <tenon/op/activation.hpp>
#include <tenon/op/arithmetic.hpp>
#include <tenon/op/choice.hpp>
#include <tenon/op/compare.hpp>
#include <tenon/op/exponential.hpp>
#include <tenon/op/list.hpp>
#include <tenon/op/op.hpp>
#include <tenon/op/reduction.hpp>
#include <tenon/op/rounding.hpp>
#include <tenon/op/trigonometric.hpp>
