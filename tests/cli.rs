//! The binary as a user meets it: the broker alone, the tools against it, and what bad input is answered with. Every
//! refusal names the thing and the remedy, and the exit code is not zero.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// `riverrun broker` on a free port, ended with the test.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, Stdio::inherit())
    }

    /// The same, with what it logs in a file.
    fn start_logging(data_dir: &Path, log: &Path) -> Self {
        Self::start_with(data_dir, std::fs::File::create(log).expect("a file").into())
    }

    fn start_with(data_dir: &Path, stderr: Stdio) -> Self {
        let mut child = riverrun()
            .args(["broker", "--listen", "127.0.0.1:0", "--set", "group.initial.rebalance.delay.ms=0", "--data-dir"])
            .arg(data_dir)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the broker starts");
        let mut lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("text");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        Self { child, address }
    }

    fn signal(&mut self, name: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill runs").success());
        self.child.wait().expect("it ended").code()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        riverrun().args(arguments).args(["--bootstrap", &self.address]).output().expect("it runs")
    }

    fn produce(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = riverrun()
            .arg("produce")
            .args(arguments)
            .args(["--bootstrap", &self.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn riverrun() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riverrun"));
    command.env_remove("RUST_LOG");
    command
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = text(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn the_tools_work_against_the_broker() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Broker::start(folder.path());
    assert!(
        succeeded(broker.run(&["topic", "create", "words", "-p", "2", "--config", "retention.ms=60000"]))
            .contains("created words")
    );
    assert!(succeeded(broker.run(&["topic", "list"])).contains("words"));
    let described = succeeded(broker.run(&["topic", "describe", "words"]));
    assert!(described.contains("2 partitions") && described.contains("config retention.ms=60000"), "{described}");

    let produced = broker.produce(&["words", "-K", ":", "-z", "zstd"], "a:one\nb:two\nc:three\n");
    assert!(produced.status.success(), "{}", text(&produced));
    let mut read: Vec<_> =
        succeeded(broker.run(&["consume", "words", "--from-beginning", "-e"])).lines().map(str::to_owned).collect();
    read.sort();
    assert_eq!(read, ["one", "three", "two"]);

    let first = succeeded(broker.run(&["consume", "words", "--group", "g", "--from-beginning", "-n", "2"]));
    let second = succeeded(broker.run(&["consume", "words", "--group", "g", "--from-beginning", "-n", "1"]));
    let mut read: Vec<_> = first.lines().chain(second.lines()).collect();
    read.sort_unstable();
    assert_eq!(read, ["one", "three", "two"], "a group goes on where it committed");
    assert!(succeeded(broker.run(&["group", "list"])).contains('g'));
    let described = succeeded(broker.run(&["group", "describe", "g"]));
    assert!(described.contains("words") && described.contains("LAG"), "{described}");
    assert!(succeeded(broker.run(&["group", "delete", "g"])).contains("deleted g"));

    assert!(succeeded(broker.run(&["topic", "delete", "words"])).contains("deleted words"));
    assert!(!succeeded(broker.run(&["topic", "list"])).contains("words"));
    assert_eq!(broker.signal("TERM"), Some(0), "SIGTERM stops it cleanly");
}

#[test]
fn what_does_not_exist_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(folder.path());
    refused(&broker.run(&["topic", "describe", "nowhere"]), 1, &["nowhere", "riverrun topic list"]);
    refused(&broker.run(&["topic", "delete", "nowhere"]), 1, &["nowhere"]);
    refused(&broker.run(&["consume", "nowhere", "-e"]), 1, &["nowhere", "riverrun topic list"]);
    refused(&broker.run(&["group", "describe", "nobody"]), 1, &["nobody"]);
    refused(&broker.run(&["topic", "create", "no/such"]), 1, &["no/such"]);
    let output = broker.run(&["topic", "create", "t", "--config", "retention.ms=soon"]);
    refused(&output, 1, &["retention.ms", "soon"]);
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let output = riverrun().args(["topic", "list", "--bootstrap", &free.to_string()]).output().expect("it runs");
    refused(&output, 1, &[&free.to_string(), "is one running there"]);
}

#[test]
fn bad_flags_and_settings_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = |arguments: &[&str]| {
        riverrun().arg("broker").arg("--data-dir").arg(folder.path()).args(arguments).output().expect("it runs")
    };
    refused(&broker(&["--lissten", "x"]), 2, &["--lissten", "--listen"]);
    refused(&broker(&["--set", "num.partitons=3"]), 1, &["num.partitons", "num.partitions"]);
    refused(&broker(&["--set", "num.partitions=many"]), 1, &["num.partitions", "many"]);
    refused(&broker(&["--set", "nothing"]), 2, &["nothing", "name=value"]);
    refused(&broker(&["--config", "/no/such/file"]), 1, &["/no/such/file"]);
    refused(&broker(&["--listen", "here"]), 1, &["here"]);
    let output = riverrun().args(["demo", "--for", "soon"]).output().expect("it runs");
    refused(&output, 2, &["soon", "20s"]);
    let output = riverrun().args(["demo", "/no/such.log", "--data-dir"]).arg(folder.path()).output().expect("it runs");
    refused(&output, 1, &["/no/such.log"]);
}

#[test]
fn an_address_in_use_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output =
        riverrun().args(["broker", "--listen", &address, "--data-dir"]).arg(folder.path()).output().expect("it runs");
    refused(&output, 1, &[&address, "in use"]);
}

