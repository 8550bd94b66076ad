//! Disks and the console.

use alloc::rc::Rc;
use alloc::vec::Vec;

use abi::Error;
use abi::handle::Handle;
use abi::layout::IoInfo;
use abi::number::*;
use calls::{Outcome, Task};

use super::bench::{Bench, failed};
use crate::testing::Machine;

fn open(bench: &Bench, task: &Task, path: &str, flags: u32) -> Outcome<Handle> {
    let mut text = Vec::from(path);
    text.push(0);
    let text = bench.memory.read_only(&text);
    task.io_open(bench.memory.alleged(1, text.address(), 0), flags)
}

/// Bytes that tell where they are.
fn contents(sectors: usize) -> Vec<u8> {
    (0..sectors * 512)
        .map(|index| (index / 512 * 7 + index) as u8)
        .collect()
}

#[test]
fn paths_are_scanned_to_their_end_and_no_further() {
    Bench::booted("", &[&contents(1)]).run(async |bench, task| {
        for (path, error) in [
            ("", Error::NoEntry),
            ("disk", Error::NoEntry),
            ("disk:", Error::NoEntry),
            ("disk:00", Error::NoEntry),
            ("disk:+0", Error::NoEntry),
            ("disk:0x", Error::NoEntry),
            ("disk:1", Error::NoEntry),
            ("disk:99999999999999999999", Error::NoEntry),
            ("serial:", Error::NoEntry),
            (&"x".repeat(255), Error::NoEntry),
            (&"x".repeat(256), Error::Invalid),
        ] {
            assert_eq!(failed(open(bench, &task, path, 0)), (error, 1), "{path}");
        }
        let open_at = |address| task.io_open(bench.memory.alleged(1, address, 0), 0);
        // It fills its memory to the last byte, and the end mark is not in it.
        let unended = bench.memory.bytes(b"disk:0");
        assert_eq!(failed(open_at(unended.address())), (Error::Invalid, 1));
        let ended = bench.memory.bytes(b"disk:0\0");
        assert!(open_at(ended.address()).is_ok());
        assert_eq!(failed(open_at(0)), (Error::Invalid, 1));
        assert_eq!(failed(open_at(u64::MAX)), (Error::Invalid, 1));
        let no_text = bench.memory.bytes(b"\xff\0");
        assert_eq!(failed(open_at(no_text.address())), (Error::NoEntry, 1));
        assert_eq!(failed(open(bench, &task, "disk:0", 8)), (Error::Invalid, 2));
    });
}

#[test]
fn a_disk_is_read_anywhere_and_to_its_end() {
    let bytes = contents(4);
    Bench::booted("", &[&bytes]).run(async |bench, task| {
        let disk = open(bench, &task, "disk:0", IO_OPEN_READ).unwrap();
        let room = bench.room(1000);
        assert_eq!(task.io_seek(disk, 300, IO_SEEK_SET), Ok(300));
        assert_eq!(task.io_read(disk, room.output()).await, Ok(1000));
        assert_eq!(room.bytes(1000), bytes[300..1300]);
        assert_eq!(task.io_read(disk, room.output()).await, Ok(748));
        assert_eq!(room.bytes(748), bytes[1300..]);
        assert_eq!(task.io_read(disk, room.output()).await, Ok(0));
        assert_eq!(task.io_seek(disk, -3, IO_SEEK_END), Ok(2045));
        let pieces = [bench.room(1), bench.room(9)];
        let both = pieces.each_ref().map(|piece| piece.output());
        assert_eq!(task.io_readv(disk, &both).await, Ok(3));
        assert_eq!(pieces[0].bytes(1), bytes[2045..2046]);
        assert_eq!(pieces[1].bytes(2), bytes[2046..]);
        assert_eq!(task.io_seek(disk, -2048, IO_SEEK_CUR), Ok(0));
        assert_eq!(
            failed(task.io_seek(disk, -1, IO_SEEK_CUR)),
            (Error::Invalid, 2)
        );
        assert_eq!(failed(task.io_seek(disk, 0, 3)), (Error::Invalid, 3));
        assert_eq!(
            task.io_seek(disk, i64::MAX, IO_SEEK_SET),
            Ok(i64::MAX as u64)
        );
        assert_eq!(task.io_read(disk, room.output()).await, Ok(0));
        let written = task.io_write(disk, room.input()).await;
        assert_eq!(
            failed(written),
            (Error::Permission, 1),
            "opened for reading"
        );
    });
}

