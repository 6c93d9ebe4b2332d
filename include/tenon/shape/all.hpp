// SPDX-License-Identifier: Apache-2.0
// Everything in shape/.
#pragma once
#include <tenon/shape/broadcast.hpp>
#include <tenon/shape/shape.hpp>
#include <tenon/shape/slice.hpp>
