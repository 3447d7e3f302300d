//! A TCP proxy that harms what passes through it: a network, and servers, that fail in known ways.

use std::{
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What happens to a connection from a request on that a rule is about.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Each piece of the request waits so long before it is passed on.
    Delay(Duration),
    /// Nothing passes any more, either way, and nobody is told.
    Blackhole,
    /// The request does not arrive: the connection is reset.
    Reset,
    /// The request arrives; of what comes back so many bytes pass, then the connection is closed.
    CutAfter(usize),
    /// The request arrives and is answered; nothing comes back, the connection is reset.
    DropReply,
    /// The request does not arrive; this comes back instead, and the connection is closed. Understands HTTP bodies
    /// with a `Content-Length`.
    Answer(String),
}

impl Fault {
    /// An HTTP answer of that status, such as `503 Slow Down`.
    pub fn status(status: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    }
}

#[derive(Debug)]
struct Rule {
    needle: String,
    times: usize,
    fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// How often a rule was met.
    met: usize,
}

/// A proxy in front of one server; it ends with this handle, and all connections with it.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one that harms nothing yet.
    pub async fn start(to: SocketAddr) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), to).await
    }

    /// The same, listening at an address of the caller's.
    pub async fn at(address: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(serve(listener, to, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// From now on, so many pieces of a request that hold that text (any piece: an empty one) meet that fault. A piece
    /// is what one read brings: the head of a request, and what came with it. The first rule that fits counts.
    pub fn harm(&self, needle: &str, times: usize, fault: Fault) {
        locked(&self.state).rules.push(Rule { needle: needle.to_owned(), times, fault });
    }

    /// No rule holds any more; connections that met one stay as they are.
    pub fn heal(&self) {
        locked(&self.state).rules.clear();
    }

    /// How often a rule was met so far.
    pub fn met(&self) -> usize {
        locked(&self.state).met
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rule_for(state: &Mutex<State>, piece: &[u8]) -> Option<Fault> {
    let mut state = locked(state);
    let holds = |needle: &[u8]| needle.is_empty() || piece.windows(needle.len()).any(|part| part == needle);
    let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && holds(rule.needle.as_bytes()))?;
    rule.times -= 1;
    let fault = rule.fault.clone();
    state.met += 1;
    Some(fault)
}

async fn serve(listener: TcpListener, to: SocketAddr, state: Arc<Mutex<State>>) {
    // ends all of them when it is dropped
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // either side may go at any time, which ends the connection and is nobody's fault
            let _ = pass(client, to, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What still passes to the client.
#[derive(Clone, Copy)]
enum Reply {
    Whole,
    /// So many bytes, and then the end.
    Cut(usize),
    /// Nothing, and then a reset.
    Dropped,
}

async fn pass(mut client: TcpStream, to: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut reply = Reply::Whole;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let piece = &up[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                match rule_for(state, piece) {
                    None => {}
                    Some(Fault::Delay(wait)) => tokio::time::sleep(wait).await,
                    Some(Fault::Blackhole) => pending().await,
                    Some(Fault::Reset) => return client.set_zero_linger(),
                    Some(Fault::CutAfter(bytes)) => reply = Reply::Cut(bytes),
                    Some(Fault::DropReply) => reply = Reply::Dropped,
                    Some(Fault::Answer(text)) => return answer(client, piece, &text).await,
                }
                server.write_all(piece).await?;
            }
            read = server.read(&mut down) => {
                let piece = &down[..read?];
                if piece.is_empty() {
                    return Ok(());
                }
                match &mut reply {
                    Reply::Whole => client.write_all(piece).await?,
                    Reply::Dropped => return client.set_zero_linger(),
                    Reply::Cut(left) if *left <= piece.len() => return client.write_all(&piece[..*left]).await,
                    Reply::Cut(left) => {
                        *left -= piece.len();
                        client.write_all(piece).await?;
                    }
                }
            }
        }
    }
}

/// Takes the whole request, as its sender would else see a broken connection and no answer.
async fn answer(mut client: TcpStream, piece: &[u8], text: &str) -> std::io::Result<()> {
    let mut request = piece.to_vec();
    loop {
        let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, _)) = head.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            let mut rest = vec![0; (head.len() + 4 + length).saturating_sub(request.len())];
            client.read_exact(&mut rest).await?;
            client.write_all(text.as_bytes()).await?;
            return client.shutdown().await;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
}
