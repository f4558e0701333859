//! Servers that do wrong must be found out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::tool;

/// Messages in a burst, and the burst to tamper with.
const WINDOW: usize = 4;
const BURST: usize = 3;
const END: &str = "</message>";

/// What a forwarder does to a burst, or before the end of the stream with the last one.
#[derive(Clone, Copy)]
enum Tamper {
    Burst(fn(&mut Vec<String>)),
    End(fn(&mut Vec<String>)),
}

/// A forwarder for one pair of connections that tampers with what goes from the first to the
/// second. `window`: messages in a burst. Its address.
fn tampering_relay(window: usize, tamper: Tamper) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let [first, second] = [(); 2].map(|()| listener.accept().unwrap().0);
        let back = (second.try_clone().unwrap(), first.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut &back.0, &mut &back.1));
        forward(first, second, window, tamper)
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream, window: usize, tamper: Tamper) -> Option<()> {
    let (mut text, mut bursts, mut buffer) = (String::new(), 0, [0; 4096]);
    let mut burst = Vec::new();
    loop {
        let count = from.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text += std::str::from_utf8(&buffer[..count]).ok()?;
        while text.matches(END).count() >= window {
            burst.clear();
            for _ in 0..window {
                let rest = text.split_off(text.find(END)? + END.len());
                burst.push(std::mem::replace(&mut text, rest));
            }
            bursts += 1;
            match tamper {
                Tamper::Burst(tamper) if bursts == BURST => tamper(&mut burst),
                _ => (),
            }
            to.write_all(burst.concat().as_bytes()).ok()?;
        }
        if text.starts_with("</stream") {
            if let Tamper::End(tamper) = tamper {
                tamper(&mut burst);
                to.write_all(burst.concat().as_bytes()).ok()?;
            }
            to.write_all(text.as_bytes()).ok()?;
            text.clear();
        }
    }
}

fn run(scenario: &[&str], address: &str) -> tool::Run {
    let options = ["--raw", "--pairs", "1", "--seconds", "0.3"];
    let server = ["--patience", "0.5", "--server", address];
    tool::run(&[scenario, &options, &server].concat())
}

fn relay(tamper: Tamper) -> tool::Run {
    let scenario = ["relay", "--window", &WINDOW.to_string()];
    run(&scenario, &tampering_relay(WINDOW, tamper))
}

fn latency(tamper: Tamper) -> tool::Run {
    let scenario = ["latency", "--rate", "200", "--percent", "50,80"];
    run(&scenario, &tampering_relay(1, tamper))
}

#[test]
fn a_faithful_relay_is_correct() {
    let run = relay(Tamper::Burst(|_| ()));
    run.assert_correct("messages", (WINDOW * BURST) as f64);
}

#[test]
fn a_missing_message_is_named() {
    let run = relay(Tamper::Burst(|burst| drop(burst.remove(1))));
    run.assert_failed("missing 1, doubled 0, out of order 0");
    assert!(run.text.contains("stopped answering"), "{}", run.text);
    assert_eq!(run.verdict("missing"), 1);
    let run = latency(Tamper::Burst(Vec::clear));
    run.assert_failed("missing 1, doubled 0, out of order 0");
}

#[test]
fn a_double_is_named() {
    let run = relay(Tamper::Burst(|burst| burst.insert(2, burst[1].clone())));
    run.assert_failed("missing 0, doubled 1, out of order 0");
    let run = latency(Tamper::Burst(|burst| burst.push(burst[0].clone())));
    run.assert_failed("arrived 78, missing 0, doubled 1, out of order 0");
}

#[test]
fn a_double_at_the_end_is_named() {
    let last = Tamper::End(|burst| drop(burst.drain(..burst.len() - 1)));
    relay(last).assert_failed("missing 0, doubled 1, out of order 0");
    latency(last).assert_failed("arrived 78, missing 0, doubled 1, out of order 0");
}

#[test]
fn a_wrong_order_is_named() {
    let run = relay(Tamper::Burst(|burst| burst.swap(1, 2)));
    run.assert_failed("missing 0, doubled 0, out of order 1");
}

#[test]
fn a_message_of_somebody_else_is_named() {
    let other = |burst: &mut Vec<String>| {
        burst[1] = burst[1].replace("id='m-000000", "id='m-000001");
    };
    relay(Tamper::Burst(other)).assert_failed("unexpected: <message");
}

#[test]
fn a_stream_error_is_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let _ = stream.read(&mut [0; 4096])?;
        stream.write_all(
            b"<stream:stream><stream:error><see-other-host/></stream:error></stream:stream>",
        )
    });
    let run = tool::run(&[
        "idle",
        "--sessions",
        "1",
        "--pid",
        "1",
        "--server",
        &address,
    ]);
    run.assert_failed("closed the stream: <stream:error><see-other-host/>");
}
