// SPDX-License-Identifier: Apache-2.0
// graph/: programs as data.
#pragma once
#include <tenon/graph/fit.hpp>
#include <tenon/graph/functions.hpp>
#include <tenon/graph/ir.hpp>
#include <tenon/graph/json_place.hpp>
#include <tenon/graph/load.hpp>
#include <tenon/graph/pass/common.hpp>
#include <tenon/graph/pass/dead_code.hpp>
#include <tenon/graph/pass/early_updates.hpp>
#include <tenon/graph/pass/expand.hpp>
#include <tenon/graph/pass/fold.hpp>
#include <tenon/graph/pass/tile.hpp>
#include <tenon/graph/plan.hpp>
#include <tenon/graph/recording.hpp>
#include <tenon/graph/run.hpp>
#include <tenon/graph/save.hpp>
#include <tenon/graph/summary.hpp>
#include <tenon/graph/tiles.hpp>
#include <tenon/graph/trace.hpp>
#include <tenon/graph/verify.hpp>
