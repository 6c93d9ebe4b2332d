// SPDX-License-Identifier: Apache-2.0
// Everything in tensor/.
#pragma once
#include <tenon/tensor/any_tensor.hpp>
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/create.hpp>
#include <tenon/tensor/device.hpp>
#include <tenon/tensor/handle.hpp>
#include <tenon/tensor/model.hpp>
#include <tenon/tensor/print.hpp>
#include <tenon/tensor/record.hpp>
#include <tenon/tensor/tensor.hpp>
#include <tenon/tensor/view.hpp>
