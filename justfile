# The repository's commands. `./just` installs what is missing and comes here.

just := quote(just_executable()) + " --justfile " + quote(justfile())
target_folder := env("CARGO_TARGET_DIR", justfile_directory() / "target")
guest_target := "x86_64-unknown-none"
guest_folder := target_folder / guest_target / "guest"
# The other profile, and the guest that is tested with it.
hard_float := "--config kernel/hard-float.toml --target x86_64-unknown-linux-musl -p computing"

# The packages that run in a machine, as cargo's arguments: whatever has a manifest in these folders.
guests := `awk -F'"' 'FNR == 1 { seen = 0 } /^name = / && !seen { seen = 1; printf "-p %s ", $2 }' \
    kernel/examples/*/Cargo.toml benches/worker/Cargo.toml tests/guest/Cargo.toml tests/computing/Cargo.toml tests/linux-entry/Cargo.toml`
# The kernel as libraries for programs in C, and a test in Rust that runs such a program. They are built by themselves:
# beside others they would give them what only C programs need.
c_libraries := "-p c -p companion -p embedding"
not_guests := replace(guests + c_libraries, "-p ", "--exclude ")
# Those among them with a library, whose tests run on the host.
guest_libraries := `for lib in kernel/examples/*/src/lib.rs; do \
    sed -n '/^name = /{s/name = "\(.*\)"/-p \1/p;q}' "${lib%src/lib.rs}Cargo.toml"; done | tr '\n' ' '`

# Explain the recipes
[private]
default:
    @{{ just }} --list --unsorted

# Boot the demo worker with a disk made of this repository's files; Ctrl-C asks it to stop
[no-exit-message]
run *ARGUMENTS: _demo _demo-disk
    #!/usr/bin/env bash
    # Job control: a terminal's Ctrl-C is for the guest; `just`, which would call it an error, does not
    # see it.
    if [ -t 0 ]; then set -m; fi
    {{ quote(target_folder / "debug/ukernel") }} run --kernel {{ quote(guest_folder / "demo") }} \
        --disk build/demo.img,ro \
        -p UKERNEL_HTTP_PORT=8080:8080 --page 8080 \
        -p UKERNEL_ECHO_PORT=7007:7/tcp -p UKERNEL_ECHO_PORT=7007:7/udp {{ ARGUMENTS }}

# Run what every change must pass: formatting, lints, host tests, VM tests, counts
[no-exit-message]
test:
    @tests/steps.sh {{ just }} -- fmt-check lint test-host test-python test-asyncio test-vm bench-exact

# Run what takes long or needs nightly Rust or a browser; what it has to skip, it says
[no-exit-message]
test-long:
    @tests/steps.sh {{ just }} -- test-miri test-sanitize test-fuzz test-python-long test-tool-long test-vm-long test-soak

# Run the tests that need no machine
[no-exit-message]
test-host:
    cargo test --quiet --workspace --exclude system-tests {{ not_guests }}
    cargo test --quiet --lib {{ guest_libraries }}
    cargo build --quiet -p bundle-tool
    cargo test --quiet -p system-tests --lib --test host --test tool

# Run the long tests of the command `ukernel`: every template built and run, twice the same bytes, `cargo install`
[no-exit-message]
test-tool-long *ARGUMENTS:
    cargo build --quiet -p bundle-tool
    cargo test --quiet -p system-tests --test tool -- --ignored {{ ARGUMENTS }}

# Check and test the Python package; arguments go to pytest, such as `-k NAME`
[no-exit-message]
test-python *ARGUMENTS:
    @adapter/python/python.sh -m ruff check --quiet
    @adapter/python/python.sh -m ruff format --quiet --check
    @adapter/python/python.sh -m mypy --no-error-summary
    @UKERNEL_WHEEL=$(adapter/python/wheel.sh) adapter/python/python.sh -m pytest {{ ARGUMENTS }}
    @UKERNEL_PLAIN=1 adapter/python/python.sh -m pytest tests/test_selector.py tests/test_loop.py tests/test_process.py {{ ARGUMENTS }}

