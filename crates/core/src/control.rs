//! In:     orders of the master to its children, reports of the children to the master.
//! Out:    their bytes, one packet each; descriptors travel beside them.
//! Actors: none.
//! Never:  does a request pass here; these are a few messages in the life of a process.

use crate::wire_format::Reader;

/// Longest message, either way: that which says why a plan is refused.
pub const MESSAGE_BYTES_MAX: usize = 1024;
/// Most descriptors beside one message; the kernel takes 253 (SCM_MAX_FD).
pub const DESCRIPTORS_MAX: usize = 66;
/// Most event loops an edge may have: each is one lane, and a message carries all lanes of a worker.
pub const EDGE_THREADS_MAX: usize = 64;

/// The tag of `Report::Refused`, whose packet is longer than the others.
const REFUSED: u8 = 20;

/// What the master tells a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// New lanes between the edge and this worker. Beside it: a socket, the memory of the rings,
    /// then one bell for each event loop of the edge.
    Lanes {
        /// The worker's number, never used twice.
        worker: u32,
        /// Its process, for logs.
        pid: u32,
        /// Requests it works on at a time.
        slots: u32,
        /// Its app, of those in the plan.
        app: u32,
    },
    /// Edge: sockets of the next plan. Beside it: as many as one message takes, in the order of its addresses.
    Sockets,
    /// Edge: go by this plan from now on. Beside it: the plan.
    Plan {
        /// Its serial number.
        serial: u32,
    },
    /// Finish what has begun, then exit.
    Finish,
    /// Edge: this worker has ended.
    Gone {
        /// Its number.
        worker: u32,
    },
    /// Edge: no worker of this app could be started; its requests are answered so until one says hello.
    AnswerFor {
        /// The app.
        app: u32,
    },
    /// Edge: files of access logs, in the order of the plan that they are for. Beside it: so many of them as one message
    /// carries; what follows (a plan, or `ReopenLogs`) is for all that came since the last of its kind.
    Logs,
    /// Edge: write on in the files that came; the former ones were moved away.
    ReopenLogs,
    /// Edge: say how the servers of the pools are. Beside it: the socket of who asks.
    Status,
}

/// What a child tells the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has what it needs and works.
    Ready,
    /// Edge: it has given up all rights that it does not need, and nobody can look into it; it may have the plan.
    Confined,
    /// Worker: its interpreter could not be started.
    Unstarted {
        /// What could not be done.
        step: Step,
        /// The error of the system.
        errno: u32,
    },
    /// Edge: a request on this worker took longer than the timeout.
    Overdue {
        /// The worker's number.
        worker: u32,
    },
    /// Edge: a request on this worker took longer than the timeout, and others are still worked on.
    Stuck {
        /// The worker's number.
        worker: u32,
    },
    /// Edge: this worker said hello.
    Joined {
        /// The worker's number.
        worker: u32,
    },
    /// Edge: this worker has answered for the first time.
    Served {
        /// The worker's number.
        worker: u32,
    },
    /// Edge: this worker said that it begins nothing more, and ends.
    Leaving {
        /// The worker's number.
        worker: u32,
    },
    /// Edge: everything that comes from now on goes by the plan with this serial number.
    Adopted {
        /// Its serial number.
        serial: u32,
    },
    /// Edge: nothing goes by the plan with this serial number any more.
    Over {
        /// Its serial number.
        serial: u32,
    },
    /// Edge: it cannot go by the plan with this serial number, and goes on by the one it has. The packet says why
    /// (`refusal`).
    Refused {
        /// Its serial number.
        serial: u32,
    },
    /// Edge: everything is answered.
    Drained,
    /// Worker: it has served `max_requests`.
    Spent,
    /// Worker: it begins nothing more and ends, although nobody told it to.
    Left,
}

/// What is done before a worker's interpreter is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its rights are given up.
    User,
    /// Its directory is entered.
    Directory,
    /// Its interpreter is started.
    Interpreter,
}

impl Order {
    /// The packet of an order.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Order::Lanes { worker, pid, slots, app } => packet(1, &[worker, pid, slots, app]),
            Order::Finish => packet(2, &[]),
            Order::ReopenLogs => packet(3, &[]),
            Order::Gone { worker } => packet(4, &[worker]),
            Order::Sockets => packet(5, &[]),
            Order::Plan { serial } => packet(6, &[serial]),
            Order::Status => packet(7, &[]),
            Order::AnswerFor { app } => packet(8, &[app]),
            Order::Logs => packet(20, &[]),
        }
    }

    /// An order from its packet; nothing if it is none.
    pub fn decode(raw: &[u8]) -> Option<Order> {
        let mut reader = Reader(raw);
        let order = match reader.u8()? {
            1 => Order::Lanes { worker: reader.u32()?, pid: reader.u32()?, slots: reader.u32()?, app: reader.u32()? },
            2 => Order::Finish,
            3 => Order::ReopenLogs,
            4 => Order::Gone { worker: reader.u32()? },
            5 => Order::Sockets,
            6 => Order::Plan { serial: reader.u32()? },
            7 => Order::Status,
            8 => Order::AnswerFor { app: reader.u32()? },
            20 => Order::Logs,
            _ => return None,
        };
        reader.0.is_empty().then_some(order)
    }
}

