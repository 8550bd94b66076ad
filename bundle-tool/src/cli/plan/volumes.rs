//! The disks of a project's volumes: the files that a person names, or the project's own, made where they are missing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::cli::failure::USAGE;
use crate::machine::Disk;
use crate::manifest::{Name, VolumeTable};
use crate::project::Project;
use crate::ui::Ui;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// The project's volumes in the order of the disks, which is that of their names.
pub(super) fn of(
    project: &Project,
    named: &[(Name, PathBuf)],
    ui: &Ui,
) -> Result<Vec<Disk>, Failure> {
    let volumes = &project.manifest.volumes;
    if let Some((name, _)) = named.iter().find(|(name, _)| !volumes.contains_key(name)) {
        return Err(unknown(name, volumes.keys()));
    }
    let disk = |(name, volume): (&Name, &VolumeTable)| {
        let file = named.iter().rev().find(|(other, _)| other == name);
        let folder = project.state().join("volumes");
        let own = || folder.join(format!("{name}.img"));
        let file = file.map_or_else(own, |(_, file)| file.clone());
        let failed =
            |error| Failure::from(error).context(format_args!("volume {name}: {}", file.display()));
        // Only the project's own: a folder that somebody names and that is not there is a mistake.
        if file.starts_with(&folder) {
            fs::create_dir_all(&folder).map_err(failed)?;
        }
        prepare(name, volume, &file, ui).map_err(failed)?;
        let mut disk = Disk::new(file);
        disk.read_only = volume.read_only;
        Ok(disk)
    };
    volumes.iter().map(disk).collect()
}

fn unknown<'a>(name: &Name, known: impl Iterator<Item = &'a Name>) -> Failure {
    let known: Vec<&str> = known.map(Name::as_str).collect();
    let failure = Failure::new(format_args!("the project has no volume '{name}'")).status(USAGE);
    match known.is_empty() {
        true => failure.hint("name it in ukernel.toml, under [volumes]"),
        false => failure.hint(format_args!("it has: {}", known.join(", "))),
    }
}

/// Makes the file if it is not there: sparse, so that it takes no room before something is written.
fn prepare(name: &Name, volume: &VolumeTable, file: &Path, ui: &Ui) -> io::Result<()> {
    let size = u64::from(volume.size_mb.mib()) * MIB;
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.len() < size => {
            ui.warn(format_args!(
                "volume {name} has {} bytes in {}, less than the {size} that the manifest says",
                metadata.len(),
                file.display()
            ));
            return Ok(());
        }
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.as_file().set_len(size)?;
    match fresh.persist_noclobber(file) {
        Ok(_) => {
            ui.status(
                "Created",
                format_args!("volume {name} in {}", file.display()),
            );
            Ok(())
        }
        // Somebody else has just made it.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Verbosity;

    fn project(volumes: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[project]\nname = \"demo\"\nlanguage = \"c\"\n[volumes]\n{volumes}");
        fs::write(folder.path().join("ukernel.toml"), text).unwrap();
        let project = Project::open(folder.path()).unwrap();
        (folder, project)
    }

    #[test]
    fn missing_files_are_made_and_others_left_alone() {
        let (folder, project) =
            project("zeta = { size_mb = 2 }\nalpha = { size_mb = 1, read_only = true }\n");
        let ui = Ui::new(Verbosity::Quiet);
        let own = folder.path().join("mine.img");
        fs::write(&own, "content").unwrap();
        let named = [("zeta".parse().unwrap(), own.clone())];
        let disks = of(&project, &named, &ui).unwrap();
        let alpha = project.state().join("volumes/alpha.img");
        assert_eq!(disks, [Disk::new(&alpha).read_only(), Disk::new(&own)]);
        assert_eq!(fs::metadata(&alpha).unwrap().len(), MIB);
        assert_eq!(fs::read_to_string(&own).unwrap(), "content");
        let left = fs::read_dir(project.state().join("volumes"))
            .unwrap()
            .count();
        assert_eq!(left, 1, "nothing half made stays");
    }

    #[test]
    fn a_place_for_a_volume_that_is_none_is_refused() {
        let (folder, project) = project("data = { size_mb = 1 }\n");
        let ui = Ui::new(Verbosity::Quiet);
        for (place, words) in [
            ("", "irectory"),
            ("no such folder/data.img", "No such file"),
        ] {
            let named = [("data".parse().unwrap(), folder.path().join(place))];
            let text = format!("{:?}", of(&project, &named, &ui).err().unwrap());
            assert!(
                text.contains("volume data: ") && text.contains(words),
                "{text}"
            );
        }
        assert!(!folder.path().join("no such folder").exists());
    }

    #[test]
    fn a_volume_that_the_project_has_not_is_refused() {
        let (_folder, project) = project("data = { size_mb = 1 }\n");
        let ui = Ui::new(Verbosity::Quiet);
        let named = [("date".parse().unwrap(), PathBuf::from("x"))];
        let failure = of(&project, &named, &ui).err().unwrap();
        let text = format!("{failure:?}");
        assert!(
            text.contains("no volume 'date'") && text.contains("it has: data"),
            "{text}"
        );
        assert!(!project.state().exists(), "nothing is made then");
    }
}
