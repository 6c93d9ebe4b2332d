// SPDX-License-Identifier: Apache-2.0
// Everything in expr/.
#pragma once
#include <tenon/expr/contract.hpp>
#include <tenon/expr/decide.hpp>
#include <tenon/expr/expression.hpp>
#include <tenon/expr/functions.hpp>
#include <tenon/expr/fuse.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/expr/join.hpp>
#include <tenon/expr/map.hpp>
#include <tenon/expr/parts.hpp>
#include <tenon/expr/reduce.hpp>
#include <tenon/expr/rules.hpp>
#include <tenon/expr/symbol.hpp>
#include <tenon/expr/tree.hpp>
