// SPDX-License-Identifier: Apache-2.0
// Umbrella of train/; not part of tenon.hpp, so that only who includes it pays.
#pragma once
#include <tenon/train/all.hpp>
