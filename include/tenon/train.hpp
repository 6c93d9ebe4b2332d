// SPDX-License-Identifier: Apache-2.0
// Umbrella of train/ without graphs: train/traced_loss.hpp and train/saved_graph.hpp cost a second
// more and are included where they are used. Not part of tenon.hpp.
#pragma once
#include <tenon/train/checkpoint.hpp>
#include <tenon/train/progress.hpp>
#include <tenon/train/signals.hpp>
#include <tenon/train/stop_checkpoint.hpp>
