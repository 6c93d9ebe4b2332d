// SPDX-License-Identifier: Apache-2.0
// Everything in io/.
#pragma once
#include <tenon/io/file.hpp>
#include <tenon/io/gzip.hpp>
#include <tenon/io/idx.hpp>
#include <tenon/io/safetensors.hpp>
#include <tenon/io/safetensors_header.hpp>
