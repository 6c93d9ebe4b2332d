// SPDX-License-Identifier: Apache-2.0
// Umbrella of graph/ without files: graph/save.hpp and graph/load.hpp read and write JSON, which is
// dear to compile. Not part of tenon.hpp.
#pragma once
#include <tenon/graph/pass/expand.hpp>
#include <tenon/graph/trace.hpp>