impl Report {
    /// The packet of a report.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Report::Ready => packet(1, &[]),
            Report::Overdue { worker } => packet(2, &[worker]),
            Report::Drained => packet(3, &[]),
            Report::Spent => packet(4, &[]),
            Report::Stuck { worker } => packet(5, &[worker]),
            Report::Joined { worker } => packet(6, &[worker]),
            Report::Over { serial } => packet(7, &[serial]),
            Report::Adopted { serial } => packet(8, &[serial]),
            Report::Left => packet(9, &[]),
            Report::Confined => packet(10, &[]),
            Report::Unstarted { step, errno } => packet(11, &[step as u32, errno]),
            Report::Refused { serial } => packet(REFUSED, &[serial]),
            Report::Served { worker } => packet(12, &[worker]),
            Report::Leaving { worker } => packet(13, &[worker]),
        }
    }

    /// A report from its packet; nothing if it is none.
    pub fn decode(raw: &[u8]) -> Option<Report> {
        let mut reader = Reader(raw);
        let report = match reader.u8()? {
            1 => Report::Ready,
            2 => Report::Overdue { worker: reader.u32()? },
            3 => Report::Drained,
            4 => Report::Spent,
            5 => Report::Stuck { worker: reader.u32()? },
            6 => Report::Joined { worker: reader.u32()? },
            7 => Report::Over { serial: reader.u32()? },
            8 => Report::Adopted { serial: reader.u32()? },
            9 => Report::Left,
            10 => Report::Confined,
            11 => Report::Unstarted { step: Step::of(reader.u32()?)?, errno: reader.u32()? },
            // Behind it stands why.
            REFUSED => return Some(Report::Refused { serial: reader.u32()? }),
            12 => Report::Served { worker: reader.u32()? },
            13 => Report::Leaving { worker: reader.u32()? },
            _ => return None,
        };
        reader.0.is_empty().then_some(report)
    }
}

impl Step {
    fn of(number: u32) -> Option<Step> {
        [Step::User, Step::Directory, Step::Interpreter].into_iter().find(|step| *step as u32 == number)
    }
}

/// The packet that says why a plan is refused; as much of the reason as there is room for.
pub fn encode_refusal(serial: u32, reason: &str) -> Vec<u8> {
    let mut out = Report::Refused { serial }.encode();
    let room = MESSAGE_BYTES_MAX - out.len();
    out.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(room)]);
    out
}

/// Why a plan is refused, by the packet of `Report::Refused`.
pub fn refusal(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw.get(1 + size_of::<u32>()..).unwrap_or_default()).into_owned()
}

/// A report as it goes through the pipe to the master: its length, then the packet. The system takes so few bytes as a whole.
pub fn put_report(packet: &[u8]) -> Vec<u8> {
    let packet = &packet[..packet.len().min(MESSAGE_BYTES_MAX)];
    let mut record = (packet.len() as u16).to_le_bytes().to_vec();
    record.extend_from_slice(packet);
    record
}

fn packet(tag: u8, numbers: &[u32]) -> Vec<u8> {
    let mut out = vec![tag];
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for order in [
            Order::Lanes { worker: 7, pid: 1 << 20, slots: 4, app: 2 },
            Order::Finish,
            Order::ReopenLogs,
            Order::Gone { worker: 3 },
            Order::Sockets,
            Order::Plan { serial: 9 },
            Order::Status,
            Order::AnswerFor { app: 5 },
            Order::Logs,
            Order::ReopenLogs,
        ] {
            assert_eq!(Order::decode(&order.encode()), Some(order));
        }
        for report in [
            Report::Ready,
            Report::Overdue { worker: 9 },
            Report::Stuck { worker: 2 },
            Report::Joined { worker: 4 },
            Report::Served { worker: 5 },
            Report::Leaving { worker: 6 },
            Report::Drained,
            Report::Over { serial: 8 },
            Report::Adopted { serial: 9 },
            Report::Spent,
            Report::Left,
            Report::Confined,
            Report::Unstarted { step: Step::Directory, errno: 13 },
            Report::Refused { serial: 7 },
        ] {
            assert_eq!(Report::decode(&report.encode()), Some(report));
            assert_eq!(Report::decode(&put_report(&report.encode())[2..]), Some(report));
        }
        assert_eq!(Order::decode(&[]), None);
        assert_eq!(Order::decode(&[1, 2, 3]), None);
        assert_eq!(Report::decode(&[3, 0]), None);
        assert_eq!(Report::decode(&[11, 9, 0, 0, 0, 1, 0, 0, 0]), None);
    }

    #[test]
    fn a_refusal_says_why_as_far_as_there_is_room() {
        let packet = encode_refusal(3, "no room");
        assert_eq!((Report::decode(&packet), &*refusal(&packet)), (Some(Report::Refused { serial: 3 }), "no room"));
        let long = encode_refusal(3, &"\u{e9}".repeat(MESSAGE_BYTES_MAX));
        assert!(long.len() <= MESSAGE_BYTES_MAX && refusal(&long).chars().all(|sign| sign == '\u{e9}'));
        assert_eq!(refusal(&[]), "");
    }
}
