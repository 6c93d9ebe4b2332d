// SPDX-License-Identifier: Apache-2.0
// Umbrella of data/; not part of tenon.hpp, so that only who includes it pays.
#pragma once
#include <tenon/data/all.hpp>
