//! Joins every `lua/*.lua` with the helpers it includes, for `script!` to embed.

use std::path::Path;
use std::{env, fs, io};

#[path = "src/script/join.rs"]
mod join;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=lua");
    println!("cargo::rerun-if-changed=src/script/join.rs");
    let out = Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("lua");
    fs::create_dir_all(&out)?;
    let lua = Path::new("lua");
    for entry in fs::read_dir(lua)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".lua") {
            let read = |path: &str| fs::read_to_string(lua.join(path)).ok();
            match join::join(&name, &read) {
                Ok(text) => fs::write(out.join(&name), text)?,
                Err(fault) => println!("cargo::error={fault}"),
            }
        }
    }
    Ok(())
}
