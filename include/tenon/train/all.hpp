// SPDX-License-Identifier: Apache-2.0
// Everything in train/.
#pragma once
#include <tenon/train/checkpoint.hpp>
#include <tenon/train/progress.hpp>
#include <tenon/train/saved_graph.hpp>
#include <tenon/train/signals.hpp>
#include <tenon/train/stop_checkpoint.hpp>
#include <tenon/train/traced_loss.hpp>
