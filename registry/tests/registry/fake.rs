//! A registry that answers what it is told, for answers that a real one does not give on demand.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Answers by `METHOD path`; anything else is 404 in Confluent's form.
pub(crate) struct Fake {
    pub(crate) url: String,
    answers: Arc<Mutex<Vec<(String, u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    ending: Arc<AtomicBool>,
}

impl Fake {
    pub(crate) fn start(answers: &[(&str, u16, &str)]) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake {
            url: format!("http://{}/api", listener.local_addr().unwrap()),
            answers: Arc::default(),
            asked: Arc::default(),
            ending: Arc::default(),
        };
        fake.answer(answers);
        let (answers, asked, ending) = (fake.answers.clone(), fake.asked.clone(), fake.ending.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                serve(stream, &answers, &asked);
            }
        });
        fake
    }

    pub(crate) fn answer(&self, answers: &[(&str, u16, &str)]) {
        let answers = answers.iter().map(|(call, status, body)| ((*call).to_owned(), *status, (*body).to_owned()));
        *self.answers.lock().unwrap() = answers.collect();
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url["http://".len()..].trim_end_matches("/api"));
    }
}

fn serve(mut stream: TcpStream, answers: &Mutex<Vec<(String, u16, String)>>, asked: &Mutex<Vec<String>>) {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    let head = loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => read.extend_from_slice(&chunk[..bytes]),
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break head.to_owned();
        }
    };
    let call = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").replace("/api", "");
    let auth = head.lines().find(|line| line.to_lowercase().starts_with("authorization: ")).unwrap_or_default();
    asked.lock().unwrap().push(format!("{call} {}", auth.rsplit(' ').next().unwrap_or_default()).trim_end().to_owned());
    let missing = (404, r#"{"error_code":40401,"message":"not found"}"#.to_owned());
    let found = answers.lock().unwrap().iter().find(|(known, _, _)| *known == call).cloned();
    let (status, body) = found.map_or(missing, |(_, status, body)| (status, body));
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
}
