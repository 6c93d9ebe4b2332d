// SPDX-License-Identifier: Apache-2.0
// Everything in tape/.
#pragma once
#include <tenon/tape/gradcheck.hpp>
#include <tenon/tape/nodes.hpp>
#include <tenon/tape/tape.hpp>
