// SPDX-License-Identifier: Apache-2.0
// AnyTensor with everything its members need.
#pragma once
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/handle.hpp>
