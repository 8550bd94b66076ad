//! How the library is linked.

fn main() {
    // Never unloaded: functions of it are called at forks, at the ends of threads and by signals.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libukernel_abi.so");
    println!("cargo:rerun-if-changed=build.rs");
}
