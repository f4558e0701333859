//! Every scenario, shortly.

use rustix::process::Signal;

use crate::server::{Waxwing, raw_relay};
use crate::tool;

const SHORT: [&str; 2] = ["--seconds", "0.4"];

#[test]
fn raw_relay_forwards() {
    let (mut relay, address) = raw_relay();
    let pid = relay.id().to_string();
    let server = ["--raw", "--pairs", "5", "--server", &address, "--pid", &pid];
    for window in ["1", "8"] {
        let scenario = ["relay", "--window", window];
        let run = tool::run(&[&scenario[..], &server, &SHORT].concat());
        run.assert_correct("messages", 1.0);
        assert!(run.verdict("arrived") as f64 >= run.figure("messages"));
    }
    let latency = ["latency", "--rate", "400", "--percent", "50"];
    let run = tool::run(&[&latency[..], &server, &SHORT].concat());
    run.assert_correct("at_50_percent_p50_us", 1.0);
    assert_eq!(run.verdict("arrived"), 80, "200 a second");
    assert_eq!(relay.end(Signal::TERM), Some(0));
}

#[test]
fn relay_counts_every_message() {
    let server = Waxwing::start();
    let scenario = ["relay", "--pairs", "5"];
    let check = |run: &tool::Run| {
        run.assert_correct("messages", 1.0);
        assert!(run.figure("server_us_per_message") > 0.0);
        assert!(run.verdict("arrived") as f64 >= run.figure("messages"));
    };
    check(&server.run(&[&scenario[..], &SHORT].concat()));
    check(&server.run(&[&scenario[..], &["--window", "8"], &SHORT].concat()));
    check(&server.run_with_accounts(&[&scenario[..], &SHORT].concat()));
    check(&server.run(&[&scenario[..], &["--sm"], &SHORT].concat()));
    let accounts = ["--sm", "--prefix", "managed"];
    check(&server.run_with_accounts(&[&scenario[..], &accounts, &SHORT].concat()));
}

#[test]
fn latency_times_every_message() {
    let server = Waxwing::start();
    let scenario = ["latency", "--pairs", "4", "--percent", "10,50"];
    let run = server.run(&[&scenario[..], &["--rate", "400"], &SHORT].concat());
    run.assert_correct("at_10_percent_p50_us", 1.0);
    run.assert_correct("at_50_percent_p99_us", 1.0);
    assert_eq!(run.verdict("arrived"), 16 + 80);
    let run = server.run(&[&scenario[..], &SHORT].concat());
    run.assert_correct("saturation_messages_per_second", 1.0);
}

#[test]
fn idle_reads_memory() {
    let run = Waxwing::start().run(&["idle", "--sessions", "60", "--rest", "0.1"]);
    run.assert_correct("resident_bytes", 1.0);
    assert_eq!(run.verdict("arrived"), 60);
    assert_eq!(run.figure("logins"), 48.0, "after the first fifth");
    assert!(run.figure("resident_bytes_per_session") >= 0.0);
}

#[test]
fn login_counts_logins() {
    let scenario = ["login", "--accounts", "8", "--in-flight", "4"];
    let run = Waxwing::start().run_with_accounts(&[&scenario[..], &SHORT].concat());
    run.assert_correct("logins", 1.0);
    assert!(run.verdict("arrived") as f64 >= run.figure("logins"));
    assert!(run.figure("login_p50_us") >= 1.0);
}

#[test]
fn offline_stores_and_drains_everything_once() {
    let server = Waxwing::start();
    let scenario = ["offline", "--senders", "4", "--recipients", "3"];
    for (prefix, window) in [("single", "1"), ("burst", "4")] {
        let options = ["--messages", "10", "--window", window, "--watch", "0.1"];
        let accounts = ["--prefix", prefix];
        let run = server.run_with_accounts(&[&scenario[..], &options, &accounts].concat());
        run.assert_correct("stored_messages", 40.0);
        assert_eq!(run.figure("stored_messages"), 40.0);
        assert_eq!(run.figure("drained_messages"), 40.0);
        assert_eq!(run.verdict("arrived"), 40);
        assert!(run.figure("acknowledged_p50_us") >= 1.0);
    }
    let options = ["--seconds", "0.2", "--prefix", "timed", "--watch", "0.1"];
    let run = server.run_with_accounts(&[&scenario[..], &options].concat());
    run.assert_correct("stored_messages", 4.0);
    assert_eq!(
        run.figure("drained_messages"),
        run.figure("stored_messages")
    );
}

#[test]
fn presence_reaches_every_contact() {
    let scenario = ["presence", "--accounts", "9", "--contacts", "4"];
    let run = Waxwing::start().run_with_accounts(&[&scenario[..], &SHORT].concat());
    run.assert_correct("presences", 1.0);
    assert_eq!((run.figure("logins"), run.figure("logouts")), (9.0, 9.0));
    assert!(run.figure("login_presences") >= 36.0);
    assert!(run.verdict("arrived") as f64 >= 36.0 + run.figure("presences"));
}

#[test]
fn muc_counts_every_delivery() {
    let server = Waxwing::start();
    let scenario = ["muc", "--rooms", "2", "--occupants", "5"];
    let check = |run: &tool::Run| {
        run.assert_correct("delivered_messages", 1.0);
        assert_eq!(
            run.figure("joins"),
            8.0,
            "all but the two that make the rooms"
        );
        assert!(run.figure("server_us_per_delivered_message") > 0.0);
        assert!(run.verdict("arrived") as f64 >= run.figure("delivered_messages"));
    };
    check(&server.run_with_accounts(&[&scenario[..], &SHORT].concat()));
    let managed = ["--sm", "--prefix", "managed"];
    check(&server.run_with_accounts(&[&scenario[..], &managed, &SHORT].concat()));
    let paced = ["--rate", "100", "--prefix", "paced"];
    check(&server.run_with_accounts(&[&scenario[..], &paced, &SHORT].concat()));
}

#[test]
fn what_the_server_does_not_have_is_named() {
    let service = ["--service", "rooms.example"];
    let run =
        Waxwing::start().run_with_accounts(&[&["muc", "--occupants", "3"], &service[..]].concat());
    run.assert_failed("no room (XEP-0045) at rooms.example");
}
