//! Tests of finding a bundle: on the disk, in a module, in both; and of what ends the machine.

extern crate std;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use ::bundle::{Index, Part, Volume, archive};
use drivers::block::DiskError;

use super::*;
use crate::testing::Machine;

type Files<'a> = &'a [(&'a str, &'a [u8])];

/// An image whose name and settings are these lines.
fn image(settings: &[&str], files: Files<'_>) -> Vec<u8> {
    let mut index = Index::new("demo");
    for line in settings {
        let (word, value) = line.split_once(' ').unwrap();
        match word {
            "name" => index.name = value.into(),
            "option" => index.options.push(value.into()),
            "argument" => index.arguments.push(value.into()),
            _ => {
                let (name, mode) = value.split_once(' ').unwrap();
                let read_only = mode == "ro";
                index.volumes.push(Volume {
                    name: name.into(),
                    read_only,
                });
            }
        }
    }
    archive(index, files).unwrap()
}

fn digest(image: &[u8]) -> Digest {
    Layer::verify(image).unwrap().digest()
}

fn kept(image: Vec<u8>) -> &'static [u8] {
    image.leak()
}

/// Why a machine with these disks ends.
fn refused(command_line: &str, disks: &[&[u8]]) -> LoadError {
    let command_line = String::from(command_line).leak();
    match Machine::bundled(command_line, disks, &[]) {
        Err(error) => error,
        Ok(_) => panic!("the machine goes on"),
    }
}

#[test]
fn files_and_settings_come_from_the_disk() {
    let large = vec![7; 3 * PIECE + 5];
    let settings = [
        "option env=GREETING=hello there",
        "option allow=log,io:disk:1",
        "argument serve",
        "argument two words",
    ];
    let mut disk = image(&settings, &[("a", b"first"), ("b/large", &large)]);
    disk.resize(disk.len() + 2 * PIECE, 0);
    let machine = Machine::bundled("", &[&disk, &[0; 512]], &[]).unwrap();
    let ctx = machine.context();
    let bundle = ctx.bundle().unwrap();
    assert_eq!(bundle.name(), "demo");
    assert_eq!(bundle.digest(), digest(&disk));
    assert_eq!(bundle.file("a"), Some(&b"first"[..]));
    assert!(bundle.file("b/large") == Some(&large[..]));
    assert_eq!(bundle.file("b"), None);
    assert_eq!(bundle.files().count(), 2);
    assert_eq!(ctx.variable("GREETING"), Some("hello there"));
    assert_eq!(ctx.args(), ["serve", "two words"]);
    assert!(ctx.network().is_err_and(|error| error.is_forbidden()));
    assert!(ctx.disk(0).is_err_and(|error| error.is_forbidden()));
    assert!(!ctx.disk(1).unwrap().read_only());
}

#[test]
fn the_module_comes_on_top_and_the_command_line_on_top_of_both() {
    let disk = image(
        &[
            "option env=A=disk",
            "option env=B=disk",
            "option env=C=disk",
            "option allow=log,net",
            "argument disk",
        ],
        &[("both", b"disk"), ("disk", b"disk")],
    );
    let settings = [
        "name run",
        "option env=B=module",
        "option env=C=module",
        "argument module",
    ];
    let module = kept(image(
        &settings,
        &[("both", b"module"), ("module", b"module")],
    ));
    let modules = [b"cpio or what".as_slice(), module];
    let machine = Machine::bundled("env=C=line", &[&disk], &modules).unwrap();
    let ctx = machine.context();
    assert_eq!(
        ["A", "B", "C"].map(|name| ctx.variable(name).unwrap()),
        ["disk", "module", "line"]
    );
    assert_eq!(ctx.args(), ["module"]);
    assert!(ctx.network().is_ok() && ctx.disk(0).is_err());
    let bundle = ctx.bundle().unwrap();
    assert_eq!((bundle.name(), bundle.digest()), ("demo", digest(&disk)));
    let mut files: Vec<_> = bundle.files().collect();
    files.sort_unstable();
    let expected: [(&str, &[u8]); 3] = [
        ("both", b"module"),
        ("disk", b"disk"),
        ("module", b"module"),
    ];
    assert_eq!(files, expected);
    assert_eq!(bundle.file("both"), Some(&b"module"[..]));
    let machine = Machine::bundled("allow=log -- line", &[&disk], &modules).unwrap();
    assert_eq!(machine.context().args(), ["line"]);
    assert!(
        machine.context().network().is_err(),
        "the command line begins anew"
    );
}

