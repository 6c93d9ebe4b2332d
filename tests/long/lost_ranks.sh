#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lost_ranks.sh BUILD: tests/examples/data_parallel.sh with ranks lost at ten moments.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../examples/data_parallel.sh" "$1" 10
