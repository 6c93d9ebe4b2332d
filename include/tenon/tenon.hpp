// SPDX-License-Identifier: Apache-2.0
// tenon: tensors, automatic differentiation and deep learning. Files, data sets, training loops,
// deployment and other machines have umbrellas of their own.
#pragma once
#include <tenon/core/all.hpp>
#include <tenon/expr/all.hpp>
#include <tenon/function/all.hpp>
#include <tenon/kernel/all.hpp>
#include <tenon/memory/all.hpp>
#include <tenon/nn/all.hpp>
#include <tenon/op/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/shape/all.hpp>
#include <tenon/tape/all.hpp>
#include <tenon/tensor/all.hpp>
