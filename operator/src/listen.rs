//! Responsible for opening listening sockets at boot, and for saying clearly why one cannot be opened. Leaves accepting
//! connections to whoever asked.

use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

use crate::exit::Failure;

/// Connections that the kernel holds for us until they are accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Listens on `HOST:PORT`; port 0 takes a free one. Call it inside a runtime.
///
/// # Errors
/// Exit code 64 where the address is no address, 69 where it cannot be had.
pub fn bind(addr: impl ToSocketAddrs + Display) -> Result<TcpListener, Failure> {
    let resolved = addr.to_socket_addrs().map_err(|error| unresolved(&addr, &error))?;
    let mut refused = None;
    for socket_addr in resolved {
        match open(socket_addr) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(unavailable(socket_addr, &error)),
        }
    }
    Err(refused.unwrap_or_else(|| Failure::environment(format!("{addr} has no address: use an IP address"))))
}

fn open(addr: SocketAddr) -> Result<TcpListener, Error> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Else a restart would have to wait for the closed connections of the process before it.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn unresolved(addr: &impl Display, error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidInput => {
            Failure::config(format!("`{addr}` is no address to listen on: use HOST:PORT, such as 127.0.0.1:8080"))
        }
        _ => {
            Failure::environment(format!("cannot resolve {addr} ({error}): use an IP address, such as 127.0.0.1:8080"))
        }
    }
}

fn unavailable(addr: SocketAddr, error: &Error) -> Failure {
    let port = addr.port();
    Failure::environment(match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "port {port} is in use: stop the process that listens on {addr}, or choose another port (0 takes a free one)"
            )
        }
        ErrorKind::PermissionDenied => format!("port {port} may not be opened by this user: choose a port above 1023"),
        ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine: use 127.0.0.1 or 0.0.0.0", addr.ip())
        }
        _ => format!("cannot listen on {addr}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addr: &str, code: u8, part: &str) {
        let failure = bind(addr).expect_err("must be refused");
        assert_eq!(failure.code(), code, "{failure}");
        assert!(failure.to_string().contains(part), "{failure}");
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_had_says_why() {
        check("8080", 64, "`8080` is no address to listen on");
        check("127.0.0.1:99999", 64, "use HOST:PORT");
        check("192.0.2.1:0", 69, "is not an address of this machine");
        let taken = bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
        drop(bind(taken).expect("free again at once"));
        let held = bind("localhost:0").expect("a name works too");
        let port = held.local_addr().expect("bound").port();
        check(&held.local_addr().expect("bound").to_string(), 69, &format!("port {port} is in use: "));
    }
}
