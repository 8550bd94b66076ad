//! The example workloads, each doing what it is for.

use bundle_tool::machine::{Disk, Forward, Nic, Qemu};
use system_tests::client::echo_tcp;
use system_tests::image::{Image, sha256};
use system_tests::tls_server::{Authority, TlsServer};
use system_tests::vm::{TestVm, boot, config};

const MIB: u64 = 1 << 20;

#[test]
fn echo_echoes() {
    let config = config("echo")
        .memory_mib(4)
        .nic(Nic::user([Forward::tcp(0, 7)]));
    let vm = boot(Qemu::new(config));
    vm.expect_line("net: address assigned addr=10.0.2.15");
    echo_tcp(vm.forwarded(7).unwrap(), MIB, 1).unwrap();
    assert!(!vm.has_ended());
}

#[test]
fn a_job_is_done_on_time_or_cut_off() {
    let vm = boot(Qemu::new(
        config("job").argument("rounds=6").argument("period=50"),
    ));
    let outcome = vm.expect_status(0);
    let end = "reason=\"all rounds are done\" finished=4 cut_off=2 reporter_cancelled=true";
    assert!(outcome.log.contains(end), "{}", outcome.log);
}

#[test]
fn a_job_stops_when_told() {
    let vm = boot(Qemu::new(config("job").argument("rounds=1000000")));
    vm.expect_line("job: finished=");
    let outcome = vm.stop_and_expect_success();
    assert!(
        outcome.log.contains("reason=\"told to stop\""),
        "{}",
        outcome.log
    );
}

#[test]
fn a_pipeline_digests_a_disk() {
    let image = Image::new(5 * MIB as usize, 1);
    let vm = boot(Qemu::new(
        config("pipeline").disk(Disk::new(&image.path).read_only()),
    ));
    let outcome = vm.expect_status(0);
    let zeros = image.content.iter().filter(|byte| **byte == 0).count();
    let digest = sha256(&image.content);
    let end = format!(
        "bytes={} zeros={zeros} sha256={digest}",
        image.content.len()
    );
    assert!(
        outcome.log.contains(&end),
        "{end} is not in\n{}",
        outcome.log
    );
}

#[test]
fn a_pipeline_without_a_disk_is_an_error() {
    let outcome = boot(Qemu::new(config("pipeline"))).expect_status(abi::exit::FAILURE);
    assert!(outcome.log.contains("disk"), "{}", outcome.log);
}

const BODY: &str = "hello from a verified server";

/// The example asks `server` for a page by `name` and trusts `authority`.
fn ask(server: &TlsServer, name: &str, authority: &Authority) -> TestVm {
    let config = config("https")
        .nic(Nic::user([]))
        .argument(format!("url=https://{name}:{}/page", server.port))
        // QEMU's user-mode network leads this address to the host's loopback.
        .argument("address=10.0.2.2")
        .argument(format!("ca={}", authority.certificate_base64()));
    boot(Qemu::new(config))
}

#[test]
fn https_fetches_from_a_server_it_trusts() {
    let authority = Authority::new();
    let server = authority.serve("worker.test", BODY);
    let outcome = ask(&server, "worker.test", &authority).expect_status(0);
    let answer = format!("status=\"200 OK\" body_bytes={}", BODY.len());
    assert!(outcome.log.contains(&answer), "{}", outcome.log);
    let request = server.finish().unwrap();
    assert!(
        request.starts_with("GET /page HTTP/1.1\r\nHost: worker.test\r\n"),
        "{request}"
    );
}

#[test]
fn https_refuses_a_stranger_and_a_false_name() {
    let (trusted, stranger) = (Authority::new(), Authority::new());
    for (server, name) in [
        (stranger.serve("worker.test", BODY), "worker.test"),
        (trusted.serve("another.test", BODY), "worker.test"),
    ] {
        let outcome = ask(&server, name, &trusted).expect_status(abi::exit::FAILURE);
        assert!(!outcome.log.contains("server verified"), "{}", outcome.log);
        assert!(
            server.finish().is_err(),
            "the request was sent all the same"
        );
    }
}
