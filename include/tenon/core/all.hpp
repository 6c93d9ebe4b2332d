// SPDX-License-Identifier: Apache-2.0
// Everything in core/.
#pragma once
#include <tenon/core/ambient.hpp>
#include <tenon/core/atomic.hpp>
#include <tenon/core/config.hpp>
#include <tenon/core/convert.hpp>
#include <tenon/core/dtype.hpp>
#include <tenon/core/error.hpp>
#include <tenon/core/pack.hpp>
#include <tenon/core/pack_tables.hpp>
#include <tenon/core/pack_type.hpp>
#include <tenon/core/parallel.hpp>
#include <tenon/core/philox.hpp>
#include <tenon/core/random.hpp>
#include <tenon/core/reflect.hpp>
#include <tenon/core/scalar.hpp>
#include <tenon/core/value_kinds.hpp>