#[test]
fn a_disk_is_written_in_whole_blocks_and_to_its_end() {
    Bench::booted("", &[&contents(4)]).run(async |bench, task| {
        let disk = open(bench, &task, "disk:0", 0).unwrap();
        let data = bench.input(&[7; 1536]);
        assert_eq!(task.io_write(disk, data.input()).await, Ok(1536));
        assert_eq!(
            task.io_write(disk, data.input()).await,
            Ok(512),
            "as much as there is"
        );
        assert_eq!(
            failed(task.io_write(disk, data.input()).await),
            (Error::NoMemory, 1)
        );
        task.io_seek(disk, 512, IO_SEEK_SET).unwrap();
        let short = bench.input(&[9; 300]);
        assert_eq!(
            failed(task.io_write(disk, short.input()).await),
            (Error::Invalid, 3)
        );
        task.io_seek(disk, 1, IO_SEEK_SET).unwrap();
        assert_eq!(
            failed(task.io_write(disk, data.input()).await),
            (Error::Invalid, 1)
        );
        task.io_seek(disk, 512, IO_SEEK_SET).unwrap();
        // Pieces of any length, blocks together.
        let pieces = [bench.input(&[1; 300]), bench.input(&[2; 212])];
        let both = pieces.each_ref().map(|piece| piece.input());
        assert_eq!(task.io_writev(disk, &both).await, Ok(512));
        assert_eq!(task.io_sync(disk).await, Ok(()));
        let native = bench.machine.context().disk(0).unwrap();
        let all = native.read(0, 2048).await.unwrap();
        let expected = [&[7; 512][..], &[1; 300], &[2; 212], &[7; 1024]].concat();
        assert_eq!(all, expected);
        let read = task.io_open(bench.memory.alleged(1, 0, 0), 0);
        assert!(read.is_err());
        assert_eq!(
            task.io_info(disk).unwrap(),
            IoInfo {
                size: 2048,
                block: 512,
                flags: IO_OPEN_READ | IO_OPEN_WRITE
            }
        );
        assert_eq!(
            task.io_wait(disk, IO_READABLE | IO_WRITABLE, 0).await,
            Ok(3)
        );
    });
}

#[test]
fn a_handle_of_a_disk_does_one_thing_at_a_time() {
    Bench::booted("", &[&contents(4)]).run(async |bench, task| {
        let disk = open(bench, &task, "disk:0", IO_NONBLOCK).unwrap();
        let (first, second) = (bench.room(512), bench.room(512));
        let into = first.output();
        let reader = bench
            .spawn(move |task: Rc<Task>| async move { task.io_read(disk, into).await.map(|_| ()) });
        task.task_yield().await.unwrap();
        assert_eq!(
            failed(task.io_read(disk, second.output()).await),
            (Error::Busy, 1)
        );
        assert_eq!(
            failed(task.io_write(disk, second.input()).await),
            (Error::Busy, 1)
        );
        assert_eq!(failed(task.io_seek(disk, 0, IO_SEEK_SET)), (Error::Busy, 1));
        while reader.status().is_none() {
            task.task_yield().await.unwrap();
        }
        assert_eq!(
            reader.status(),
            Some(0),
            "waiting for a disk is not what IO_NONBLOCK is about"
        );
        assert_eq!(task.io_seek(disk, 0, IO_SEEK_CUR), Ok(512));
        // Closed while somebody reads.
        let into = first.output();
        let reader = bench
            .spawn(move |task: Rc<Task>| async move { task.io_read(disk, into).await.map(|_| ()) });
        task.task_yield().await.unwrap();
        task.io_close(disk).unwrap();
        task.task_yield().await.unwrap();
        assert_eq!(reader.status(), Some(Error::Closed.code() as i32));
    });
}

#[test]
fn the_console_takes_bytes_as_it_has_room() {
    Bench::new().run(async |bench, task| {
        let console = open(bench, &task, "serial", IO_OPEN_WRITE).unwrap();
        let text = bench.input(b"two\nlines");
        bench.console.make_room(4);
        assert_eq!(task.io_write(console, text.input()).await, Ok(4));
        let waiting = task.io_wait(console, IO_WRITABLE, 0).await;
        assert_eq!(failed(waiting), (Error::WouldBlock, 0));
        let from = text.input();
        let writer = bench.spawn(move |task: Rc<Task>| async move {
            task.io_write(console, from).await.map(|_| ())
        });
        task.task_yield().await.unwrap();
        assert_eq!(writer.status(), None);
        let other = open(bench, &task, "serial", IO_NONBLOCK).unwrap();
        assert_eq!(
            failed(task.io_write(other, from).await),
            (Error::WouldBlock, 0)
        );
        assert_eq!(failed(task.io_write(console, from).await), (Error::Busy, 1));
        bench.console.make_room(100);
        task.task_yield().await.unwrap();
        assert_eq!(writer.status(), Some(0));
        assert_eq!(*bench.console.shown.borrow(), b"two\ntwo\nlines");
        assert_eq!(task.io_wait(console, 3, 0).await, Ok(IO_WRITABLE));
        assert_eq!(task.io_sync(console).await, Ok(()));
        assert_eq!(
            failed(open(bench, &task, "serial", IO_OPEN_READ)),
            (Error::Permission, 1)
        );
        let room = bench.room(4);
        assert_eq!(
            failed(task.io_read(console, room.output()).await),
            (Error::Permission, 1)
        );
        assert_eq!(
            failed(task.io_seek(console, 0, IO_SEEK_SET)),
            (Error::Unsupported, 1)
        );
        assert_eq!(
            task.io_info(console).unwrap(),
            IoInfo {
                size: 0,
                block: 1,
                flags: IO_OPEN_WRITE
            }
        );
    });
}

