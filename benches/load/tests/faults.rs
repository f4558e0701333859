//! Servers that do wrong must be found out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::tool;

/// Messages in a burst, and the burst to tamper with.
const WINDOW: usize = 4;
const BURST: usize = 3;
const END: &str = "</message>";

/// A forwarder for one pair of connections that lets `tamper` change one burst on its way from the
/// first to the second. Its address.
fn tampering_relay(tamper: fn(&mut Vec<String>)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let [first, second] = [(); 2].map(|()| listener.accept().unwrap().0);
        let back = (second.try_clone().unwrap(), first.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut &back.0, &mut &back.1));
        forward(first, second, tamper)
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream, tamper: fn(&mut Vec<String>)) -> Option<()> {
    let (mut text, mut bursts, mut buffer) = (String::new(), 0, [0; 4096]);
    loop {
        let count = from.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text += std::str::from_utf8(&buffer[..count]).ok()?;
        if text.matches(END).count() == WINDOW {
            bursts += 1;
            let mut burst: Vec<String> = text.split_inclusive(END).map(str::to_owned).collect();
            if bursts == BURST {
                tamper(&mut burst);
            }
            text = burst.concat();
        } else if text.starts_with("<message") {
            continue;
        }
        to.write_all(text.as_bytes()).ok()?;
        text.clear();
    }
}

fn relay(address: &str) -> tool::Run {
    let window = WINDOW.to_string();
    let scenario = ["relay", "--raw", "--pairs", "1", "--window", &window];
    let short = ["--seconds", "0.3", "--patience", "0.5", "--server", address];
    tool::run(&[&scenario[..], &short].concat())
}

#[test]
fn a_faithful_relay_is_correct() {
    let run = relay(&tampering_relay(|_| ()));
    run.assert_correct("messages", (WINDOW * BURST) as f64);
}

#[test]
fn a_missing_message_is_named() {
    let run = relay(&tampering_relay(|burst| drop(burst.remove(1))));
    run.assert_failed("missing 1, doubled 0, out of order 0");
    assert!(run.text.contains("stopped answering"), "{}", run.text);
    assert_eq!(run.verdict("missing"), 1);
}

#[test]
fn a_double_is_named() {
    let run = relay(&tampering_relay(|burst| burst.insert(2, burst[1].clone())));
    run.assert_failed("missing 0, doubled 1, out of order 0");
}

#[test]
fn a_wrong_order_is_named() {
    let run = relay(&tampering_relay(|burst| burst.swap(1, 2)));
    run.assert_failed("missing 0, doubled 0, out of order 1");
}

#[test]
fn a_changed_recipient_is_named() {
    let other =
        |burst: &mut Vec<String>| burst[1] = burst[1].replace("id='m-000000", "id='m-000001");
    relay(&tampering_relay(other)).assert_failed("unexpected: <message");
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
