#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lost_ranks.sh BUILD: tests/examples/lost_rank.sh at ten moments.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../examples/lost_rank.sh" "$1" 10
