//! Links the program as a bootable image.

fn main() {
    ukernel_build::link();
}
