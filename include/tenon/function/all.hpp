// SPDX-License-Identifier: Apache-2.0
// Everything in function/.
#pragma once
#include <tenon/function/rearrange.hpp>
