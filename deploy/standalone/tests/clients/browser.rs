//! Chromium, driven by playwright-core in a Node process that all tests share.
//!
//! A test has a [`Visitor`] of its own, which is a browser context: nobody else sees its storage. What a visitor does is
//! JavaScript in which `page` and `context` are playwright's, and `cdp` a session of Chromium's own protocol.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

use crate::{DEADLINE, npm};

type Waiting = Arc<Mutex<HashMap<usize, Sender<Result<Value, String>>>>>;

struct Driver {
    stdin: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicUsize,
}

/// Someone with a browser. Closed when dropped.
pub(crate) struct Visitor {
    number: usize,
}

impl Visitor {
    pub(crate) fn new() -> Visitor {
        Visitor::with("{}")
    }

    /// With playwright's options for a context, as JavaScript.
    pub(crate) fn with(options: &str) -> Visitor {
        let number = driver().next.fetch_add(1, Ordering::Relaxed);
        let visitor = Visitor { number };
        visitor.run(&format!("await open({options})"));
        visitor
    }

    /// Runs the body of an async function and returns what it returns.
    #[track_caller]
    pub(crate) fn run(&self, code: &str) -> Value {
        match self.try_run(code) {
            Ok(value) => value,
            Err(error) => panic!("{code}: {error}"),
        }
    }

    fn try_run(&self, code: &str) -> Result<Value, String> {
        let driver = driver();
        let id = driver.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = channel();
        driver.waiting.lock().expect("no panic while it is held").insert(id, answer);
        let command = json!({"id": id, "visitor": self.number, "code": code});
        let mut stdin = driver.stdin.lock().expect("no panic while it is held");
        writeln!(stdin, "{command}").map_err(|error| format!("the driver is gone: {error}"))?;
        drop(stdin);
        answered.recv_timeout(DEADLINE).map_err(|error| format!("no answer: {error}"))?
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = self.try_run("await close()");
    }
}

fn driver() -> &'static Driver {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    DRIVER.get_or_init(|| {
        // It ends, and Chromium with it, when its stdin closes: at the latest when this process is gone.
        let mut child = npm::node("browser/driver.cjs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing: `deploy/setup --tests` says how to install it");
        let stdin = Mutex::new(child.stdin.take().expect("piped"));
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let waiting = Waiting::default();
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                let id = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok()).expect("an id");
                let waiting = answers.lock().expect("no panic while it is held").remove(&id);
                let result = match answer.get("error") {
                    Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
                    None => Ok(answer["value"].clone()),
                };
                waiting.expect("asked once").send(result).unwrap_or_default();
            }
            // Whoever waits now is told at once, by the sender that goes away.
            answers.lock().expect("no panic while it is held").clear();
            let _ = child.wait();
        });
        Driver { stdin, waiting, next: AtomicUsize::new(1) }
    })
}
