//! A program in C: the compiler of this machine, the kernel as a library, and the linker that Rust brings along.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rust::run;
use super::{Adapter, Build, BuildError, Program, files, inputs};
use crate::lock::Lock;
use crate::manifest::RelativePath;
use crate::toolchain::{Rust, TARGET, cc, version_of};

/// How programs for the kernel are compiled.
const FLAGS: &[&str] = &[
    "-std=c11",
    "-g",
    // There is no C library but the headers of the compiler itself and the mem* functions.
    "-ffreestanding",
    "-fno-builtin-malloc",
    // At a fixed address, as the kernel.
    "-fno-pie",
    // What the kernel has no support for, or no use.
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    // A frame larger than the guard page is touched page by page, so that it cannot jump over it.
    "-fstack-clash-protection",
    // Backtraces walk frame pointers.
    "-fno-omit-frame-pointer",
    // What is not used is left out.
    "-ffunction-sections",
    "-fdata-sections",
];

/// The same for the linker; the last three as a workload in Rust is linked, where the reasons stand.
const LINKER_FLAGS: &[&str] = &[
    "--gc-sections",
    "-no-pie",
    "--build-id=none",
    "-zmax-page-size=4096",
];

impl Build<'_> {
    /// Compiles the sources and links them with the kernel.
    pub(super) fn c(&self) -> Result<Program, BuildError> {
        let rust = Rust::find(self.sources.folder())?;
        let compiler = PathBuf::from(cc());
        let version = version_of(&compiler)?;
        self.fetch(self.sources.folder())?;
        let versions = [("cc", version.as_str()), ("rustc", &rust.version)];
        let versions = versions.map(|(name, version)| (name.to_string(), version.to_string()));
        let toolchain = versions.into();
        let dependencies = inputs::packages(&self.sources.folder().join("Cargo.lock"))?;
        self.check_tools(&toolchain, &dependencies)?;
        let library = self.kernel_library(&rust)?;
        let scratch = self.project.state().join("c");
        fs::create_dir_all(&scratch).map_err(|error| BuildError::io(&scratch, error))?;
        let (mut objects, mut lists) = (Vec::new(), Vec::new());
        for (index, (name, _)) in self.c_sources()?.iter().enumerate() {
            let object = scratch.join(format!("{index}.o"));
            let list = object.with_extension("d");
            self.ui
                .detail(format_args!("{} {name}", compiler.display()));
            run(
                &mut self.compile(&compiler, name, &object, &list),
                "the C compiler",
            )?;
            lists.push(list);
            objects.push(object);
        }
        let kernel = scratch.join("program");
        let mut linker = Command::new(&rust.linker);
        linker
            .args(["-flavor", "gnu", "-o"])
            .arg(&kernel)
            .args(&objects)
            .arg(&library);
        linker
            .arg("-T")
            .arg(self.sources.folder().join("kernel/link.ld"))
            .args(LINKER_FLAGS);
        run(&mut linker, "the linker")?;
        Ok(Program {
            inputs: Lock {
                toolchain,
                dependencies,
                sources: self.c_sources_read(&lists)?,
                ..Lock::default()
            },
            kernel: Some(kernel),
            files: Vec::new(),
            adapter: Adapter {
                name: "c11".into(),
                version,
            },
        })
    }

    fn c_sources(&self) -> Result<Vec<(String, PathBuf)>, BuildError> {
        let default = || "src/**/*.c".to_string().try_into().expect("this is a path");
        let patterns: Vec<RelativePath> = match self.project.manifest.build.sources.as_slice() {
            [] => vec![default()],
            given => given.to_vec(),
        };
        files::matching(self.root(), &patterns)
    }

    fn compile(&self, compiler: &Path, source: &str, object: &Path, list: &Path) -> Command {
        let build = &self.project.manifest.build;
        let mut command = Command::new(compiler);
        command.current_dir(self.root()).args(FLAGS);
        command.arg(if self.request.release { "-O2" } else { "-Og" });
        // What `__DATE__` and `__TIME__` say: the same every day.
        command.env("SOURCE_DATE_EPOCH", "0");
        // By path alone, without the folder that the file lies in on this machine.
        command
            .args(forget(self.root(), "."))
            .args(forget(self.sources.folder(), "ukernel"));
        command
            .arg("-isystem")
            .arg(self.sources.folder().join("kernel/include"));
        let default = PathBuf::from("src");
        let given = build.include.iter().map(RelativePath::as_path);
        let include: Vec<&Path> = if build.include.is_empty() {
            vec![&default]
        } else {
            given.collect()
        };
        for folder in include {
            command.arg("-I").arg(folder);
        }
        command.args(&build.cflags).arg("-MMD").arg("-MF").arg(list);
        command.arg("-c").arg(source).arg("-o").arg(object);
        command
    }

    /// The kernel as a library. Built once for a version of the tool, in its cache; and for speed: a program of this size has
    /// no limit that would be kept by less.
    fn kernel_library(&self, rust: &Rust) -> Result<PathBuf, BuildError> {
        let folder = self.sources.folder();
        let target = self.sources.target();
        let mut cargo = self.cargo("build", folder);
        cargo.args(["-p", "c", "--target", TARGET, "--profile", "guest"]);
        cargo
            .args(["--config", "profile.guest.opt-level=3"])
            .arg("--target-dir")
            .arg(&target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags(rust, &target)?);
        run(&mut cargo, "cargo build")?;
        Ok(target.join(TARGET).join("guest/libukernel_c.a"))
    }

    /// The files that the compiler has read, but for those that come with it and with the kernel.
    fn c_sources_read(&self, lists: &[PathBuf]) -> Result<BTreeMap<String, String>, BuildError> {
        let mut files = Vec::new();
        for list in lists {
            let text = fs::read_to_string(list).map_err(|error| BuildError::io(list, error))?;
            files.extend(inputs::dependencies(&text));
        }
        inputs::digests(self.root(), &files, &[self.sources.folder()])
    }
}

/// The arguments that make the compiler forget a folder's path, by its name and without links.
fn forget(folder: &Path, instead: &str) -> Vec<OsString> {
    let real = fs::canonicalize(folder).ok();
    let argument = |folder: &Path| {
        let mut argument = OsString::from("-ffile-prefix-map=");
        argument.push(folder);
        argument.push("=");
        argument.push(instead);
        argument
    };
    let folders = [Some(folder), real.as_deref()];
    folders.into_iter().flatten().map(argument).collect()
}
