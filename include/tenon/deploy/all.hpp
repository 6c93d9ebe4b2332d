// SPDX-License-Identifier: Apache-2.0
// Everything in deploy/.
#pragma once
#include <tenon/deploy/cpp.hpp>
#include <tenon/deploy/loops.hpp>
#include <tenon/deploy/operations.hpp>
#include <tenon/deploy/source.hpp>
#include <tenon/deploy/steps.hpp>
#include <tenon/deploy/text.hpp>