/// Each whose words about a thing come later has the last word: it does not add to what others allowed.
#[test]
fn the_first_allow_of_each_begins_anew() {
    let (wide, narrow) = (
        ["option allow=net,io:disk:1"],
        ["option allow=log", "option allow=time"],
    );
    let allowed = |line: &'static str, disk: &[&str], module: &[&str]| {
        let (disk, module) = (image(disk, &[]), kept(image(module, &[])));
        let machine = Machine::bundled(line, &[&disk, &[0; 512]], &[module]).unwrap();
        let ctx = machine.context();
        (ctx.network().is_ok(), ctx.disk(1).is_ok())
    };
    assert_eq!(allowed("", &wide, &[]), (true, true));
    assert_eq!(allowed("", &wide, &narrow), (false, false));
    assert_eq!(allowed("", &narrow, &wide), (true, true));
    assert_eq!(allowed("allow=log", &[], &wide), (false, false));
    assert_eq!(allowed("allow=io:disk:1", &wide, &narrow), (false, true));
}

#[test]
fn arguments_are_those_of_the_last_that_has_any() {
    let disk = image(&["argument disk"], &[]);
    let modules = [kept(image(&[], &[]))];
    let machine = Machine::bundled("log=info", &[&disk], &modules).unwrap();
    assert_eq!(machine.context().args(), ["disk"]);
}

#[test]
fn a_module_alone_is_a_bundle_and_takes_no_disk() {
    let module = kept(image(&["argument a", "volume data rw"], &[("f", b"x")]));
    let machine = Machine::bundled("", &[&[5; 512]], &[module]).unwrap();
    let ctx = machine.context();
    assert_eq!(ctx.bundle().unwrap().file("f"), Some(&b"x"[..]));
    assert!(!ctx.disk(0).unwrap().read_only());
    let read = machine.block_on(ctx.volume("data").unwrap().read(0, 1));
    assert_eq!(read.unwrap(), [5]);
}

#[test]
fn volumes_are_the_disks_behind_it() {
    let disk = image(&["volume data rw", "volume keys ro"], &[]);
    let disks: [&[u8]; 3] = [&disk, &[1; 512], &[2; 512]];
    let machine = Machine::bundled("", &disks, &[]).unwrap();
    let ctx = machine.context();
    machine.block_on(async {
        let (data, keys) = (ctx.volume("data").unwrap(), ctx.volume("keys").unwrap());
        assert_eq!(data.write_at(0, &[9; 512]).await, Ok(()));
        assert_eq!(keys.write_at(0, &[9; 512]).await, Err(DiskError::ReadOnly));
        assert_eq!(keys.read(0, 1).await.unwrap(), [2]);
        let own = ctx.disk(0).unwrap();
        assert_eq!(own.write_at(0, &[0; 512]).await, Err(DiskError::ReadOnly));
    });
    let unknown = ctx.volume("dat").unwrap_err();
    assert_eq!(unknown.to_string(), "the bundle names no volume dat");
    let forbidden = Machine::bundled("allow=io:disk:2", &disks, &[]).unwrap();
    let forbidden = forbidden.context();
    assert!(forbidden.volume("keys").is_ok());
    assert!(forbidden.volume("data").unwrap_err().is_forbidden());
    let missing = refused("", &disks[..2]);
    let expected = LoadError::Volume {
        name: "keys".into(),
        disk: 2,
    };
    assert_eq!(missing, expected);
}

#[test]
fn what_is_demanded_must_be_there() {
    let (one, other) = (image(&[], &[("f", b"1")]), image(&[], &[("f", b"2")]));
    let (one_digest, other_digest) = (digest(&one), digest(&other));
    let demand = |what: &dyn fmt::Display| &*format!("bundle={what}").leak();
    for line in ["", "bundle=required", demand(&one_digest)] {
        assert!(Machine::bundled(line, &[&one], &[]).is_ok(), "{line}");
    }
    let wrong = refused(demand(&other_digest), &[&one]);
    assert_eq!(
        wrong,
        LoadError::Other {
            demanded: other_digest,
            found: one_digest
        }
    );
    for disks in [&[][..], &[&[0; 4096][..]]] {
        assert!(
            Machine::bundled("", disks, &[])
                .unwrap()
                .context()
                .bundle()
                .is_none()
        );
        assert_eq!(refused("bundle=required", disks), LoadError::Missing);
        assert_eq!(refused(demand(&one_digest), disks), LoadError::Missing);
    }
    for bad in [
        "bundle=",
        "bundle=yes",
        demand(&one_digest.to_string().to_uppercase()),
    ] {
        assert_eq!(refused(bad, &[&one]), LoadError::Demand, "{bad}");
    }
}

