#!/bin/bash
# As 0422-two-nodes.t, on four.
GUESTS_NODES=4 exec "$(dirname "$0")/0422-two-nodes.t"
