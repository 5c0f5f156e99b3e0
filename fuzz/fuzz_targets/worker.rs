//! In:     any bytes as what a worker does: frames, words of the memory that it shares, descriptors, notes, its end.
//! Out:    an edge that serves all others as before.
//! Actors: libFuzzer; a running edge, which serves files and an app whose only worker is this program.
//! Never:  does a worker end the edge, or hold up what is not for its app.

#![no_main]

use hallway_core::control::EDGE_THREADS_MAX;
use hallway_core::lane::{FRAME_BYTES_MAX, frames_max};
use hallway_core::plan::{App, Files, Limits, Listen, Listener, Plan, Route, Site, Target, Trust, WATCHDOG_MS};
use hallway_core::ports::Master;
use hallway_edge::{Beats, Bound, Edge, Ground, MAIN};
use hallway_ring::{Bell, Memory, Receiver, Sender, Shape, send_file};
use hallway_workers::{Lanes, make_lanes};
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// For an answer that has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(20);
const THREADS: usize = 1;
const _: () = assert!(THREADS <= EDGE_THREADS_MAX);

/// A master that only hears.
struct Deaf;

impl Master for Deaf {
    fn edge_is_ready(&self) {}
    fn worker_is_overdue(&self, _: u32) {}
    fn worker_is_stuck(&self, _: u32) {}
    fn worker_has_joined(&self, _: u32) {}
    fn worker_has_served(&self, _: u32) {}
    fn worker_is_leaving(&self, _: u32) {}
    fn plan_is_adopted(&self, _: u32) {}
    fn plan_is_over(&self, _: u32) {}
    fn edge_has_drained(&self) {}
}

struct Running {
    edge: Mutex<Edge>,
    address: SocketAddr,
    workers: AtomicU32,
}

fn running() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("hallway-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("file"), "file").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut app = App::new("app", "app:app".into(), 1);
        (app.timeout_ms, app.queue_max_wait_ms) = (2_000, 500);
        let at = Listen::Tcp(address);
        let app_route = Route::new("/app/*", Target::App { app: 0, strip: false });
        let plan = Plan {
            listeners: vec![Listener::from(at.clone())],
            edge_threads: THREADS,
            apps: vec![app],
            pools: Vec::new(),
            resolvers: Vec::new(),
            sites: vec![Site {
                hosts: vec!["*".into()],
                routes: vec![app_route, Route::new("/*", Target::Files(Files::below(directory)))],
                errors: Vec::new(),
                tls: None,
                merges_slashes: true,
                maintenance: None,
                log: None,
            }],
            certificates: Vec::new(),
            user: None,
            user_origin: String::new(),
            forward_proxy: None,
            zones: Vec::new(),
            trust: Trust::default(),
            logs: Vec::new(),
            log: None,
            limits: Limits::default(),
            spool_bytes_max: Some(64 << 20),
            watchdog_ms: WATCHDOG_MS,
            stop_timeout_ms: None,
            reloads: false,
            by_flags: false,
        };
        let mut sockets = vec![Vec::new()];
        Bound::deal(vec![listener.into()], &at, &mut sockets).unwrap();
        let slots = MAIN + 1 + THREADS;
        let beats = Arc::new(Beats::map(Beats::create(slots).unwrap(), slots).unwrap());
        let ground =
            Ground { plan, serial: 1, sockets, logs: Vec::new(), master: Arc::new(Deaf), beats, give_back: |_| () };
        let edge = Edge::start(ground).unwrap();
        Running { edge: Mutex::new(edge), address, workers: AtomicU32::new(1) }
    })
}

impl Running {
    fn ask(&self, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\n\r\n").unwrap();
        client
    }

    /// Whether what is not the worker's is served.
    fn check(&self) {
        let mut seen = String::new();
        self.ask("/file").read_to_string(&mut seen).expect("the edge does not answer");
        assert!(seen.starts_with("HTTP/1.1 200 ") && seen.ends_with("\r\n\r\nfile"), "{seen}");
    }
}

/// The worker that is played.
struct Worker {
    number: u32,
    memory: OwnedFd,
    inbound: Receiver,
    outbound: Sender,
    bell: Bell,
    socket: OwnedFd,
    /// The last request that it was given.
    ticket: u64,
    clients: Vec<TcpStream>,
}

impl Worker {
    fn new(running: &Running) -> Worker {
        let number = running.workers.fetch_add(1, Ordering::Relaxed);
        let Lanes { edge, worker: socket, shared } = make_lanes(1, THREADS).unwrap();
        let mut shared = shared.into_iter();
        let (memory, bell) = (shared.next().unwrap(), shared.next().unwrap());
        let theirs = bell.try_clone().unwrap();
        running.edge.lock().unwrap().deal_lanes((number, 1, 1), 0, (edge, &memory), vec![theirs]).unwrap();
        let mapped = Memory::map(&memory, Shape::new(FRAME_BYTES_MAX, frames_max(1), 1, THREADS)).unwrap();
        let mapped = Arc::new(mapped);
        let (inbound, outbound) = (Receiver::new(mapped.clone(), 0), Sender::new(mapped, 1));
        Worker { number, memory, inbound, outbound, bell: bell.into(), socket, ticket: 0, clients: Vec::new() }
    }