#[test]
fn a_data_directory_belongs_to_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = Broker::start(folder.path());
    let second = || {
        riverrun()
            .args(["broker", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .output()
            .expect("it runs")
    };
    refused(&second(), 1, &[&folder.path().display().to_string(), "another process"]);
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("thesis.txt"), "all of it").expect("writes");
    let start = |path: &Path| {
        riverrun().args(["broker", "--listen", "127.0.0.1:0", "--data-dir"]).arg(path).output().expect("it runs")
    };
    refused(&start(folder.path()), 1, &["thesis.txt", "name an empty or new folder"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1, "nothing was added");
    refused(&start(&folder.path().join("thesis.txt")), 1, &["thesis.txt"]);
}

#[test]
fn a_corrupt_segment_takes_its_partition_offline_and_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Broker::start(folder.path());
    for topic in ["t", "sound"] {
        succeeded(broker.run(&["topic", "create", topic, "-p", "1"]));
        for value in ["one\n", "two\n", "three\n"] {
            assert!(broker.produce(&[topic], value).status.success());
        }
    }
    // A crash: nothing is known to be sound when the broker starts again.
    broker.signal("KILL");
    let path = folder.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).expect("the segment");
    bytes[65] ^= 1;
    std::fs::write(&path, &bytes).expect("writes");

    let aside = tempfile::tempdir().expect("a folder");
    let log = aside.path().join("broker.log");
    let mut again = Broker::start_logging(folder.path(), &log);
    let read = ["consume", "sound", "--from-beginning", "--max", "3"];
    assert!(succeeded(again.run(&read)).contains("three"), "the other partition is served");
    let described = succeeded(again.run(&["topic", "describe", "t"]));
    assert!(described.contains("none"), "the damaged one has no leader: {described}");
    let verify = || riverrun().args(["log", "verify"]).arg(folder.path()).output().expect("it runs");
    let output = verify();
    assert_eq!(output.status.code(), Some(0), "the only segment grows: {}", text(&output));
    assert!(text(&output).contains("a broker runs on"), "{}", text(&output));
    again.signal("TERM");
    let said = std::fs::read_to_string(&log).expect("the log");
    for word in [&*path.display().to_string(), "corrupt at byte 0", "riverrun log verify"] {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
    assert_eq!(std::fs::read(&path).expect("the segment"), bytes, "not a byte was cut off");

    // What the message advises works: it shows what is sound, and without the folder the partition starts empty.
    refused(&verify(), 1, &["damaged batch", "at byte 0, offset 0", "sound offsets: 1 to 2", "riverrun log dump"]);
    let dumped =
        riverrun().args(["log", "dump", "--records"]).arg(folder.path().join("t-0")).output().expect("it runs");
    refused(&dumped, 1, &["isvalid: false", r#"value: "two""#, r#"value: "three""#]);
    std::fs::rename(folder.path().join("t-0"), aside.path().join("t-0")).expect("moves");
    let mut again = Broker::start(folder.path());
    assert!(again.produce(&["t"], "anew\n").status.success());
    assert!(succeeded(again.run(&["consume", "t", "--from-beginning", "--max", "1"])).contains("anew"));
    assert_eq!(again.signal("TERM"), Some(0));
    assert!(succeeded(verify()).contains("clean"));
}

/// When a starting broker is told to end.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Its lock file is there: the data directory is being opened.
    Locked,
    /// Its port takes connections, which it does before it serves them.
    Connected,
}

#[test]
fn a_broker_that_is_told_to_end_while_it_starts_ends_cleanly() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for round in 0..12 {
        let moment = if round % 2 == 0 { Moment::Locked } else { Moment::Connected };
        let signal = if round % 3 == 0 { "INT" } else { "TERM" };
        // Free a moment ago; another process may take it, and then the broker says so.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let lock = data.join(".lock");
        if lock.exists() {
            std::fs::remove_file(&lock).expect("nobody has it");
        }
        let mut child = riverrun()
            .args(["broker", "--listen", &address.to_string(), "--data-dir"])
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let come = || match moment {
            Moment::Locked => lock.exists(),
            Moment::Connected => TcpStream::connect(address).is_ok(),
        };
        while !come() {
            assert!(child.try_wait().expect("it can be asked").is_none(), "{moment:?}: it ended by itself");
            std::thread::yield_now();
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{moment:?}, SIG{signal}: {:?} {}", output.status, text(&output));
        assert!(text(&output).contains("stopped"), "{moment:?}, SIG{signal}: {}", text(&output));
        assert!(data.join(".kafka_cleanshutdown").exists(), "{moment:?}, SIG{signal}: {}", text(&output));
    }
    let mut broker = Broker::start(&data);
    assert_eq!(broker.signal("TERM"), Some(0));
}