#[test]
fn every_flipped_bit_ends_the_machine() {
    let settings = ["option log=info", "argument serve"];
    let mut disk = image(&settings, &[("a", b"content"), ("empty", b"")]);
    disk.resize(disk.len() + 512, 0);
    for at in 0..disk.len() {
        disk[at] ^= 1 << (at % 8);
        match refused("", &[&disk]) {
            LoadError::Bundle {
                place: Place::Disk, ..
            } => {}
            other => panic!("byte {at}: {other}"),
        }
        disk[at] ^= 1 << (at % 8);
    }
    let cut = &disk[..disk.len() - 3 * 512];
    let LoadError::Bundle { error, .. } = refused("", &[cut]) else {
        panic!("cut")
    };
    assert!(matches!(error, Error::CutOff { .. }));
}

#[test]
fn a_damaged_module_ends_the_machine_too() {
    let mut module = image(&[], &[("a", b"content")]);
    let end = module.len() - 1536;
    module[end] ^= 1;
    let modules = [kept(module)];
    let error = Machine::bundled("", &[&image(&[], &[])], &modules)
        .err()
        .unwrap();
    let corrupt = Error::Corrupt {
        file: "a".into(),
        part: Part::Content,
    };
    assert_eq!(
        error,
        LoadError::Bundle {
            place: Place::Module,
            error: corrupt
        }
    );
    let said = "initrd: a is corrupt: its content is not what its SHA-256 says: copy or pack the bundle again";
    assert_eq!(error.to_string(), said);
}

#[test]
fn what_there_is_no_room_for_is_refused() {
    let disk = image(&[], &[("large", &[1; 1 << 20])]);
    let machine = Machine::booted("", &[&disk]);
    let disks = [machine.context().disk(0).unwrap()];
    for (room, fits) in [(disk.len() as u64, true), (disk.len() as u64 - 1, false)] {
        let places = Places {
            embedded: None,
            disks: &disks,
            modules: &[],
            room,
        };
        let loaded = machine.block_on(load(&places, Demand::Nothing));
        assert_eq!(loaded.is_ok(), fits);
        if let Err(error) = loaded {
            assert!(
                error.to_string().contains("give the machine more memory"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_bundle_in_the_kernels_file_takes_the_number_of_its_disk() {
    let image = kept(image(&["volume data rw"], &[("f", b"x")]));
    let other = archive(Index::new("other"), &[]).unwrap();
    let machine = Machine::booted("", &[&other]);
    let disks = Vec::from([machine.context().disk(0).unwrap()]);
    let places = |disks| Places {
        embedded: Some(image),
        disks,
        modules: &[],
        room: 0,
    };
    let bundle = machine
        .block_on(load(&places(&disks), Demand::Any))
        .unwrap()
        .unwrap();
    assert_eq!((bundle.name(), bundle.file("f")), ("demo", Some(&b"x"[..])));
    assert_eq!(bundle.volume("data").unwrap().0, 1);
    let missing = machine.block_on(load(&places(&[]), Demand::Any));
    assert_eq!(
        missing.unwrap_err(),
        LoadError::Volume {
            name: "data".into(),
            disk: 0
        }
    );
    let numbered = number(disks, Some(bundle));
    assert!(numbered[0].is_none() && numbered.len() == 2);
    assert!(!numbered[1].as_ref().unwrap().read_only());
    let damaged = Places {
        embedded: Some(&image[..2000]),
        disks: &[],
        modules: &[],
        room: 0,
    };
    let error = machine
        .block_on(load(&damaged, Demand::Nothing))
        .unwrap_err();
    assert!(matches!(
        error,
        LoadError::Bundle {
            place: Place::Kernel,
            ..
        }
    ));
}
