// SPDX-License-Identifier: Apache-2.0
// Everything in function/.
#pragma once
#include <tenon/function/lookup.hpp>
#include <tenon/function/rearrange.hpp>
#include <tenon/function/shape.hpp>
#include <tenon/function/softmax.hpp>
