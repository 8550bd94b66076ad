//! The demo's disks: their bytes and digests, odd sizes, ranges, errors, slowness.

use bundle_tool::machine::{Disk, DiskFault, DiskOperation};
use system_tests::demo::{Demo, demo_config};
use system_tests::http::Connection;
use system_tests::image::{Image, sha256, sha256_of_file};

const SECTOR: usize = 512;
const MIB: usize = 1 << 20;

fn boot(image: &Image) -> Demo {
    Demo::boot(demo_config().disk(Disk::new(&image.path).read_only()))
}

#[test]
fn the_digest_of_64_mib_is_the_hosts() {
    let image = Image::new(64 * MIB, 1);
    let demo = boot(&image);
    let digest = demo.get_ok("/disk/0/sha256");
    assert_eq!(digest.text().trim_end(), sha256_of_file(&image.path));
    assert!(demo.metric("ukernel_disk_read_bytes_total") >= image.content.len() as f64);
    demo.stop_and_expect_success();
}

#[test]
fn a_disk_is_streamed_whole_and_in_ranges() {
    let image = Image::new(3 * MIB, 2);
    let demo = boot(&image);
    assert!(
        demo.get_ok("/disk/0").body == image.content,
        "the whole disk differs"
    );
    for (offset, length) in [
        (0, 1),
        (1, 1),
        (511, 2),
        (SECTOR, SECTOR),
        (100_001, 1_000_003),
        (0, 0),
    ] {
        let range = format!("offset={offset}&length={length}");
        let expected = &image.content[offset..offset + length];
        assert!(
            demo.get_ok(&format!("/disk/0?{range}")).body == expected,
            "{range} differs"
        );
        let digest = demo.get_ok(&format!("/disk/0/sha256?{range}"));
        assert_eq!(digest.text().trim_end(), sha256(expected), "{range}");
    }
    let end = image.content.len();
    assert!(demo.get_ok(&format!("/disk/0?offset={}", end - 3)).body == image.content[end - 3..]);
    for outside in [
        format!("offset={}", end + 1),
        format!("offset={end}&length=1"),
    ] {
        assert_eq!(
            demo.get(&format!("/disk/0?{outside}")).unwrap().status,
            416,
            "{outside}"
        );
    }
    assert_eq!(demo.get("/disk/1").unwrap().status, 404);
}

#[test]
fn several_disks_keep_their_order() {
    let images = [
        Image::new(MIB, 3),
        Image::new(2 * MIB, 4),
        Image::new(SECTOR, 5),
    ];
    let disks = images
        .iter()
        .map(|image| Disk::new(&image.path).read_only());
    let demo = Demo::boot(disks.fold(demo_config(), |config, disk| config.disk(disk)));
    for (number, image) in images.iter().enumerate() {
        assert!(
            demo.get_ok(&format!("/disk/{number}")).body == image.content,
            "disk {number}"
        );
    }
}

/// QEMU rounds a file's size to whole sectors, and reads zeros behind the file's end.
#[test]
fn a_disk_of_odd_size_is_served_by_whole_sectors() {
    let image = Image::new(1_000_001, 6);
    let demo = boot(&image);
    let body = demo.get_ok("/disk/0").body;
    assert_eq!(body.len() % SECTOR, 0);
    assert!(
        body.len().abs_diff(image.content.len()) < SECTOR,
        "{} bytes",
        body.len()
    );
    let both = body.len().min(image.content.len());
    assert!(body[..both] == image.content[..both]);
    assert!(body[both..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_disk_error_fails_the_request_that_met_it() {
    let image = Image::new(4 * MIB, 7);
    let bad = DiskFault {
        operation: DiskOperation::Read,
        sector: Some(4096),
        once: false,
    };
    let disk = Disk::new(&image.path).read_only().fault(bad);
    let demo = Demo::boot(demo_config().disk(disk));
    let good = format!("/disk/0/sha256?length={}", 1024 * 1024);
    let expected = sha256(&image.content[..1024 * 1024]);
    for _ in 0..3 {
        assert_eq!(demo.get_ok(&good).text().trim_end(), expected);
        let failed = demo.get("/disk/0/sha256").unwrap();
        assert_eq!(failed.status, 500, "{}", failed.text());
        // Streamed: the answer has begun when the error comes, and must not look whole.
        assert!(demo.get("/disk/0").is_err(), "a cut answer looks whole");
    }
    demo.expect_healthy();
    demo.stop_and_expect_success();
}

/// Half of the connections may be about disks. Whoever comes beyond is told when to come again, and
/// others are answered meanwhile.
#[test]
fn requests_about_a_slow_disk_leave_connections_for_others() {
    const CONNECTIONS: usize = 8;
    let image = Image::new(64 * MIB, 9);
    let disk = Disk::new(&image.path).read_only().requests_per_second(50);
    let config = demo_config()
        .disk(disk)
        .argument(format!("connections={CONNECTIONS}"));
    let demo = Demo::boot(config);
    // Each gives its place back.
    for _ in 0..CONNECTIONS {
        demo.get_ok("/disk/0?length=512");
    }
    let request = b"GET /disk/0/sha256 HTTP/1.1\r\nHost: a\r\n\r\n";
    let reading: Vec<Connection> = (0..CONNECTIONS / 2)
        .map(|_| {
            let mut connection = Connection::open(demo.http).unwrap();
            connection.send(request).unwrap();
            demo.expect_healthy(); // by now it has its place
            connection
        })
        .collect();
    for _ in 0..CONNECTIONS {
        let refused = demo.get("/disk/0/sha256").unwrap();
        assert_eq!(refused.status, 503, "{}", refused.text());
        let seconds: u32 = refused.field("retry-after").expect("when").parse().unwrap();
        assert!(seconds > 0);
        demo.expect_healthy();
    }
    drop(reading);
}

#[test]
fn a_slow_disk_holds_up_only_those_who_read_it() {
    let image = Image::new(MIB, 8);
    let disk = Disk::new(&image.path).read_only().requests_per_second(10);
    let demo = Demo::boot(demo_config().disk(disk));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| demo.get_ok("/disk/0/sha256"));
        for _ in 0..20 {
            demo.expect_healthy();
        }
        assert_eq!(
            slow.join().unwrap().text().trim_end(),
            sha256(&image.content)
        );
    });
}