# Run CPython's own tests of asyncio with this event loop and with Python's own, and compare
[no-exit-message]
test-asyncio *ARGUMENTS:
    @adapter/python/python.sh tests/asyncio_suite.py {{ ARGUMENTS }}

# Run the long tests of the Python package: a million connections, a thousand loops, a redis server
[no-exit-message]
test-python-long:
    @UKERNEL_SDIST=$(adapter/python/wheel.sh sdist) adapter/python/python.sh -m pytest -m long

# Build the Python package: a wheel with the library inside, in build/python/dist
[no-exit-message]
build-wheel:
    @adapter/python/wheel.sh

# Time the way from a project to a machine that answers, with `ukernel` and by hand for a Linux guest (which bench-peers builds)
[no-exit-message]
bench-tool:
    cargo build --quiet --release -p bundle-tool
    cargo run --quiet --release -p benches tool

# Measure the Python package's event loop beside Python's own and uvloop; draws into build/bench (`--quick` to try it)
[no-exit-message]
bench-python *ARGUMENTS:
    cargo build --quiet --release -p benches
    cargo build --quiet --release -p adapter
    @adapter/python/python.sh benches/bench.py {{ ARGUMENTS }}

# Run the tests that boot machines; arguments go to the test program, such as part of a test's name
[no-exit-message]
test-vm *ARGUMENTS: build
    cargo test --quiet -p system-tests --test vm -- {{ ARGUMENTS }}

