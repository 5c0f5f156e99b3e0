//! In:     an exchange.
//! Out:    its answer delivered, its line in the log.
//! Actors: the task of the connection.
//! Never:  is a stop skipped or taken in another order; read it as the list it is.

use crate::answer::{Answer, Source};
use crate::deliver::deliver;
use crate::exchange::{Exchange, Wire};
use crate::house::House;
use crate::packer::Packer;
use crate::permit::permit;
use crate::piece::Piece;
use crate::rules::Rules;
use crate::target;
use crate::trip::Trip;
use hallway_core::plan::Target;
use hallway_core::record::{Facts, TryFacts};
use hallway_core::semantics::{adjust, explain_fault, intercept, options, pack, vary_by_coding};
use hallway_core::{Fault, Head, permit};
use std::rc::Rc;

/// Carries one request from its head to its log line. Arriving (1) and reading (2) were the
/// listener's and the engine's; there is no cache yet to look up in (6).
pub(crate) async fn travel<W: Wire>(house: &Rc<House>, exchange: Exchange<'_, W>) {
    let mut voyage = Voyage { house, exchange, trip: Trip::begin(house), outcome: None };
    let Voyage { exchange, trip, .. } = &mut voyage;
    trip.learn_client(exchange);
    let mut answer = answer(house, exchange, trip).await;
    let outcome = loop {
        let given = match answer {
            Ok(answer) => answer,
            Err(Fault::ClientGone) => break Err(Fault::ClientGone),
            Err(fault) => {
                complain(house, exchange.head, trip, fault);
                explain(exchange.rules, trip, fault, Some(exchange.head))
            }
        };
        match deliver(house, exchange, trip, given).await {
            // Nothing of it was sent: a client that sees a bare close would ask again.
            Err(fault) if trip.status == 0 && fault != Fault::ClientGone => answer = Err(fault),
            outcome => break outcome,
        }
    };
    if let Err(fault) = outcome {
        complain(house, exchange.head, trip, fault);
    }
    voyage.outcome = Some(outcome);
}

/// A request on its way: it has its line in the log also where its task is ended.
struct Voyage<'h, 'e, W: Wire> {
    house: &'h House,
    exchange: Exchange<'e, W>,
    trip: Trip,
    outcome: Option<Result<(), Fault>>,
}

impl<W: Wire> Drop for Voyage<'_, '_, W> {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            if !self.house.cutting.get() {
                return Err(Fault::ClientGone);
            }
            self.house.cut.set(self.house.cut.get() + 1);
            if self.trip.status == 0 {
                // A bare close would have the client ask again for what may have been done.
                self.exchange.wire.cut();
                self.trip.status = Fault::NoServer.status();
            }
            Err(Fault::Internal("The time of a stop was over."))
        });
        record(self.house, &self.exchange, &self.trip, outcome);
    }
}

/// Stops 3 to 9.
async fn answer<W: Wire>(house: &Rc<House>, exchange: &mut Exchange<'_, W>, trip: &mut Trip) -> Result<Answer, Fault> {
    let (head, rules, client) = (exchange.head, exchange.rules, trip.client(&exchange.arrival.peer).address);
    permit::admit(head)?; // 3 admit
    if head.path() == b"*" {
        return Ok(Answer::whole(options(), Vec::new()));
    }
    let site = rules.sites.site(head.host()).ok_or(Fault::Misdirected)?; // 4 route
    trip.site = Some(site);
    if let Some(answer) = rules.enter(exchange, site, trip.is_https(exchange.arrival))? {
        return Ok(Answer::whole(answer, Vec::new()));
    }
    rules.attend(site, client, house).await?;
    let spelled = rules.spelled(site, head)?;
    let head = spelled.as_ref().unwrap_or(head);
    let mut exchange = Exchange { head, arrival: exchange.arrival, rules, wire: &mut *exchange.wire };
    let matched = rules.sites.pick(&rules.plan, site, head, client)?;
    trip.route = Some(matched.index);
    if let Some(answer) = permit(house, &exchange, trip, (matched.route, matched.number)).await? {
        return Ok(Answer { head: answer, body: Source::Whole(Piece::default()).into() }); // 5 permit
    }
    let mut answer = target::fetch(house, &mut exchange, trip, &matched).await?; // 7 choose, 8 fetch
    if matched.route.intercepts_errors
        && let Some((own, page)) = intercept(&answer.head, head, &rules.plan.sites[site].errors)
    {
        answer = Answer::whole(own, page);
    }
    adjust(&mut answer.head, &matched.route.adjust); // 9 shape
    let streams = answer.head.length.is_none();
    if let Some(coding) = pack(&mut answer.head, head, &matched.route.compress, house.packers.have_room())
        && let Some(packer) = Packer::new(coding, streams, &house.packers)
    {
        answer.body.pack(packer);
    }
    Ok(answer)
}

/// A request whose head could not be read: nothing of it is certain, so only stops 9 to 11.
pub(crate) async fn refuse<W: Wire>(house: &Rc<House>, mut exchange: Exchange<'_, W>, fault: Fault) {
    let mut trip = Trip::begin(house);
    let explained = explain(exchange.rules, &trip, fault, None);
    let outcome = deliver(house, &mut exchange, &mut trip, explained).await;
    record(house, &exchange, &trip, outcome);
}

