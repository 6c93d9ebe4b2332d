// SPDX-License-Identifier: Apache-2.0
// Everything in optim/.
#pragma once
#include <tenon/optim/adam.hpp>
#include <tenon/optim/join.hpp>
#include <tenon/optim/optimizer.hpp>
#include <tenon/optim/ranks.hpp>
#include <tenon/optim/scalar.hpp>
#include <tenon/optim/sgd.hpp>
#include <tenon/optim/step.hpp>
