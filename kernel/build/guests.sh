#!/usr/bin/env bash
# Builds guest programs: `kernel/build/guests.sh CARGO-ARGUMENTS`. The folder where
# cargo unpacks crates stays out of them: panic messages name files by crate, which is also 3 KiB shorter.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Before the first fetch there is no folder of sources to name.
cargo fetch --quiet --locked --target x86_64-unknown-none
flags=()
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=("\"--remap-path-prefix=$sources=\"")
done
joined=$(IFS=,; echo "${flags[*]}")
exec cargo --config "target.x86_64-unknown-none.rustflags=[$joined]" \
    build --profile guest --target x86_64-unknown-none "$@"
