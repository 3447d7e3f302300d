//! The way between the crate, which wants a websocket, and Chromium, which is spoken to over pipes: with a port of
//! Chromium's own every user of this host could read the sessions of its pages.
//!
//! The port here is open for one moment only, until somebody who knows its random path has connected. Both sides
//! speak the same messages, so that they are only passed on: over the pipes each ends with a NUL byte.

use std::{
    fs::File,
    io::{self, BufRead, Read as _, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tungstenite::{
    Message, WebSocket,
    handshake::server::{ErrorResponse, Request, Response},
    http::StatusCode,
    protocol::{Role, WebSocketConfig},
};

/// Random bytes of the path.
const SECRET_BYTES: usize = 32;
/// How long the client may take to connect, and another one that connects may be silent.
const CONNECTS_WITHIN: Duration = Duration::from_secs(45);
/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(2);

/// Opens the one connection between a client and a browser; gives the address for it. The connection ends with
/// the browser, and the browser's pipe with the connection. Nobody else is let in, and nobody after the first.
///
/// # Errors
/// When this host has no port or no thread for it.
pub(super) fn open(
    to_browser: impl Write + Send + 'static,
    from_browser: impl BufRead + Send + 'static,
) -> io::Result<String> {
    let path = format!("/{}", secret()?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = format!("ws://{}{path}", listener.local_addr()?);
    thread::Builder::new().name("browser-bridge".to_owned()).spawn(move || {
        let client = first_client(&listener, &path);
        // from here on the port is closed
        drop(listener);
        if let Err(error) = client.and_then(|client| carry(client, to_browser, from_browser)) {
            tracing::debug!(%error, "the connection to a browser broke");
        }
    })?;
    Ok(address)
}

fn secret() -> io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Waits for the client that knows the path. Each one is heard on a thread of its own: one that is silent holds up
/// nobody.
fn first_client(listener: &TcpListener, path: &str) -> io::Result<WebSocket<TcpStream>> {
    let (sender, known) = mpsc::channel();
    let end = Instant::now() + CONNECTS_WITHIN;
    listener.set_nonblocking(true)?;
    while Instant::now() < end {
        match listener.accept() {
            Ok((stream, _)) => {
                let (sender, path) = (sender.clone(), path.to_owned());
                let heard = move || {
                    if let Some(client) = handshake(stream, &path) {
                        // only one is waited for
                        let _ = sender.send(client);
                    }
                };
                thread::Builder::new().name("browser-client".to_owned()).spawn(heard)?;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        if let Ok(client) = known.recv_timeout(LOOK) {
            return Ok(client);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The client's side of the connection; nothing for one that does not know the path.
#[expect(clippy::result_large_err, reason = "the crate's own type for a refusal")]
fn handshake(stream: TcpStream, path: &str) -> Option<WebSocket<TcpStream>> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(CONNECTS_WITHIN)).ok()?;
    stream.set_nodelay(true).ok()?;
    let known = |request: &Request, response: Response| {
        if request.uri().path() == path { Ok(response) } else { Err(stranger()) }
    };
    let client = tungstenite::accept_hdr_with_config(stream, known, Some(unlimited())).ok()?;
    client.get_ref().set_read_timeout(None).ok()?;
    Some(client)
}

fn stranger() -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// Answers of pages are as large as they are.
fn unlimited() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

/// Passes messages on in both directions, until one side ends.
fn carry(
    mut client: WebSocket<TcpStream>,
    mut to_browser: impl Write + Send + 'static,
    from_browser: impl BufRead + Send + 'static,
) -> io::Result<()> {
    let stream = client.get_ref().try_clone()?;
    let answers = WebSocket::from_raw_socket(client.get_ref().try_clone()?, Role::Server, Some(unlimited()));
    thread::Builder::new().name("browser-answers".to_owned()).spawn(move || {
        let ended = pass_answers(from_browser, answers);
        tracing::debug!(?ended, "the browser says no more");
        // the client's calls that wait fail now; it may have gone before
        let _ = stream.shutdown(Shutdown::Both);
    })?;
    loop {
        match client.read() {
            Ok(Message::Text(text)) => {
                to_browser.write_all(text.as_bytes())?;
                to_browser.write_all(&[0])?;
                to_browser.flush()?;
            }
            Ok(Message::Close(_)) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
}

fn pass_answers(
    mut from_browser: impl BufRead,
    mut client: WebSocket<TcpStream>,
) -> Result<(), tungstenite::Error> {
    while let Some(text) = next_message(&mut from_browser)? {
        client.send(Message::text(text))?;
    }
    Ok(())
}

/// The next message of a browser; nothing when it has ended.
///
/// # Errors
/// When the pipe breaks, or ends in the middle of a message.
pub(super) fn next_message(from_browser: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut message = Vec::new();
    from_browser.read_until(0, &mut message)?;
    match message.pop() {
        None => Ok(None),
        Some(0) => String::from_utf8(message).map(Some).map_err(io::Error::other),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, pipe};

    use super::*;

    /// A bridge to a browser that answers each message with the same one; gives its address.
    fn echo() -> String {
        let ((from_client, to_browser), (from_browser, to_client)) = (pipe().unwrap(), pipe().unwrap());
        thread::spawn(move || io::copy(&mut { from_client }, &mut { to_client }));
        open(to_browser, BufReader::new(from_browser)).unwrap()
    }

    fn port(address: &str) -> String {
        address.strip_prefix("ws://").unwrap().split('/').next().unwrap().to_owned()
    }

    #[test]
    fn who_does_not_know_the_path_is_refused_and_holds_up_nobody() {
        let address = echo();
        let port = port(&address);
        assert_eq!(address.rsplit('/').next().unwrap().len(), 2 * SECRET_BYTES);
        let silent = TcpStream::connect(&port).unwrap();
        for path in ["", "devtools/browser", "json/version", &"0".repeat(2 * SECRET_BYTES)] {
            let refused = tungstenite::connect(format!("ws://{port}/{path}")).unwrap_err();
            assert!(
                matches!(&refused, tungstenite::Error::Http(answer) if answer.status() == 403),
                "{refused}"
            );
        }
        let connected = tungstenite::client::connect_with_config(&address, Some(unlimited()), 0);
        let (mut client, _) = connected.unwrap();
        let large = "x".repeat(20 << 20);
        for said in ["{}", "é", &large] {
            client.send(Message::text(said)).unwrap();
            assert!(client.read().unwrap().into_text().unwrap() == said);
        }
        let late = TcpStream::connect(&port).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::ConnectionRefused, "the port is closed");
        drop(silent);
    }

    #[test]
    fn the_connection_ends_with_the_browser_and_its_pipe_with_the_connection() {
        let ((mut from_client, to_browser), (from_browser, to_client)) = (pipe().unwrap(), pipe().unwrap());
        let address = open(to_browser, BufReader::new(from_browser)).unwrap();
        let (mut client, _) = tungstenite::connect(&address).unwrap();
        drop(to_client);
        assert!(client.read().is_err(), "the browser has ended");
        let mut rest = Vec::new();
        assert_eq!(from_client.read_to_end(&mut rest).unwrap(), 0, "nobody writes to its pipe any more");
    }

    #[test]
    fn messages_end_with_a_nul() {
        let mut pipe = &b"one\0two\0thr"[..];
        assert_eq!(next_message(&mut pipe).unwrap().as_deref(), Some("one"));
        assert_eq!(next_message(&mut pipe).unwrap().as_deref(), Some("two"));
        assert_eq!(next_message(&mut pipe).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(next_message(&mut pipe).unwrap(), None);
    }
}
