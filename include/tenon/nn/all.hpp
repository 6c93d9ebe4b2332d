// SPDX-License-Identifier: Apache-2.0
// Everything in nn/.
#pragma once
#include <tenon/nn/init.hpp>
#include <tenon/nn/layer/dropout.hpp>
#include <tenon/nn/layer/layer_norm.hpp>
#include <tenon/nn/layer/linear.hpp>
#include <tenon/nn/loss.hpp>