#[test]
fn a_deadline_is_no_file() {
    Bench::new().run(async |bench, task| {
        let deadline = task.time_deadline(1_000).unwrap();
        let room = bench.room(4);
        let unsupported = (Error::Unsupported, 1);
        assert_eq!(
            failed(task.io_read(deadline, room.output()).await),
            unsupported
        );
        assert_eq!(
            failed(task.io_write(deadline, room.input()).await),
            unsupported
        );
        assert_eq!(failed(task.io_sync(deadline).await), unsupported);
        assert_eq!(
            task.io_info(deadline).unwrap(),
            IoInfo {
                size: 0,
                block: 1,
                flags: 0
            }
        );
    });
}

#[test]
fn files_of_the_bundle_are_read_and_not_written() {
    let files: [(&str, &[u8]); 2] = [("a/b", b"0123456789"), ("empty", b"")];
    let disk = ::bundle::archive(::bundle::Index::new("demo"), &files).unwrap();
    let machine = Machine::bundled("allow=io:bundle", &[&disk], &[]).unwrap();
    Bench::on(machine).run(async |bench, task| {
        for (path, error) in [
            ("bundle:", Error::NoEntry),
            ("bundle:a", Error::NoEntry),
            ("bundle:/a/b", Error::NoEntry),
            ("bundle:ukernel-bundle", Error::NoEntry),
            ("volume:data", Error::NoEntry),
            ("disk:0", Error::Permission),
        ] {
            assert_eq!(failed(open(bench, &task, path, 0)), (error, 1), "{path}");
        }
        for flags in [IO_OPEN_WRITE, IO_OPEN_READ | IO_OPEN_WRITE] {
            let refused = open(bench, &task, "bundle:a/b", flags);
            assert_eq!(failed(refused), (Error::Permission, 1));
        }
        let file = open(bench, &task, "bundle:a/b", IO_OPEN_READ).unwrap();
        let room = bench.room(4);
        for expected in [&b"0123"[..], b"4567", b"89", b""] {
            assert_eq!(task.io_read(file, room.output()).await, Ok(expected.len()));
            assert_eq!(room.bytes(expected.len()), expected);
        }
        assert_eq!(task.io_seek(file, -3, IO_SEEK_END), Ok(7));
        let write = task.io_write(file, bench.input(b"x").input()).await;
        assert_eq!(failed(write), (Error::Permission, 1));
        let empty = open(bench, &task, "bundle:empty", 0).unwrap();
        assert_eq!(task.io_read(empty, room.output()).await, Ok(0));
    });
}

#[test]
fn a_volume_is_a_disk_with_a_name() {
    let mut index = ::bundle::Index::new("demo");
    for (name, read_only) in [("data", false), ("keys", true)] {
        let name = name.into();
        index.volumes.push(::bundle::Volume { name, read_only });
    }
    let disk = ::bundle::archive(index, &[]).unwrap();
    let disks: [&[u8]; 3] = [&disk, &contents(1), &[7; 512]];
    let machine = Machine::bundled("", &disks, &[]).unwrap();
    Bench::on(machine).run(async |bench, task| {
        let data = open(bench, &task, "volume:data", 0).unwrap();
        let room = bench.room(512);
        assert_eq!(task.io_read(data, room.output()).await, Ok(512));
        assert_eq!(room.bytes(512), contents(1));
        let refused = open(bench, &task, "volume:keys", IO_OPEN_WRITE);
        assert_eq!(failed(refused), (Error::Permission, 1));
        let keys = open(bench, &task, "volume:keys", IO_OPEN_READ).unwrap();
        assert_eq!(task.io_read(keys, room.output()).await, Ok(512));
        assert_eq!(room.bytes(512), [7; 512]);
    });
    let machine = Machine::bundled("allow=io:disk:2", &disks, &[]).unwrap();
    Bench::on(machine).run(async |bench, task| {
        let refused = open(bench, &task, "volume:data", 0);
        assert_eq!(failed(refused), (Error::Permission, 1));
        assert!(open(bench, &task, "volume:keys", 0).is_ok());
    });
}
