// SPDX-License-Identifier: Apache-2.0
// Umbrella of dist/ without MPI: ranks that are threads. mpi.hpp adds ranks that are processes.
#pragma once
#include <tenon/dist/buckets.hpp>
#include <tenon/dist/collective.hpp>
#include <tenon/dist/communicator.hpp>
#include <tenon/dist/data_parallel.hpp>
#include <tenon/dist/facts.hpp>
#include <tenon/dist/loopback.hpp>
#include <tenon/dist/parameter_server.hpp>
#include <tenon/dist/request.hpp>
#include <tenon/dist/served_rule.hpp>
#include <tenon/dist/server.hpp>
#include <tenon/dist/server_training.hpp>
#include <tenon/dist/transport.hpp>