/// A request that was none: only stop 11.
pub(crate) fn note<W>(house: &House, exchange: &Exchange<'_, W>, mut trip: Trip, status: u16) {
    trip.status = status;
    record(house, exchange, &trip, Ok(()));
}

/// A request that another server has answered, or that it was not to answer: what the client has not heard of that, and
/// stop 11.
pub(crate) async fn conclude<W: Wire>(
    house: &Rc<House>,
    mut exchange: Exchange<'_, W>,
    mut trip: Trip,
    outcome: Result<(), Fault>,
) {
    let outcome = match outcome {
        Err(fault) if trip.status == 0 && fault != Fault::ClientGone => {
            let explained = explain(exchange.rules, &trip, fault, Some(exchange.head));
            deliver(house, &mut exchange, &mut trip, explained).await
        }
        outcome => outcome,
    };
    record(house, &exchange, &trip, outcome);
}

fn explain(rules: &Rules, trip: &Trip, fault: Fault, head: Option<&Head>) -> Answer {
    let site = trip.site.map(|site| &rules.plan.sites[site]);
    let closed = site.and_then(|site| site.maintenance.as_ref()).filter(|_| fault == Fault::Maintenance);
    let (mut answer, mut body) =
        explain_fault(fault, (head, trip.request_id.as_str()), site.map_or(&[], |site| &site.errors));
    if let Some(page) = closed.map(|closed| &closed.page).filter(|page| !page.is_empty()) {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"content-type"));
        (answer, body) = (answer.with("Content-Type", "text/html; charset=utf-8"), page.clone().into_bytes());
    }
    if let (Fault::Unauthorized, Some(auth)) = (fault, rules.route(trip).and_then(|route| route.basic_auth.as_ref())) {
        answer = answer.with("WWW-Authenticate", &format!("Basic realm=\"{}\", charset=\"UTF-8\"", auth.realm));
    }
    if matches!(fault, Fault::PreconditionFailed | Fault::RangeNotSatisfiable(_)) {
        // Whose tag or length was meant depends on the coding: of a file others may be stored at any time.
        vary_by_coding(&mut answer);
    }
    let is_pools = rules.route(trip).is_some_and(|route| matches!(route.target, Target::Pool { .. }));
    if let Some(error) = fault.proxy_error().filter(|_| is_pools) {
        answer = answer.with("Proxy-Status", &format!("hallway; error={error}"));
    }
    if fault == Fault::ProxyUnauthorized {
        answer = answer.with("Proxy-Authenticate", "Basic realm=\"proxy\", charset=\"UTF-8\"");
    }
    Answer::whole(answer, body)
}

/// Tells the operator what no log line of a request could say.
fn complain(house: &House, head: &Head, trip: &Trip, fault: Fault) {
    let say = |what: &str| {
        let (method, path) = (String::from_utf8_lossy(head.method()), String::from_utf8_lossy(head.path()));
        house.log.error(&format!("{method} {path} ({}): {what}", trip.request_id.as_str()));
    };
    match (fault, trip.tries.last()) {
        // What a try failed by was told then.
        (_, Some(last)) if !last.has_answered => {}
        (Fault::ServerLost | Fault::ServerTimeout | Fault::BadAnswer(_), Some(last)) => {
            let why = match fault {
                Fault::ServerLost => "it ended the connection in the middle",
                Fault::ServerTimeout => "it paused for longer than it may",
                fault => fault.detail().trim_end_matches('.'),
            };
            say(&format!("server {}: its answer is cut: {why}", last.server.name));
        }
        (Fault::BadAnswer(_) | Fault::Internal(_), _) => say(fault.detail()),
        (Fault::FilesLate | Fault::NamesLate | Fault::SpoolFull, _) => say(fault.detail()),
        _ => {}
    }
}

/// Stop 11.
fn record<W>(house: &House, exchange: &Exchange<'_, W>, trip: &Trip, outcome: Result<(), Fault>) {
    let Exchange { head, arrival, rules, .. } = exchange;
    let Some(sink) = rules.sink(trip.site) else { return };
    let now_us = house.clock.now_us();
    let tries: Vec<TryFacts<'_>> = trip.tries.iter().map(|one| one.facts(now_us)).collect();
    let begun = trip.status != 0 && !matches!(outcome, Err(Fault::ClientGone));
    let facts = Facts {
        head: Some(head),
        peer_ip: &trip.client(&arrival.peer).ip,
        user: trip.user.as_deref().unwrap_or_default(),
        request_id: trip.request_id.as_str(),
        unix_ms: house.clock.unix_ms(trip.begun_us),
        status: if begun { trip.status } else { Fault::ClientGone.status() },
        body_bytes: trip.body_bytes,
        https: trip.is_https(arrival),
        tls: arrival.tls_told(),
        app: trip.app.map_or("", |app| &rules.plan.apps[app].name),
        cut: begun && outcome.is_err(),
        total_us: now_us.saturating_sub(trip.begun_us),
        lane: trip.lane,
        queue_us: trip.queue_us,
        tries: &tries,
    };
    house.log.access(sink, &facts);
}
