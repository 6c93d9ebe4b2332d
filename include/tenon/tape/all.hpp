// SPDX-License-Identifier: Apache-2.0
// Everything in tape/.
#pragma once
#include <tenon/tape/custom_gradient.hpp>
#include <tenon/tape/gradcheck.hpp>
#include <tenon/tape/handles.hpp>
#include <tenon/tape/node_object.hpp>
#include <tenon/tape/nodes.hpp>
#include <tenon/tape/remat.hpp>
#include <tenon/tape/tape.hpp>
#include <tenon/tape/transform.hpp>