# Run the conformance suite of the interface for programs in C in a machine; `only=AREA` for a part, `limits` for limits
[no-exit-message]
test-abi *ARGUMENTS:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet -p bundle-tool
    WORKLOAD=companion kernel/build/c.sh abi tests/abi/*.c
    disks=$(mktemp -d)
    trap 'rm -rf "$disks"' EXIT
    truncate -s 1M "$disks/0" "$disks/1"
    # The program is its own name server.
    arguments=(--arg variable=some-value --arg dns --append net=10.0.2.15/24,gw=10.0.2.2,dns=127.0.0.1,ip6=fd00::15/64)
    memory=128M
    for word in {{ ARGUMENTS }}; do
        arguments+=(--arg "$word")
        [ "$word" != limits ] || memory=512M
    done
    {{ quote(target_folder / "debug/ukernel") }} run --kernel build/c/abi --timeout 180 --memory $memory \
        --disk "$disks/0" --disk "$disks/1,ro" -p 0:9/tcp --append env=UKERNEL_ABI_TEST=some-value "${arguments[@]}"

# Build the library for processes of Linux: target/release/libukernel_abi.so
[no-exit-message]
build-adapter:
    cargo build --quiet --release -p adapter

# Run the conformance suite against the library for processes of Linux
[no-exit-message]
test-abi-host *ARGUMENTS:
    cargo test --quiet -p adapter --test linux -- conformance {{ ARGUMENTS }}

# Run the long ones among them too: a gigabyte echoed, the page in a browser
[no-exit-message]
test-vm-long: build
    cargo test --quiet -p system-tests --test vm -- --ignored --skip soak::

# Let clients of all kinds talk to the demo for a while, and look for what they leave behind
[no-exit-message]
test-soak SECONDS="120": build
    UKERNEL_SOAK_SECONDS={{ SECONDS }} cargo test --quiet -p system-tests --test vm -- --ignored soak::

# Run host tests under Miri, which finds undefined behaviour (needs nightly Rust with miri)
[no-exit-message]
test-miri:
    @tests/miri.sh

# Run host tests under AddressSanitizer and LeakSanitizer (needs nightly Rust)
[no-exit-message]
test-sanitize:
    @tests/sanitize.sh

# Feed garbage to whatever reads from outside (needs nightly Rust and cargo-fuzz)
[no-exit-message]
test-fuzz SECONDS="60" *TARGETS="":
    @tests/fuzz.sh {{ SECONDS }} {{ TARGETS }}

# Measure everything: the kernel alone, then beside other executors, then beside other guests (40 minutes)
[no-exit-message]
bench: bench-figures bench-exact bench-scaling bench-calls bench-load bench-micro bench-peers bench-tool

# Print the first figures: instructions and exits to the first poll, size, smallest memory
[no-exit-message]
bench-figures: build
    cargo run --quiet -p benches

# Count what operations cost in the guest, and compare with benches/baseline.json (`--update` rewrites it)
[no-exit-message]
bench-exact *ARGUMENTS: build _calls
    cargo run --quiet -p benches exact {{ ARGUMENTS }}

# Count how costs grow with the number of connections, tasks and timers, and draw build/bench/scaling.svg
[no-exit-message]
bench-scaling: build
    cargo run --quiet -p benches scaling

# Count what a request costs while requests come from outside (in a peer's guest: `--peer linux-tiny`)
[no-exit-message]
bench-load *ARGUMENTS: build
    cargo run --quiet -p benches load {{ ARGUMENTS }}

# Count what calls from C cost, beside what a minimal Linux (as `bench-peers` built it) needs for the same things
[no-exit-message]
bench-calls: build _calls
    benches/calls/linux/build.sh || true
    cargo run --quiet -p benches calls

# Time and count the reactor beside other executors, on the host
[no-exit-message]
bench-micro:
    cargo build --quiet --release -p micro
    cargo run --quiet -p benches micro
    cargo bench --quiet -p micro

# Run the kernel beside Linux guests and the host's tokio (builds the peers first; `--quick` to try it)
[no-exit-message]
bench-peers *ARGUMENTS: build
    benches/peers/build.sh || true
    cargo run --quiet --release -p benches peers {{ ARGUMENTS }}

# Build the guest programs and the command `ukernel`
[no-exit-message]
build:
    cargo build --quiet -p bundle-tool
    kernel/build/guests.sh --quiet {{ guests }}
    kernel/build/c-all.sh
    kernel/build/guests.sh --quiet --config profile.guest.opt-level=3 -p embedding
    cargo build --quiet --profile guest {{ hard_float }}
    WORKLOAD=companion kernel/build/c.sh abi tests/abi/*.c

# Build a program in C: build/c/NAME from the sources FILES
[no-exit-message]
build-c NAME +FILES:
    @kernel/build/c.sh {{ NAME }} {{ FILES }}

# Boot a program that `build-c` built; arguments go to `ukernel run`
[no-exit-message]
run-c NAME *ARGUMENTS:
    @cargo build --quiet -p bundle-tool
    @{{ quote(target_folder / "debug/ukernel") }} run --kernel build/c/{{ NAME }} {{ ARGUMENTS }}

# Format all sources
fmt:
    cargo fmt

# Check that all sources are formatted
[no-exit-message]
fmt-check:
    cargo fmt --check

# Lint host and guest code and the documentation's links; a warning is an error
[no-exit-message]
lint:
    cargo clippy --quiet --workspace {{ not_guests }} --all-targets -- -D warnings
    cargo clippy --quiet --lib {{ guest_libraries }} --profile test -- -D warnings
    cargo clippy --quiet --target {{ guest_target }} {{ guests }} -- -D warnings
    cargo clippy --quiet --target {{ guest_target }} {{ c_libraries }} -- -D warnings
    cargo clippy --quiet {{ hard_float }} -- -D warnings
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --quiet --no-deps --document-private-items --workspace --exclude ukernel {{ not_guests }}
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --quiet --no-deps --document-private-items --target {{ guest_target }} -p ukernel --features foreign

# Remove everything that was built, the private tools too
clean:
    cargo clean
    rm -rf build

# The program in C whose calls are counted
_calls:
    @WORKLOAD=companion kernel/build/c.sh calls benches/calls/phase.c benches/calls/ukernel/*.c

# The programs that `run` needs; cargo shows its progress, as a first build takes a minute
_demo:
    @cargo build -p bundle-tool
    @kernel/build/guests.sh -p demo

# The disk that `run` needs
_demo-disk:
    @mkdir -p build
    @{{ quote(target_folder / "debug/ukernel") }} disk-image --output build/demo.img \
        *.md kernel reactor netstack drivers
