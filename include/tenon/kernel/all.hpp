// SPDX-License-Identifier: Apache-2.0
// Everything in kernel/.
#pragma once
#include <tenon/kernel/any.hpp>
#include <tenon/kernel/block.hpp>
#include <tenon/kernel/cpu/gemm.hpp>
#include <tenon/kernel/cpu/gemm_block.hpp>
#include <tenon/kernel/cpu/gemm_tile.hpp>
#include <tenon/kernel/cpu/gemv.hpp>
#include <tenon/kernel/cpu/lanes.hpp>
#include <tenon/kernel/cpu/rows.hpp>
#include <tenon/kernel/cpu/scratch.hpp>
#include <tenon/kernel/cpu/single.hpp>
#include <tenon/kernel/cpu/stretch.hpp>
#include <tenon/kernel/dense.hpp>
#include <tenon/kernel/door.hpp>
#include <tenon/kernel/epilogue.hpp>
#include <tenon/kernel/evaluate.hpp>
#include <tenon/kernel/fill.hpp>
#include <tenon/kernel/generated.hpp>
#include <tenon/kernel/group_run.hpp>
#include <tenon/kernel/interpret.hpp>
#include <tenon/kernel/labels.hpp>
#include <tenon/kernel/materialise.hpp>
#include <tenon/kernel/op_info.hpp>
#include <tenon/kernel/product.hpp>
#include <tenon/kernel/space.hpp>
#include <tenon/kernel/statement.hpp>
