//! Embeds again when a file of the built UI appears, changes or goes: the macro alone sees changes only.

fn main() {
    println!("cargo::rerun-if-changed=assets");
    println!("cargo::rerun-if-changed=build.rs");
}