    fn send(&mut self, frame: &[u8]) {
        let _ = self.outbound.send(&[frame]);
        let _ = self.bell.ring();
    }

    /// Waits, for a moment, for a request.
    fn receive(&mut self) {
        for _ in 0..100 {
            if let Ok(Some(frame)) = self.inbound.begin_next() {
                let ticket = self.inbound.bytes(frame).get(4..12).and_then(|bytes| bytes.try_into().ok());
                self.ticket = ticket.map_or(0, u64::from_le_bytes);
                self.inbound.release();
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Does one thing that the input says; `false` at its end.
    fn act(&mut self, running: &Running, input: &mut Input<'_>) -> bool {
        let Some(what) = input.byte() else { return false };
        let ticket = self.ticket.wrapping_add(if what & 0x80 != 0 { input.number() } else { 0 }).to_le_bytes();
        match what & 0x0f {
            0 => self.send(&[16, 0]),
            1 => {
                self.clients.push(running.ask("/app/x"));
                self.receive();
            }
            2 => {
                let (flags, length, status) = (input.byte().unwrap_or(0), input.number(), input.number() as u16);
                let mut frame = vec![17, flags];
                frame.extend_from_slice(&ticket);
                frame.extend_from_slice(&length.to_le_bytes());
                frame.extend_from_slice(&(if what & 0x40 != 0 { input.number() as u16 } else { 0 }).to_le_bytes());
                frame.extend_from_slice(&(if status < 1000 { status } else { 200 }).to_le_bytes());
                frame.extend_from_slice(&[0, 0]);
                let rest = input.rest(32);
                frame.extend_from_slice(if rest.is_empty() { &[0, 0] } else { rest });
                self.send(&frame);
            }
            3 => {
                let flags = input.byte().unwrap_or(0);
                let frame = [&[18, flags][..], &ticket, input.rest(255)].concat();
                self.send(&frame);
            }
            4 => {
                let (flags, offset, bytes) = (input.byte().unwrap_or(0), input.number(), input.number());
                let frame = [&[22, flags][..], &ticket, &offset.to_le_bytes(), &bytes.to_le_bytes()].concat();
                self.send(&frame);
            }
            5 => {
                let kinds = ["/proc/self/exe", "/dev/zero", "/", "/proc/self/maps"];
                let file = File::open(kinds[usize::from(input.byte().unwrap_or(0)) % kinds.len()]).unwrap();
                let _ = send_file(&self.socket, u64::from_le_bytes(ticket), file.as_fd());
            }
            6 => {
                let kind = [19, 20, 21, 23][usize::from(input.byte().unwrap_or(0)) % 4];
                let frame = if kind >= 21 { vec![kind, 0] } else { [&[kind, 1][..], &ticket].concat() };
                self.send(&frame);
            }
            7 => {
                let frame = input.rest(255).to_vec();
                self.send(&frame);
            }
            // Words of a ring and its credit, then anything in the memory.
            8 => {
                let at = u64::from(input.byte().unwrap_or(0)) * 8 % 704;
                let ring = if what & 0x40 != 0 { 4096 + 512 * 1024 } else { 0 };
                self.write(ring + at, &input.number().to_le_bytes());
            }
            9 => {
                let at = input.number() % (8192 + 2 * 512 * 1024 - 256);
                let bytes = input.rest(64).to_vec();
                self.write(at, &bytes);
            }
            10 => self.receive(),
            11 => drop(self.clients.pop()),
            12 => {
                let _ = rustix::io::write(&self.socket, input.rest(32));
            }
            // More than its credit, after some of these.
            13 => self.send(&[&[18, 0][..], &ticket, &vec![0; input.number() as usize % (128 * 1024)]].concat()),
            _ => drop(self.bell.ring()),
        }
        true
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let memory = File::from(self.memory.try_clone().unwrap());
        let _ = memory.write_all_at(bytes, at);
    }
}

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number of any size, mostly near the ends of what it can be.
    fn number(&mut self) -> u64 {
        let Some(kind) = self.byte() else { return 0 };
        let small = u64::from(self.byte().unwrap_or(0));
        match kind % 6 {
            0 => small,
            1 => small << 12,
            2 => u64::MAX - small,
            3 => (1 << 63) - 1 - small,
            4 => (1 << 63) + small,
            _ => {
                let mut bytes = [0; 8];
                let rest = self.rest(8);
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(bytes)
            }
        }
    }

    fn rest(&mut self, most: usize) -> &'a [u8] {
        let wanted = usize::from(self.byte().unwrap_or(0)) % (most + 1);
        let (part, rest) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = rest;
        part
    }
}

fuzz_target!(|bytes: &[u8]| {
    let running = running();
    let mut worker = Worker::new(running);
    let mut input = Input(bytes);
    for _ in 0..64 {
        if !worker.act(running, &mut input) {
            break;
        }
    }
    running.check();
    let number = worker.number;
    drop(worker);
    running.edge.lock().unwrap().forget(number);
    running.check();
});
