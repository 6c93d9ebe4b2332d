// SPDX-License-Identifier: Apache-2.0
// Everything in data/.
#pragma once
#include <tenon/data/batches.hpp>
#include <tenon/data/fashion_mnist.hpp>
