// SPDX-License-Identifier: Apache-2.0
// Umbrella of deploy/; not part of tenon.hpp, so that only who includes it pays.
#pragma once
#include <tenon/deploy/all.hpp>
